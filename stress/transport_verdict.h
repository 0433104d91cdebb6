// From what was counted of a transport to its verdict: the same rules for a campaign and for parts
// of one that are united (campaign_verdict.cc says them). Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "harness/report/tally.h"

namespace ipctorture {

// Of a part nothing is said about promises without an occasion: the others may have had one.
enum class Whole : std::uint8_t { no, yes };

// Sets the verdict of the transport and of its promises. These come with the worst that was found:
// violation, inconclusive or pass. `allowed_thousandths`: how many thousandths of scenarios may be
// inconclusive without making the transport, or a promise, inconclusive.
void settle(TransportTally& tally, std::uint64_t allowed_thousandths, Whole whole);

// Every promise is listed, so that whoever follows them over time sees the same ones everywhere.
void mark_unsupported(TransportTally& tally, const std::vector<PromiseTally>& promises);

// One more case of a shard of `step`; one that is there already changes nothing.
void add_case(std::vector<CaseRange>* ranges, std::uint64_t k, std::uint64_t step);

}  // namespace ipctorture
