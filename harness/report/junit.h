// JUnit XML of a campaign, for CI systems: a suite per transport, a case per promise. A violation
// is a failure, inconclusive an error, unsupported and known skipped, case by case; a suite of its
// own for the entries of known.toml, where there are any. Names carry no seed, so
// that a system that follows cases over time recognises them; seed and bundle are properties.
#pragma once

#include <string>
#include <string_view>

#include "harness/report/tally.h"

namespace ipctorture {

std::string junit_xml(const CampaignTally& tally);

// `text` for an attribute or an element: markup escaped; what XML 1.0 cannot carry (control
// characters, malformed UTF-8) becomes '?'.
std::string xml_escaped(std::string_view text);

}  // namespace ipctorture
