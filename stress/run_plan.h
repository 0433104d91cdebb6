// What a run is to do: from settings and a selection to the plan of its campaign, and the same in
// words.
#pragma once

#include <string>

#include "stress/campaign.h"
#include "stress/settings.h"
#include "stress/verbs.h"

namespace ipctorture {

// Throws UsageError.
CampaignPlan read_plan(const Settings& settings, const Selection& selection);

// The share of each transport's time that is the controlled engine's; a run that is counted in
// scenarios, or is a part of one, has none.
std::int64_t controlled_ns(const Settings& settings, const CampaignPlan& plan);

// Why a run of this plan cannot tell that a known failure is gone; empty: it can.
std::string too_little(const CampaignPlan& plan, std::int64_t controlled_ns);

// What beside seed, runs and transports decides which scenarios there are.
std::string options_text(const CampaignPlan& plan);

// What would be run: the transports and their first cases, which depend on the seed alone.
void print_dry_run(const CampaignPlan& plan, unsigned jobs);

}  // namespace ipctorture
