// The moment of a failure is when its last witness was invoked; without a witness it is the end of
// the history, for then something did not happen.
#include "harness/report/window.h"

#include <algorithm>

namespace ipctorture {
namespace {

constexpr std::uint64_t neighbours = 8;
constexpr std::size_t witnesses_max = 20;  // per finding, as in verdict.h

// Adds [first, end) cut to the lane; merge() puts them in order.
void add(Segments& to, std::uint64_t first, std::uint64_t end, std::uint64_t size) {
  end = std::min(end, size);
  if (first < end) to.push_back({first, end - first});
}

void merge(Segments& segments) {
  std::sort(segments.begin(), segments.end(),
            [](const Segment& a, const Segment& b) { return a.first < b.first; });
  Segments merged;
  for (const Segment& s : segments) {
    if (merged.empty() || merged.back().first + merged.back().count < s.first) {
      merged.push_back(s);
      continue;
    }
    const std::uint64_t end =
        std::max(merged.back().first + merged.back().count, s.first + s.count);
    merged.back().count = end - merged.back().first;
  }
  segments = std::move(merged);
}

Stamp moment_of(const History& history, const Judgement& judgement) {
  Stamp moment = 0;
  if (const Finding* worst = judgement.worst(); worst != nullptr) {
    for (const EventRef& ref : worst->witness) {
      if (ref.lane >= history.lanes.size()) continue;
      const auto records = history.lanes[ref.lane].records;
      if (ref.record < records.size()) moment = std::max(moment, records[ref.record].invoked);
    }
  }
  return moment > 0 ? moment : ~Stamp{0};
}

}  // namespace

std::vector<Segments> choose_window(const History& history, const Judgement& judgement,
                                    std::uint64_t records_max) {
  std::vector<Segments> kept(history.lanes.size());
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    add(kept[i], 0, history.lanes[i].records.size(), history.lanes[i].records.size());
    total += history.lanes[i].records.size();
  }
  if (total <= records_max) return kept;

  const Stamp moment = moment_of(history, judgement);
  const std::uint64_t share = records_max / kept.size();
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const auto records = history.lanes[i].records;
    kept[i].clear();
    std::uint64_t left = share;
    for (const Finding& finding : judgement.findings) {
      std::size_t seen = 0;
      for (const EventRef& ref : finding.witness) {
        if (ref.lane != i || seen++ == witnesses_max || left < 2 * neighbours + 1) continue;
        left -= 2 * neighbours + 1;
        add(kept[i], ref.record - std::min(ref.record, neighbours), ref.record + neighbours + 1,
            records.size());
      }
    }
    const auto at =
        std::upper_bound(records.begin(), records.end(), moment,
                         [](Stamp stamp, const Record& r) { return stamp < r.invoked; });
    const auto centre = static_cast<std::uint64_t>(at - records.begin());
    const std::uint64_t end =
        std::min<std::uint64_t>(records.size(), std::max(left, centre + left / 4));
    add(kept[i], end - std::min(end, left), end, records.size());
    merge(kept[i]);
  }
  return kept;
}

std::optional<std::uint64_t> position_of(const Segments& kept, std::uint64_t index) {
  std::uint64_t before = 0;
  for (const Segment& s : kept) {
    if (index >= s.first && index - s.first < s.count) return before + (index - s.first);
    before += s.count;
  }
  return std::nullopt;
}

std::uint64_t kept_records(const Segments& kept) {
  std::uint64_t count = 0;
  for (const Segment& s : kept) count += s.count;
  return count;
}

}  // namespace ipctorture
