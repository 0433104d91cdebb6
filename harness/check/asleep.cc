#include "harness/check/asleep.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace ipctorture {
namespace {

constexpr std::size_t frames_told = 4;
constexpr std::size_t frame_name_max = 60;

constexpr Stamp long_part =
    10;  // a lane awake in one operation for bound / long_part explains a wait

bool is_operation(const Record& r) {
  return r.op() == Op::attach || r.op() == Op::send || r.op() == Op::receive || r.op() == Op::close;
}

// Index of the last record that began at or before `moment`; the number of records when none did.
std::size_t record_at(std::span<const Record> records, Stamp moment) {
  const auto after =
      std::upper_bound(records.begin(), records.end(), moment,
                       [](Stamp stamp, const Record& r) { return stamp < r.invoked; });
  if (after == records.begin()) return records.size();
  return static_cast<std::size_t>(after - records.begin()) - 1;
}

// The parts of `op` within the window in which its lane did not sleep, if long enough.
void add_awake_parts(const Subject& subject, const std::vector<Sleep>& all, EventRef op,
                     Window within, Stamp at_least, std::vector<Window>& parts) {
  Stamp from = std::max(subject.record(op).invoked, within.from);
  const Stamp to = std::min(subject.ended(op), within.to);
  for (const Sleep& s : all) {
    if (s.in != op || s.to < from || s.from > to) continue;
    if (s.from > from && s.from - from >= at_least) parts.push_back({from, s.from});
    from = s.to;
  }
  if (to > from && to - from >= at_least) parts.push_back({from, to});
}

}  // namespace

// Of a stack, a line "#N ADDRESS NAME(ARGUMENTS)" per frame, the names of the innermost frames; of
// any other text its first line.
std::string innermost(std::string_view text) {
  std::string names;
  std::size_t told = 0;
  while (told < frames_told && text.starts_with('#')) {
    std::string frame(text.substr(0, text.find('\n')));
    text.remove_prefix(std::min(frame.size() + 1, text.size()));
    if (const auto address = frame.find("0x"); address != std::string::npos) {
      frame.erase(0, frame.find_first_not_of(' ', frame.find(' ', address)));
    }
    for (const std::string_view scope : {"(anonymous namespace)::", "ipctorture::"}) {
      for (std::size_t at; (at = frame.find(scope)) != std::string::npos;) {
        frame.erase(at, scope.size());
      }
    }
    std::size_t arguments = frame.find('(');
    while (arguments != std::string::npos && arguments > 0 && frame[arguments - 1] == '<') {
      arguments = frame.find('(', arguments + 1);  // a template's argument: <(Flaw)5>
    }
    frame.resize(std::min({frame.size(), arguments, frame_name_max}));
    names += fmt::format("{}{}", told++ == 0 ? "#0 " : " < ", frame);
  }
  return told > 0 ? names : std::string(text.substr(0, text.find('\n')));
}

std::optional<EventRef> operation_at(const Subject& subject, unsigned lane, Stamp from, Stamp to) {
  const auto records = subject.history.lanes[lane].records;
  const std::size_t i = record_at(records, from);
  if (i == records.size() || !is_operation(records[i])) return std::nullopt;
  const EventRef ref{lane, i};
  if (subject.ended(ref) < to) return std::nullopt;
  return ref;
}

std::vector<Sleep> sleeps(const Subject& subject) {
  std::vector<Sleep> all;
  for (const Evidence& e : subject.history.evidence) {
    if (e.fact != Fact::asleep || e.lane < 0) continue;
    const auto lane = static_cast<unsigned>(e.lane);
    const auto records = subject.history.lanes[lane].records;
    const std::size_t i = record_at(records, e.from);
    if (i == records.size() || !is_operation(records[i])) continue;
    const EventRef in{lane, i};
    const Stamp to = std::min(e.to, subject.ended(in));
    if (to > e.from) all.push_back({in, e.from, to});
  }
  std::sort(all.begin(), all.end(), [](const Sleep& a, const Sleep& b) {
    return std::tuple(a.in.lane, a.in.record, a.from) < std::tuple(b.in.lane, b.in.record, b.from);
  });
  std::vector<Sleep> joined;
  for (const Sleep& s : all) {
    if (!joined.empty() && joined.back().in == s.in && s.from <= joined.back().to) {
      joined.back().to = std::max(joined.back().to, s.to);
    } else {
      joined.push_back(s);
    }
  }
  return joined;
}

Window still_window(const Subject& subject, const std::vector<Sleep>& all, unsigned sleeper,
                    unsigned channel, Window within, OtherConsumers others) {
  std::vector<Window> awake;
  const Stamp long_stretch = std::max<Stamp>(1, subject.bound() / long_part);
  for (unsigned lane = 0; lane < subject.history.lanes.size(); ++lane) {
    if (lane == sleeper) continue;
    const auto records = subject.history.lanes[lane].records;
    std::size_t i = record_at(records, within.from);
    if (i == records.size()) i = 0;
    for (; i < records.size() && records[i].invoked < within.to; ++i) {
      const Record& r = records[i];
      if (!is_operation(r)) continue;
      const bool could_take =
          others == OtherConsumers::matter && r.op() == Op::receive && r.channel() == channel;
      add_awake_parts(subject, all, {lane, i}, within, could_take ? 1 : long_stretch, awake);
    }
  }
  std::sort(awake.begin(), awake.end(),
            [](const Window& a, const Window& b) { return a.from < b.from; });
  Window best, current{within.from, within.from};
  awake.push_back({within.to, within.to});
  for (const Window& part : awake) {
    current.to = std::max(current.from, part.from);
    if (current.length() > best.length()) best = current;
    current.from = std::max(current.from, part.to);
  }
  return best;
}

Stamp taken_from(const ChannelIndex& channel, const std::vector<Sleep>& all, const SentMessage& m) {
  if (!m.has(SentMessage::delivered)) return Timeline::never;
  const EventRef ref = channel.received_ref(m);
  Stamp from = channel.record(ref).invoked;
  for (const Sleep& s : all) {
    if (s.in == ref) from = std::max(from, s.to);
  }
  return from;
}

std::vector<std::uint64_t> seen_before(const Subject& subject, const ChannelIndex& channel,
                                       const ConsumerSide& consumer, std::uint64_t before) {
  std::vector<std::uint64_t> seen(channel.producers.size(), 0);
  const auto records = subject.history.lanes[consumer.lane].records;
  for (std::uint64_t i = 0; i < before && i < records.size(); ++i) {
    const Record& r = records[i];
    const bool taken =
        r.op() == Op::receive && r.channel() == channel.channel && r.result() == Outcome::ok;
    if (!taken) continue;
    const Match match = channel.match(r);
    if (match.how != Match::How::identified) continue;
    seen[match.producer] = std::max(seen[match.producer], match.offset + 1);
  }
  return seen;
}

}  // namespace ipctorture
