// Does a known failure still happen, when a run did not see it? Not having seen a rare one proves
// little, so an entry may name a bundle, and then that is asked: its schedule is taken again step
// by step, or, where the code has changed, searched around (`replay`, `regress`); a bundle without
// a schedule is replayed until it shows the failure, 50 times at the most. Without a bundle a whole
// campaign that did not see it has to do.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "harness/report/tally.h"
#include "stress/known_failures.h"

namespace ipctorture {

// A campaign that gives a transport less than that is too short to miss anything: the default one
// gives each a little more.
inline constexpr std::int64_t known_least_ns = 3'000'000'000;

// Throws UsageError for a bundle that cannot be read, or that shows another failure than its entry
// says.
void refuse_foreign_bundles(const KnownFailures& known);

// Decides about the entries that are unseen, and whose transport could run. `too_little`: why this
// command cannot miss a failure, be it with a bundle ("this run is a part"); empty: it can.
// Replays are children of this program; `stop` ends them.
void settle_unseen(const KnownFailures& known, const std::string& too_little,
                   std::vector<KnownEntryTally>* entries, const std::atomic<bool>& stop);

}  // namespace ipctorture
