#include "stress/score_room.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>

#include "harness/base/descriptor.h"
#include "harness/base/prng.h"
#include "harness/report/presentable.h"

namespace ipctorture {
namespace {

constexpr std::uint64_t seeds_max = 1000;
constexpr std::uint64_t default_seed = 1;

unsigned seeds_of(const Settings& settings, unsigned otherwise) {
  const auto seeds = settings.find("seeds");
  return seeds ? static_cast<unsigned>(parse_count(*seeds, 1, seeds_max)) : otherwise;
}

std::string control_of(const Settings& settings) {
  const auto control = settings.find("control");
  return control ? std::to_string(parse_count(*control, 0, 100)) : "";
}

// Refused now rather than after an hour's runs.
std::string page_of(const Settings& settings) {
  const auto page = settings.find("page");
  if (!page || page->text.empty()) return {};
  refuse_unwritable(*page);
  return page->text;
}

std::uint64_t seed_of(const Settings& settings) {
  const auto seed = settings.find("seed");
  return seed ? parse_seed(*seed) : default_seed;
}

}  // namespace

ScoreRoom::ScoreRoom(const Settings& settings, unsigned default_seeds)
    : seeds_(seeds_of(settings, default_seeds)),
      seed_(seed_of(settings)),
      page_(page_of(settings)),
      control_(control_of(settings)),
      json_(settings.on("json")),
      terminal_(this_terminal(settings)),
      output_(settings.text_or("out", "")),
      watch_(&interrupted_, {.describe = [](const void*) { return std::string("  scoring\n"); },
                             .overdue = [](const void*) { return std::string(); },
                             .context = nullptr}) {}

ScoredRun ScoreRoom::run(const std::string& name, unsigned k, std::int64_t time_ns,
                         FailFast fail_fast) {
  if (terminal_.progress != ProgressForm::none) {
    print_note(fmt::format("{}, seed {} of {}\n", name, k + 1, seeds_));
  }
  const ScoredRun run = run_child({.name = name,
                                   .time_ns = time_ns,
                                   .seed = mix64(seed_ ^ mix64(k + 1)),
                                   .fail_fast = fail_fast,
                                   .control = control_,
                                   .out = fmt::format("{}/{}-{}", output_.path(), name, k + 1)},
                                  &interrupted_);
  if (run.harness_failed && !interrupted()) {
    print_note(fmt::format("ipctorture: the harness failed: {}: {}\n", name,
                           presentable(run.harness_failure, 400)));
  }
  return run;
}

void ScoreRoom::record(const std::string& line) {
  output_.append(line);
  if (json_) print_result(line);
}

void ScoreRoom::write_page(const std::string& text) const {
  if (page_.empty() || interrupted()) return;
  std::ofstream file(page_, std::ios::binary | std::ios::trunc);
  file << text;
  if (!file.flush()) throw_system_error("write", page_);
}

std::string machine_text() {
  utsname names{};
  ::uname(&names);
  const long cores = ::sysconf(_SC_NPROCESSORS_ONLN);
  return fmt::format("{} core{}, Linux {}, {}", cores, cores == 1 ? "" : "s", names.release,
                     names.machine);
}

std::string today() {
  const std::string now = calendar_utc();  // "20260131T..."
  return now.substr(0, 4) + "-" + now.substr(4, 2) + "-" + now.substr(6, 2);
}

}  // namespace ipctorture
