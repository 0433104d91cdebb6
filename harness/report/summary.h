// What a campaign ends with: the table of verdicts and what stands behind each that is not a pass.
// Also how numbers are written for people. Pure text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "harness/report/table.h"
#include "harness/report/tally.h"

namespace ipctorture {

std::string human_count(double count);         // "812", "3.4k", "1.2M"; at most 5 characters
std::string human_duration(std::int64_t ns);   // "740ns", "3.2us", "12ms", "4.0s", "2m05s"
std::string human_bytes(std::uint64_t bytes);  // "1", "4KiB", "60000", "1MiB": exact
std::string painted(Verdict verdict, Colour colour, std::string text);

// "waits for a fix, https://..., until 2027-01-31"
std::string known_reason(const std::string& reason, const std::string& link,
                         const std::string& expires);
// "known.toml:3: order/... of pipe expired on 2026-01-31", without a newline.
std::string known_entry_text(const KnownEntryTally& entry);

struct SummaryStyle {
  std::size_t width = 80;
  Colour colour = Colour::none;
  std::string program = "ipctorture";  // as the person started it: for lines to copy
};

// The table alone: a line per transport.
std::string verdict_table(const CampaignTally& tally, const SummaryStyle& style);

// Under the table: for each transport that is not a pass the broken promises with their seed and
// bundle, why it is inconclusive, or why it could not run; then a line of totals, one that says
// what was tried least, and one of the least even serving.
std::string verdict_details(const CampaignTally& tally, const SummaryStyle& style);

}  // namespace ipctorture
