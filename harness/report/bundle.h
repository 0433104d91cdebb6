// A bundle: a folder that is enough to replay a failure, to check it again and to explain it.
//
//   manifest.json   schema "ipctorture-bundle/1": environment, how to replay, the history's lanes
//   scenario.json   the scenario (harness/scenario/codec.h)
//   history.bin     32-byte header (magic "ICTHIST1", version, lanes, records, XXH3-64 of the
//   rest),
//                   then every lane's 32-byte records (docs/worker-protocol.md), lane after lane
//   evidence.json   what was seen from outside
//   judgement.json  what the checkers said
//   output.txt      what the workers wrote; stacks.txt: where they stood
//   schedule.json   only of the controlled engine: the schedule, exactly; interleaving.txt: in
//   words
//
// At most 64 MB. A longer history is cut to the witnesses and a window around the failure, each
// lane a list of segments; such a bundle says so and can be explained and replayed, not judged
// again.
#pragma once

#include <cstdint>
#include <string>

#include "harness/check/verdict.h"
#include "harness/history/history.h"
#include "harness/report/environment.h"
#include "harness/scenario/scenario.h"

namespace ipctorture {

struct BundleContent {
  Scenario scenario;
  History history;
  Judgement judgement;
  Environment environment;
  std::string seed;     // and case, as flags of `run`: "g1:... --case 17"
  std::string replay;   // the command line that does it again
  std::string written;  // calendar_utc()
  std::string output;
  std::string stacks;
  std::string schedule;  // schedule.json, unread (harness/schedule/schedule_file.h); mostly empty
  std::string interleaving;  // likewise for people
  std::string truncated;     // non-empty: what was left out, in words; set by write_bundle
};

struct BundleLimits {
  std::uint64_t records = 3u << 19;     // 48 MiB
  std::uint64_t text_bytes = 1u << 20;  // of output and of stacks, each
  std::uint64_t evidence_entries = 10'000;
};

// Makes the folder `path`, which must not exist, all or nothing. Throws std::system_error.
void write_bundle(const std::string& path, const BundleContent& content,
                  const BundleLimits& limits = {});

// Reads one as hostile input: nothing outside the folder is read, sizes are bounded, every value is
// checked, the history passes history_faults. Throws std::runtime_error that names the file and the
// place. Witnesses refer to the records as loaded.
BundleContent load_bundle(const std::string& path);

}  // namespace ipctorture
