// A smallest part of a list that still has a property: Zeller and Hildebrandt, "Simplifying and
// isolating failure-inducing input" (TSE 2002). Features of a scenario and departures of a schedule
// are made few by it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace ipctorture {

// `fails` is asked about parts of `items`, in their order, never about all of them: that those fail
// is taken for granted. The answer fails, and none of its items can be left out alone; unless
// `stop()` said so before, which is asked ahead of each part. Both may throw.
template <typename Item, typename Fails, typename Stop>
std::vector<Item> ddmin(std::vector<Item> items, const Fails& fails, const Stop& stop) {
  // Nothing at all is the part that is wanted most.
  if (items.empty() || stop()) return items;
  if (fails(std::vector<Item>())) return {};
  std::size_t parts = 2;
  while (items.size() > 1) {
    const std::size_t part = (items.size() + parts - 1) / parts;
    bool smaller = false;
    for (std::size_t from = 0; from < items.size() && !smaller; from += part) {
      if (stop()) return items;
      const std::size_t to = std::min(items.size(), from + part);
      std::vector<Item> without(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(from));
      without.insert(without.end(), items.begin() + static_cast<std::ptrdiff_t>(to), items.end());
      if (!fails(without)) continue;
      items = std::move(without);
      parts = std::max<std::size_t>(parts - 1, 2);
      smaller = true;
    }
    if (smaller) continue;
    if (parts >= items.size()) break;
    parts = std::min(items.size(), parts * 2);
  }
  return items;
}

}  // namespace ipctorture
