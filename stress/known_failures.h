// known.toml: failures that a team knows and lives with for now. `run` and `explore` report them as
// known and go on past them; docs/known-failures.md says what a user sees.
//
//   [[known]]
//   transport = "pipe"              # a name or a glob; every transport when it is left out
//   fingerprint = "order/..."       # as a run prints it
//   reason = "waits for a fix"
//   link = "https://..."            # may be left out
//   expires = 2027-01-31            # the last day on which it counts (UTC)
//   bundle = "bundles/pipe-order"   # may be left out; from the folder of known.toml: shows it
//   still
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "harness/report/tally.h"
#include "stress/selection.h"
#include "stress/settings.h"

namespace ipctorture {

struct KnownFailure {
  std::string transport = "*";
  std::string fingerprint, reason, link;
  std::string expires;  // "2027-01-31"
  std::string bundle;   // the path to open; empty: none
  std::string where;    // "known.toml:3"

  bool covers(std::string_view name) const;
};

// The text of such a file. Throws UsageError that begins with file and line.
std::vector<KnownFailure> parse_known(std::string_view text, const std::string& file);

// The file's name: the setting "known", else known.toml where there is one; empty: none (also when
// the setting is empty).
std::string known_file(const Settings& settings);

// The entries that are about the transports of one command. A value; const functions may be called
// from any thread.
class KnownFailures {
 public:
  KnownFailures() = default;
  // `today`: "2026-11-29". Throws UsageError for an entry whose transport does not exist.
  KnownFailures(std::vector<KnownFailure> entries, const std::vector<Selected>& transports,
                std::string today);

  // The first entry of that failure which has not expired; null: it is not known.
  const KnownFailure* find(std::string_view transport, std::string_view fingerprint) const;
  // All fingerprints that find() knows of this transport, each once.
  std::vector<std::string> fingerprints_of(std::string_view transport) const;
  const std::vector<KnownFailure>& entries() const { return entries_; }
  bool expired(const KnownFailure& entry) const { return entry.expires < today_; }
  // Each entry as unseen, or as expired.
  std::vector<KnownEntryTally> tallies() const;

 private:
  std::vector<KnownFailure> entries_;
  std::string today_;
};

// Reads known_file(), for these transports, today. Throws UsageError.
KnownFailures read_known_failures(const Settings& settings,
                                  const std::vector<Selected>& transports);

}  // namespace ipctorture
