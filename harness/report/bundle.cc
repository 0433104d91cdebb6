// Writing: choose what is kept, put it into a FolderWriter, commit. Reading: each file on its own,
// smallest trust first; the records are checked by history_faults like any history from outside.
// The hash in history.bin finds accidents, not malice: whoever alters records can mend it.
#include "harness/report/bundle.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "harness/report/bundle_json.h"
#include "harness/report/folder.h"
#include "harness/report/presentable.h"
#include "harness/report/window.h"
#include "harness/scenario/codec.h"

namespace ipctorture {
namespace {

constexpr std::size_t records_bytes_max = 48 << 20;
constexpr std::size_t scenario_bytes_max = 64 << 10;
constexpr std::size_t text_bytes_max = 1 << 20;
constexpr std::size_t schedule_bytes_max = 8u << 20;

struct HistoryHeader {
  static constexpr std::uint64_t magic_value = 0x3154534948544349;  // "ICTHIST1"
  static constexpr std::uint32_t current_version = 1;
  std::uint64_t magic = magic_value;
  std::uint32_t version = current_version;
  std::uint32_t lanes = 0;
  std::uint64_t records = 0;
  std::uint64_t hash = 0;  // XXH3-64 of the records
};
static_assert(sizeof(HistoryHeader) == 32);

std::string history_bytes(const History& history, const std::vector<Segments>& kept) {
  HistoryHeader header{.lanes = static_cast<std::uint32_t>(kept.size())};
  for (const Segments& lane : kept) header.records += kept_records(lane);
  std::string bytes(sizeof header, '\0');
  bytes.reserve(sizeof header + header.records * sizeof(Record));
  for (std::size_t i = 0; i < kept.size(); ++i) {
    for (const Segment& s : kept[i]) {
      const auto records = history.lanes[i].records.subspan(s.first, s.count);
      bytes.append(reinterpret_cast<const char*>(records.data()), records.size_bytes());
    }
  }
  header.hash = XXH3_64bits(bytes.data() + sizeof header, bytes.size() - sizeof header);
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes;
}

// Gives the lanes their records, owned by the history.
void put_records(const std::string& bytes, const std::vector<Segments>& kept, History& history) {
  const auto refuse = [](const std::string& why) {
    throw std::invalid_argument("history.bin: " + why);
  };
  HistoryHeader header;
  if (bytes.size() < sizeof header) refuse("shorter than its header");
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != HistoryHeader::magic_value) refuse("does not begin with ICTHIST1");
  if (header.version != HistoryHeader::current_version) {
    refuse(fmt::format("version {} is not {}", header.version, HistoryHeader::current_version));
  }
  const std::size_t records = (bytes.size() - sizeof header) / sizeof(Record);
  if ((bytes.size() - sizeof header) % sizeof(Record) != 0 || header.records != records) {
    refuse(
        fmt::format("{} bytes do not hold the {} records it states", bytes.size(), header.records));
  }
  std::uint64_t listed = 0;
  for (const Segments& lane : kept) listed += kept_records(lane);
  if (header.lanes != kept.size() || listed != records) {
    refuse(fmt::format("{} records of {} lanes, the manifest lists {} of {}", records, header.lanes,
                       listed, kept.size()));
  }
  if (header.hash != XXH3_64bits(bytes.data() + sizeof header, bytes.size() - sizeof header)) {
    refuse("altered: its hash does not match");
  }
  const auto owned = std::make_shared<std::vector<Record>>(records);
  if (records > 0)
    std::memcpy(owned->data(), bytes.data() + sizeof header, records * sizeof(Record));
  std::span<const Record> rest(*owned);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const std::uint64_t count = kept_records(kept[i]);
    history.lanes[i].records = rest.first(count);
    rest = rest.subspan(count);
  }
  history.storage.push_back(owned);
}

// Stamps are turned into ns as signed 64-bit numbers: none may go beyond.
void check_stamps(const History& history) {
  Stamp largest = history.stamps.slack_ticks;
  for (const LaneHistory& lane : history.lanes) {
    for (const Record& r : lane.records) largest = std::max({largest, r.invoked, r.returned});
  }
  for (const Evidence& e : history.evidence) largest = std::max({largest, e.from, e.to});
  if (static_cast<double>(largest) / history.stamps.ticks_per_ns > 9e18) {
    throw std::invalid_argument(fmt::format("history.bin: stamp {} is no time", largest));
  }
}

std::string what_is_left_out(const History& history, const std::vector<Segments>& kept,
                             std::size_t evidence_left_out) {
  std::uint64_t all = 0, here = 0;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    all += history.lanes[i].records.size();
    here += kept_records(kept[i]);
  }
  std::string text;
  if (here < all) {
    text = fmt::format("{} of {} records are here: the witnesses and a window around the failure",
                       here, all);
  }
  if (evidence_left_out > 0) {
    text += fmt::format("{}{} pieces of evidence were left out", text.empty() ? "" : "; ",
                        evidence_left_out);
  }
  return text;
}

Scenario load_scenario(const FolderReader& folder) {
  const std::string text = folder.read("scenario.json", scenario_bytes_max);
  try {
    return scenario_from_json(text);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(std::string("scenario.json: ") + error.what());
  }
}

BundleContent load(const FolderReader& folder) {
  Manifest manifest = manifest_from_json(folder.read("manifest.json", manifest_bytes_max));
  BundleContent content = std::move(manifest.content);
  content.scenario = load_scenario(folder);
  put_records(folder.read("history.bin", sizeof(HistoryHeader) + records_bytes_max), manifest.kept,
              content.history);
  content.history.evidence = evidence_from_json(folder.read("evidence.json", evidence_bytes_max));
  const auto faults = history_faults(content.history);
  if (!faults.empty()) throw std::invalid_argument("history.bin: " + presentable(faults[0], 400));
  check_stamps(content.history);
  if (content.history.channels != content.scenario.channels()) {
    throw std::invalid_argument(
        fmt::format("manifest.json: history.channels: {}, the scenario has {}",
                    content.history.channels, content.scenario.channels()));
  }
  content.judgement =
      judgement_from_json(folder.read("judgement.json", judgement_bytes_max), manifest.kept);
  content.output = presentable(folder.read("output.txt", text_bytes_max), text_bytes_max);
  content.stacks = presentable(folder.read("stacks.txt", text_bytes_max), text_bytes_max);
  if (folder.has("schedule.json")) {
    content.schedule = folder.read("schedule.json", schedule_bytes_max);
    content.interleaving =
        presentable(folder.read("interleaving.txt", text_bytes_max), text_bytes_max);
  }
  return content;
}

}  // namespace

void write_bundle(const std::string& path, const BundleContent& content,
                  const BundleLimits& limits) {
  const std::uint64_t records_max =
      std::min<std::uint64_t>(limits.records, records_bytes_max / sizeof(Record));
  const auto kept = choose_window(content.history, content.judgement, records_max);
  std::size_t evidence_left_out = 0;
  const std::string evidence = evidence_to_json(
      content.history.evidence,
      std::min<std::size_t>(limits.evidence_entries, evidence_entries_max), &evidence_left_out);
  const std::string left_out = what_is_left_out(content.history, kept, evidence_left_out);
  const std::string& truncated = left_out.empty() ? content.truncated : left_out;

  const std::size_t text_max = std::min<std::size_t>(limits.text_bytes, text_bytes_max);
  FolderWriter folder(path);
  folder.write("scenario.json", scenario_to_json(content.scenario));
  folder.write("history.bin", history_bytes(content.history, kept));
  folder.write("evidence.json", evidence);
  folder.write("judgement.json", judgement_to_json(content.judgement, kept));
  folder.write("output.txt", presentable(content.output, text_max));
  folder.write("stacks.txt", presentable(content.stacks, text_max));
  if (!content.schedule.empty()) {
    folder.write("schedule.json", content.schedule);
    folder.write("interleaving.txt", presentable(content.interleaving, text_max));
  }
  folder.write("manifest.json", manifest_to_json(content, truncated, kept));
  folder.commit();
}

BundleContent load_bundle(const std::string& path) {
  const FolderReader folder(path);
  try {
    return load(folder);
  } catch (const std::invalid_argument& error) {
    throw std::runtime_error(path + ": " + error.what());
  }
}

}  // namespace ipctorture
