#include "stress/run_output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <filesystem>

#include "harness/report/bundle.h"
#include "harness/report/replay_line.h"
#include "stress/terminal.h"

namespace ipctorture {
namespace {

namespace fs = std::filesystem;

constexpr const char* default_parent = "ipctorture-out";

std::string random_hex() {
  std::uint32_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random) throw_system_error("getrandom", "");
  return fmt::format("{:08x}", random);
}

// Replaces ipctorture-out/latest in one step; whoever looks sees the old or the new.
void point_latest_to(const std::string& run) {
  const std::string temporary = fmt::format("{}/.latest-{}", default_parent, random_hex());
  const std::string latest = fmt::format("{}/latest", default_parent);
  if (::symlink(run.c_str(), temporary.c_str()) != 0) return;  // a convenience: no error
  if (::rename(temporary.c_str(), latest.c_str()) != 0) ::unlink(temporary.c_str());
}

// Answers the path. Another run may write into the same folder: a name is free once we have it.
std::string write_under_free_name(const std::string& wish, BundleContent& content) {
  std::string path = wish;
  for (unsigned i = 2;; ++i) {
    content.replay = replay_line(program_as_started(), path);
    try {
      if (!fs::exists(fs::symlink_status(path))) {
        write_bundle(path, content);
        return path;
      }
    } catch (const std::system_error& error) {
      const int code = error.code().value();
      if (code != EEXIST && code != ENOTEMPTY) throw;
    }
    path = fmt::format("{}-{}", wish, i);
  }
}

// What was said about one or all lanes by facts of some kinds, a paragraph each.
std::string said(const History& history, std::initializer_list<Fact> facts) {
  std::string text;
  for (const Evidence& evidence : history.evidence) {
    if (evidence.text.empty() ||
        std::find(facts.begin(), facts.end(), evidence.fact) == facts.end()) {
      continue;
    }
    const auto lane = static_cast<std::size_t>(std::max(evidence.lane, 0));
    const bool known = evidence.lane >= 0 && lane < history.lanes.size();
    text += fmt::format("[{}, {}]\n{}\n", known ? history.lanes[lane].name() : "scenario",
                        to_string(evidence.fact), evidence.text);
  }
  return text;
}

BundleContent content_of(const ScenarioResult& result, const std::string& seed,
                         const Schedule& schedule) {
  return {.scenario = result.scenario,
          .history = result.history,
          .judgement = result.judgement,
          .environment = this_environment(),
          .seed = seed,
          .written = calendar_utc(),
          .output = said(result.history, {Fact::died, Fact::sanitizer, Fact::worker_failed}),
          .stacks = said(result.history, {Fact::waiting_in}),
          .schedule = schedule.json,
          .interleaving = schedule.interleaving};
}

}  // namespace

std::string bundle_name(std::string_view transport, const Finding& finding) {
  std::string name =
      fmt::format("{}-{}-{}", transport, to_string(finding.promise), finding.symptom);
  for (char& c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-';
    if (!plain) c = '-';
  }
  name = name.substr(0, 80);
  return finding.verdict == Verdict::violation ? name : name + "-inconclusive";
}

std::string write_bundle_beside(const std::string& wish, const ScenarioResult& result,
                                const Schedule& schedule) {
  BundleContent content = content_of(result, "", schedule);
  return write_under_free_name(wish, content);
}

void refuse_unwritable(const Settings::Value& file) {
  struct stat status{};
  const bool exists = ::stat(file.text.c_str(), &status) == 0;
  if (exists && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) return;
  const Descriptor fd(::open(file.text.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (fd.valid()) return;
  throw UsageError(fmt::format("{}: cannot write '{}': {}", file.origin, file.text,
                               std::generic_category().message(errno)));
}

std::string default_output_directory() {
  fs::create_directories(default_parent);
  const std::string run = calendar_utc() + "-" + random_hex();
  const std::string path = fmt::format("{}/{}", default_parent, run);
  if (::mkdir(path.c_str(), 0755) != 0) throw_system_error("mkdir", path);
  point_latest_to(run);
  return path;
}

RunOutput::RunOutput(const std::string& directory) : path_(directory) {
  if (path_.empty()) {
    path_ = default_output_directory();
  } else {
    while (path_.size() > 1 && path_.ends_with('/')) path_.pop_back();
    fs::create_directories(path_);
  }
  const std::string results = path_ + "/results.jsonl";
  results_ = own_descriptor(
      ::open(results.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644), "open",
      results);
}

void RunOutput::append(std::string_view line) {
  const std::lock_guard lock(mutex_);
  [[maybe_unused]] const ssize_t written = ::write(results_.get(), line.data(), line.size());
}

std::string RunOutput::write_failure(const ScenarioResult& result, const Finding& finding,
                                     const std::string& seed, const Schedule& schedule) {
  const std::lock_guard lock(mutex_);
  const bool doubtful = finding.verdict != Verdict::violation;
  if (bundles_ >= bundles_max || (doubtful && doubtful_bundles_ >= doubtful_bundles_max)) return {};
  BundleContent content = content_of(result, seed, schedule);
  const std::string path = write_under_free_name(
      fmt::format("{}/{}", path_, bundle_name(result.scenario.transport_name(), finding)), content);
  ++bundles_;
  if (doubtful) ++doubtful_bundles_;
  return path;
}

}  // namespace ipctorture
