// One function per verb, each in the file of its name. They print results to standard output and
// answer an exit code; UsageError and other exceptions are command_line.cc's to report.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "stress/exit_code.h"
#include "stress/settings.h"

namespace ipctorture {

inline constexpr const char* version_text = "0.1.0";  // of CMakeLists.txt

// Which kinds of registrations a selection means beside the shipped ones, and what else has no
// place in a settings file.
struct Selection {
  std::vector<std::string> names;
  bool faulty = false;
  bool canary = false;
  bool dry_run = false;
  bool bench = false;
  std::string export_file;  // of run: where the history of its one scenario goes as a plain one
  std::string transport;    // of score: what is a pass on it worth?
  bool contracts = false;   // of list: those of plain histories instead
};

// Of recheck: one bundle, or the files of one plain history.
struct RecheckRequest {
  std::vector<std::string> paths;
  std::string contract;        // a plain history is meant when it is given
  std::uint64_t capacity = 0;  // 0: unbounded
  bool bench = false;
  std::string plot;         // of the benchmark: where its picture goes
  std::string export_file;  // of a bundle: where its history goes as a plain one
};

ExitCode list_transports(const Settings& settings, const Selection& selection);
ExitCode run_campaign(const Settings& settings, const Selection& selection);
ExitCode replay(const Settings& settings, const std::string& path);
// Does this bundle hold a schedule of the controlled engine?
bool is_controlled_bundle(const std::string& path);
ExitCode shrink_failure(const Settings& settings, const std::string& path);
ExitCode show_input(const Settings& settings, const std::string& path);
ExitCode recheck(const Settings& settings, const RecheckRequest& request);
ExitCode recheck_bundle(const Settings& settings, const std::string& path,
                        const std::string& export_file);
ExitCode list_contracts(const Settings& settings);
ExitCode explain_bundle(const Settings& settings, const std::string& path);

ExitCode merge(const Settings& settings, const std::vector<std::string>& folders);

ExitCode score(const Settings& settings, const Selection& selection);
ExitCode score_transport(const Settings& settings, const Selection& selection);

enum class Clean : unsigned char { no, yes };
ExitCode doctor(const Settings& settings, Clean clean);

}  // namespace ipctorture
