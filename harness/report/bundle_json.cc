// Every list has a bound, every number a range, every word must be known. Texts of verdicts are in
// lower case here, since JSON is for programs.
//
// What is read can be written again and reads the same (the fuzzer holds us to it): texts are cut
// to the very lengths that the reader allows, and the bounds are small enough that the largest file
// of each sort, spelt out our way, is below the size at which a file is refused.
#include "harness/report/bundle_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>

#include "harness/report/presentable.h"
#include "harness/scenario/strict_json.h"

namespace ipctorture {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view manifest_schema = "ipctorture-bundle/1";
constexpr std::string_view evidence_schema = "ipctorture-evidence/1";
constexpr std::string_view judgement_schema = "ipctorture-judgement/1";
constexpr int depth_max = 8;
constexpr std::size_t line_bytes_max = 4096;
constexpr std::size_t sentence_bytes_max = 16 << 10;
constexpr std::size_t environment_entries_max = 100;
constexpr std::size_t environment_bytes_max = 512;  // of a key, of a value
constexpr std::size_t segments_max = 256;
constexpr std::size_t findings_max = 16;
constexpr std::size_t witnesses_max = 20;
constexpr std::size_t channels_max = 2;
constexpr std::int64_t index_max = 255;
constexpr std::size_t unreceived_max = 4096;
constexpr std::uint64_t sequence_max = (std::uint64_t{1} << 54) - 1;
constexpr std::uint64_t any = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t records_max = std::uint64_t{1} << 32;  // of a lane before it was cut

std::string written(const ordered_json& object) {
  return object.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

// A value of an enum by its word.
template <typename Enum>
Enum word(JsonReader& from, const std::string& key, unsigned count) {
  const std::string text = from.text(key, line_bytes_max);
  for (unsigned i = 0; i < count; ++i) {
    if (text == lower(to_string(static_cast<Enum>(i)))) return static_cast<Enum>(i);
  }
  from.refuse(key, fmt::format("\"{}\" is not known", printable(text, 64)));
}

std::string sentence(JsonReader& from, const std::string& key, std::size_t bytes_max) {
  return presentable(from.text(key, bytes_max), bytes_max);
}

JsonReader opened(std::string_view text, const char* file, std::size_t bytes_max,
                  std::string_view schema) {
  JsonReader object(parse_strict_json(text, file, bytes_max, depth_max), file);
  if (object.take("schema") != schema) {
    object.refuse("schema", fmt::format("must be \"{}\"", schema));
  }
  return object;
}

// --- manifest ------------------------------------------------------------------------------------

ordered_json lane_to_json(const LaneHistory& lane, const Segments& kept) {
  ordered_json object{{"worker", lane.worker},
                      {"thread", lane.thread},
                      {"producer_on", lane.producer_on},
                      {"consumer_on", lane.consumer_on},
                      {"records", lane.records.size()}};
  object["kept"] = ordered_json::array();
  for (const Segment& s : kept) object["kept"].push_back({s.first, s.count});
  return object;
}

std::vector<int> indices(JsonReader& from, const std::string& key) {
  std::vector<int> result;
  for (const json& value : from.list(key, channels_max)) {
    if (!value.is_number_integer()) from.refuse(key, "must be whole numbers");
    const bool large = value.is_number_unsigned() && value.get<std::uint64_t>() > index_max;
    if (large || value.get<std::int64_t>() < -1) {
      from.refuse(key, fmt::format("an index is not within -1 to {}", index_max));
    }
    result.push_back(value.get<int>());
  }
  return result;
}

Segments segments(JsonReader& from, std::uint64_t records) {
  Segments result;
  std::uint64_t reached = 0;
  for (const json& pair : from.list("kept", segments_max)) {
    if (!pair.is_array() || pair.size() != 2) from.refuse("kept", "must be pairs [first, count]");
    const std::uint64_t first = from.whole("kept", pair[0], reached, records);
    const std::uint64_t count = from.whole("kept", pair[1], 1, records - first);
    result.push_back({first, count});
    reached = first + count;
  }
  return result;
}

// Of a round of a soak: what earlier ones left. Of too much the first ones are kept, and it is
// said.
ordered_json round_to_json(const History& history) {
  const std::size_t count = std::min(history.unreceived.size(), unreceived_max);
  ordered_json object{{"goes_on", history.goes_on},
                      {"known", history.unreceived_known && count == history.unreceived.size()},
                      {"unreceived", ordered_json::array()}};
  for (std::size_t i = 0; i < count; ++i) {
    const Unreceived& one = history.unreceived[i];
    object["unreceived"].push_back({one.producer, one.sequence, one.accepted ? 1 : 0});
  }
  return object;
}

void read_round(JsonReader from, History& history) {
  history.continues = true;
  history.goes_on = from.flag("goes_on");
  history.unreceived_known = from.flag("known");
  for (const json& one : from.list("unreceived", unreceived_max)) {
    if (!one.is_array() || one.size() != 3) {
      from.refuse("unreceived", "must be triples [producer, sequence, accepted]");
    }
    history.unreceived.push_back(
        {.producer = static_cast<std::uint8_t>(from.whole("unreceived", one[0], 0, index_max)),
         .sequence = from.whole("unreceived", one[1], 0, sequence_max),
         .accepted = from.whole("unreceived", one[2], 0, 1) == 1});
  }
  if (!std::ranges::is_sorted(history.unreceived)) from.refuse("unreceived", "must be in order");
  from.end();
}

void read_history(JsonReader from, Manifest& to) {
  History& history = to.content.history;
  history.channels = static_cast<unsigned>(from.number("channels", 1, channels_max));
  history.serialised = from.flag("serialised");
  JsonReader stamps = from.object("stamps");
  const std::uint64_t source = stamps.number("source", 0, 1);
  history.stamps.source = static_cast<StampSource>(source);
  const json rate = stamps.take("ticks_per_ns");
  if (!rate.is_number()) stamps.refuse("ticks_per_ns", "must be a number");
  history.stamps.ticks_per_ns = rate.get<double>();
  if (!(history.stamps.ticks_per_ns >= 1e-6 && history.stamps.ticks_per_ns <= 1e6)) {
    stamps.refuse("ticks_per_ns", "is not within a millionth to a million");
  }
  history.stamps.slack_ticks = stamps.number("slack_ticks", 0, any);
  stamps.end();
  const json lanes = from.list("lanes", lanes_in_all_max);
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    JsonReader lane = from.entry("lanes", i, lanes[i]);
    LaneHistory read;
    read.worker = static_cast<unsigned>(lane.number("worker", 0, lanes_in_all_max));
    read.thread = static_cast<unsigned>(lane.number("thread", 0, lanes_in_all_max));
    read.producer_on = indices(lane, "producer_on");
    read.consumer_on = indices(lane, "consumer_on");
    to.kept.push_back(segments(lane, lane.number("records", 0, records_max)));
    lane.end();
    history.lanes.push_back(std::move(read));
  }
  if (from.has("round")) read_round(from.object("round"), history);
  from.end();
}

// --- evidence and judgement
// -----------------------------------------------------------------------------------

// What an entry takes as JSON, at the most: a newline takes two bytes.
std::size_t evidence_bytes(const std::string& text) { return 200 + 2 * text.size(); }

ordered_json finding_to_json(const Finding& finding, const std::vector<Segments>& kept) {
  ordered_json object{{"promise", to_string(finding.promise)},
                      {"verdict", lower(to_string(finding.verdict))},
                      {"occasions", finding.occasions},
                      {"what", presentable(finding.what, sentence_bytes_max)},
                      {"legal", presentable(finding.legal, sentence_bytes_max)},
                      {"term", presentable(finding.term, line_bytes_max)},
                      {"symptom", presentable(finding.symptom, line_bytes_max)}};
  object["witness"] = ordered_json::array();
  for (const EventRef& ref : finding.witness) {
    const bool there = ref.lane < kept.size() && position_of(kept[ref.lane], ref.record);
    if (there && object["witness"].size() < witnesses_max) {
      object["witness"].push_back({ref.lane, ref.record});
    }
  }
  return object;
}

Finding finding_from_json(JsonReader from, const std::vector<Segments>& kept) {
  Finding finding;
  finding.promise = word<Promise>(from, "promise", promise_count);
  finding.verdict = word<Verdict>(from, "verdict", verdict_count);
  if (finding.verdict == Verdict::known) from.refuse("verdict", "is none that a checker gives");
  finding.occasions = from.number("occasions", 0, any);
  finding.what = sentence(from, "what", sentence_bytes_max);
  finding.legal = sentence(from, "legal", sentence_bytes_max);
  finding.term = sentence(from, "term", line_bytes_max);
  finding.symptom = sentence(from, "symptom", line_bytes_max);
  for (const json& pair : from.list("witness", witnesses_max)) {
    if (!pair.is_array() || pair.size() != 2)
      from.refuse("witness", "must be pairs [lane, record]");
    if (kept.empty()) from.refuse("witness", "there are no lanes");
    const std::uint64_t lane = from.whole("witness", pair[0], 0, kept.size() - 1);
    const std::uint64_t record = from.whole("witness", pair[1], 0, any);
    const auto position = position_of(kept[lane], record);
    if (!position) {
      from.refuse("witness", fmt::format("record {} of lane {} is not there", record, lane));
    }
    finding.witness.push_back({static_cast<unsigned>(lane), *position});
  }
  from.end();
  return finding;
}

}  // namespace

std::string manifest_to_json(const BundleContent& content, const std::string& truncated,
                             const std::vector<Segments>& kept) {
  const History& history = content.history;
  const Finding* worst = content.judgement.worst();
  ordered_json object{
      {"schema", manifest_schema},
      {"fingerprint", worst == nullptr ? "" : presentable(fingerprint(*worst), sentence_bytes_max)},
      {"written", presentable(content.written, line_bytes_max)},
      {"seed", presentable(content.seed, line_bytes_max)},
      {"replay", presentable(content.replay, line_bytes_max)},
      {"truncated", presentable(truncated, line_bytes_max)}};
  object["environment"] = ordered_json::object();
  for (const auto& [key, value] : content.environment) {
    object["environment"][presentable(key, environment_bytes_max)] =
        presentable(value, environment_bytes_max);
  }
  ordered_json& h = object["history"];
  h["channels"] = history.channels;
  h["serialised"] = history.serialised;
  h["stamps"] = {{"source", static_cast<unsigned>(history.stamps.source)},
                 {"ticks_per_ns", history.stamps.ticks_per_ns},
                 {"slack_ticks", history.stamps.slack_ticks}};
  if (history.continues) h["round"] = round_to_json(history);
  h["lanes"] = ordered_json::array();
  for (std::size_t i = 0; i < history.lanes.size(); ++i) {
    h["lanes"].push_back(lane_to_json(history.lanes[i], kept[i]));
  }
  return written(object);
}

Manifest manifest_from_json(std::string_view text) {
  JsonReader from = opened(text, "manifest.json", manifest_bytes_max, manifest_schema);
  Manifest manifest;
  from.text("fingerprint", sentence_bytes_max);  // for people with grep; the judgement has it
  manifest.content.written = sentence(from, "written", line_bytes_max);
  manifest.content.seed = sentence(from, "seed", line_bytes_max);
  manifest.content.replay = sentence(from, "replay", line_bytes_max);
  manifest.content.truncated = sentence(from, "truncated", line_bytes_max);
  const json environment = from.take("environment");
  if (!environment.is_object() || environment.size() > environment_entries_max) {
    from.refuse("environment",
                fmt::format("must be an object of at most {} fields", environment_entries_max));
  }
  for (const auto& [key, value] : environment.items()) {
    if (!value.is_string()) from.refuse("environment", "must consist of texts");
    manifest.content.environment[presentable(key, environment_bytes_max)] =
        presentable(value.get<std::string>(), environment_bytes_max);
  }
  read_history(from.object("history"), manifest);
  from.end();
  return manifest;
}

std::string evidence_to_json(const std::vector<Evidence>& evidence, std::size_t entries_max,
                             std::size_t* left_out) {
  ordered_json object{{"schema", evidence_schema}};
  ordered_json& list = object["evidence"] = ordered_json::array();
  std::size_t bytes = 0;
  *left_out = 0;
  for (std::size_t i = 0; i < evidence.size(); ++i) {
    const Evidence& e = evidence[i];
    const bool middle = evidence.size() > entries_max && i >= entries_max / 2 &&
                        evidence.size() - i > entries_max - entries_max / 2;
    std::string text = presentable(e.text, line_bytes_max);
    bytes += evidence_bytes(text);
    if (middle || bytes > evidence_bytes_max) {
      ++*left_out;
      continue;
    }
    list.push_back({{"fact", to_string(e.fact)},
                    {"lane", e.lane},
                    {"from", e.from},
                    {"to", e.to},
                    {"value", e.value},
                    {"text", std::move(text)}});
  }
  return written(object);
}

std::vector<Evidence> evidence_from_json(std::string_view text) {
  JsonReader from = opened(text, "evidence.json", evidence_bytes_max, evidence_schema);
  const json list = from.list("evidence", evidence_entries_max);
  std::vector<Evidence> evidence;
  evidence.reserve(list.size());
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    JsonReader entry = from.entry("evidence", i, list[i]);
    Evidence e;
    e.fact = word<Fact>(entry, "fact", fact_count);
    const json lane = entry.take("lane");
    e.lane = lane == -1 ? -1 : static_cast<int>(entry.whole("lane", lane, 0, lanes_in_all_max));
    e.from = entry.number("from", 0, any);
    e.to = entry.number("to", 0, any);
    e.value = entry.number("value", 0, any);
    e.text = sentence(entry, "text", line_bytes_max);
    entry.end();
    bytes += evidence_bytes(e.text);
    if (bytes > evidence_bytes_max) from.refuse("evidence", "too much text");
    evidence.push_back(std::move(e));
  }
  from.end();
  return evidence;
}

std::string judgement_to_json(const Judgement& judgement, const std::vector<Segments>& kept) {
  ordered_json object{{"schema", judgement_schema}};
  object["findings"] = ordered_json::array();
  for (const Finding& finding : judgement.findings) {
    object["findings"].push_back(finding_to_json(finding, kept));
  }
  return written(object);
}

Judgement judgement_from_json(std::string_view text, const std::vector<Segments>& kept) {
  JsonReader from = opened(text, "judgement.json", judgement_bytes_max, judgement_schema);
  const json list = from.list("findings", findings_max);
  Judgement judgement;
  for (std::size_t i = 0; i < list.size(); ++i) {
    judgement.findings.push_back(finding_from_json(from.entry("findings", i, list[i]), kept));
  }
  from.end();
  return judgement;
}

}  // namespace ipctorture
