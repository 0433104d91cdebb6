// A campaign as JSON lines: one object a line, each with "schema" and "event", so that a reader can
// follow a run and skip what it does not know. Fields are only ever added within one schema.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "harness/report/tally.h"

namespace ipctorture {

inline constexpr std::string_view json_lines_schema = "ipctorture-run/1";

// Any value as one line with its newline. Text that is no UTF-8 is replaced, never refused.
std::string json_line(const nlohmann::ordered_json& json);
// The text under a key; empty when there is none, or it is no text.
std::string text_in(const nlohmann::json& json, std::string_view key);
// In lower case, whatever the table shouts.
std::string_view json_word(Verdict verdict);

struct CampaignStart {
  std::string seed;
  std::string version;
  std::string started;
  std::string out;  // where bundles go
  std::vector<std::string> transports;
  double seconds = 0;  // 0: no time budget
  std::uint64_t runs = 0;
  // What else decides which cases are run: equal in all parts of one campaign.
  std::string commit;   // of the program; empty: unknown
  std::string options;  // flags that change scenarios: "--launch exec"; mostly empty
  std::uint32_t shard = 1, shards = 1;
  std::string merged;              // of several parts united: which; else empty
  std::vector<std::string> named;  // transports that were asked for by name
};
struct Failure {
  std::string transport;
  std::string fingerprint;
  Verdict verdict = Verdict::violation;
  std::string what;
  std::string seed;                                  // of the campaign
  std::string again;                                 // flags of `run` that make this case again
  std::string bundle;                                // empty: none could be written
  std::string engine = "free";                       // or "controlled": its replay is exact
  std::string reason = {}, link = {}, expires = {};  // with the verdict `known`: of its entry
};

// Each returns one line with its newline. Text that is no UTF-8 is replaced, never refused.
std::string json_start(const CampaignStart& start, std::string_view schema = json_lines_schema);
std::string json_failure(const Failure& failure);  // event "failure", of a known one "known"
std::string json_harness_failure(const std::string& transport, const std::string& what);
std::string json_transport(const TransportTally& tally);
std::string json_known_entry(const KnownEntryTally& entry);
std::string json_end(const CampaignTally& tally, int exit_code,
                     std::string_view schema = json_lines_schema);

}  // namespace ipctorture
