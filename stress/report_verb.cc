#include "stress/report_verb.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "harness/base/descriptor.h"
#include "harness/report/folder.h"
#include "harness/report/night_page.h"
#include "stress/settings.h"
#include "stress/terminal.h"

namespace ipctorture {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t json_bytes_max = 1 << 20, results_bytes_max = 256u << 20,
                      log_bytes_max = 64u << 20, history_bytes_max = 64u << 20;
// GitHub refuses a step summary above 1 MiB as a whole.
constexpr std::size_t step_summary_bytes_max = 1'000'000, page_bytes_max = 16u << 20;
constexpr std::size_t found_max = 50;

// Empty when there is none; what it is instead is said in `trouble`.
std::string read_file(const FolderReader& folder, const std::string& name, std::size_t bytes_max,
                      std::string* trouble) {
  if (!folder.has(name)) return {};
  try {
    return folder.read(name, bytes_max);
  } catch (const std::runtime_error& error) {
    *trouble = error.what();
    return {};
  }
}

std::vector<std::string> names_in(const std::string& path, bool folders) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    const fs::file_status status = it->symlink_status(ignored);
    if (folders ? fs::is_directory(status) : fs::is_regular_file(status)) {
      names.push_back(it->path().filename());
    }
    if (names.size() >= 10'000) break;
  }
  std::ranges::sort(names);
  return names;
}

NightStep read_step(const std::string& night, const std::string& name) {
  const std::string path = night + "/" + name;
  std::string trouble;
  const FolderReader folder(path);
  StepFiles files{.folder = name,
                  .step = read_file(folder, "step.json", json_bytes_max, &trouble),
                  .results = read_file(folder, "results.jsonl", results_bytes_max, &trouble),
                  .log = read_file(folder, "log.txt", log_bytes_max, &trouble)};
  for (const std::string& one : names_in(path + "/found", false)) {
    if (files.found.size() < found_max) files.found.push_back(path + "/found/" + one);
  }
  NightStep step = read_night_step(files);
  if (!trouble.empty()) step.harness_failures.push_back(night_text(trouble));
  return step;
}

// Beside the nights, where nobody says otherwise.
std::string history_beside(const std::string& night) {
  std::error_code ignored;
  return (fs::weakly_canonical(night, ignored).parent_path() / "history.jsonl").string();
}

std::string read_history_file(const std::string& path, std::string* trouble) {
  const fs::path file(path);
  const std::string folder = file.has_parent_path() ? file.parent_path().string() : ".";
  std::error_code ignored;
  if (!fs::exists(fs::symlink_status(file, ignored))) return {};
  try {
    return FolderReader(folder).read(file.filename(), history_bytes_max);
  } catch (const std::runtime_error& error) {
    *trouble = error.what();
    return {};
  }
}

// In one step: whoever reads meanwhile, or a full disk, finds the old or the new, never a half.
void replace_file(const std::string& path, std::string_view text) {
  const std::string temporary = fmt::format("{}.tmp-{}", path, ::getpid());
  const Descriptor file = own_descriptor(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600),
      "open", temporary);
  const std::string_view all = text;
  while (!text.empty()) {
    const ssize_t written = ::write(file.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const int error = errno;
      ::unlink(temporary.c_str());
      throw_system_error("write", path, error);
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (!all.empty() && ::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    throw_system_error("rename to", path, error);
  }
}

void append_to(const std::string& path, std::string_view text) {
  const Descriptor file = own_descriptor(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), "open", path);
  while (!text.empty()) {
    const ssize_t written = ::write(file.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_system_error("write", path);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

// Only what lies under a name made of the failure's key is looked at.
void add_rates(const std::string& path, Night* night) {
  for (NightFailure& failure : night->failures) {
    std::error_code ignored;
    const std::string shrunk = path + "/shrunk/" + failure.key;
    const fs::file_status status = fs::symlink_status(shrunk, ignored);
    if (fs::exists(status)) failure.shrunk = shrunk;
    failure.became_bundle = failure.best.is_input && fs::is_directory(status);
    if (!fs::is_directory(path + "/rates", ignored)) continue;
    std::string trouble;
    const FolderReader rates(path + "/rates");
    failure.rate = read_hit_rate(read_file(rates, failure.key + ".json", json_bytes_max, &trouble));
  }
}

Night read_night(const ReportRequest& request, const std::string& history) {
  if (!fs::is_directory(request.folder)) {
    throw UsageError(request.folder + ": is no folder of a night");
  }
  std::string trouble;
  NightFrame frame = read_night_frame(
      read_file(FolderReader(request.folder), "night.json", json_bytes_max, &trouble));
  if (!trouble.empty()) frame.notes.push_back(night_text(trouble));
  if (frame.night.empty()) frame.night = night_text(fs::path(request.folder).filename().string());
  std::vector<NightStep> steps;
  for (const std::string& name : names_in(request.folder, true)) {
    if (!fs::exists(request.folder + "/" + name + "/step.json")) continue;
    if (steps.size() < night_steps_max) {
      steps.push_back(read_step(request.folder, name));
    }
  }
  std::ranges::sort(steps, {},
                    [](const NightStep& step) { return std::pair(step.started, step.name); });
  std::uint64_t unread = 0;
  auto earlier = read_history(history, &unread);
  Night night = merge_night(std::move(frame), std::move(steps), std::move(earlier));
  night.history_unread = unread;
  add_rates(request.folder, &night);
  return night;
}

// A line for each: key, name of the step, path. Fields have no tab: see night_text.
void tell_unrated(const Night& night) {
  for (const NightFailure& failure : night.failures) {
    if (failure.rate || failure.best.bundle.empty()) continue;
    print_result(fmt::format("{}\t{}\t{}\t{}\n", failure.key,
                             failure.best.is_input ? "input" : "bundle", failure.step,
                             failure.best.bundle));
  }
}

ExitCode exit_code_of(const NightStep& step) {
  if (step.superseded) return ExitCode::pass;
  switch (step.state) {
    case StepState::not_run:
    case StepState::running:
      return ExitCode::harness_failed;
    case StepState::interrupted:
      return ExitCode::interrupted;
    case StepState::finished:
      break;
  }
  if (!step.harness_failures.empty()) return ExitCode::harness_failed;
  // A fuzz target's 1 says only that it failed; its finds are failures of their own.
  const bool fuzz = step.fuzz.has_value();
  if (step.exit_code == 0) return ExitCode::pass;
  if (step.exit_code == 1 && (!fuzz || !step.sightings.empty())) return ExitCode::violation;
  if (step.exit_code == 2 && !fuzz) return ExitCode::inconclusive;
  if (step.exit_code == 69) return ExitCode::unsupported;
  return ExitCode::harness_failed;
}

}  // namespace

ExitCode exit_code_of(const Night& night) {
  ExitCode code = ExitCode::pass;
  for (const NightStep& step : night.steps) code = graver(code, exit_code_of(step));
  for (const NightBuild& build : night.frame.builds) {
    if (!build.why.empty()) code = graver(code, ExitCode::harness_failed);
  }
  for (const NightFailure& failure : night.failures) {
    if (!failure.best.known) code = graver(code, ExitCode::violation);
  }
  if (!night.frame.ended_by.empty()) {
    const bool by_hand = night.frame.ended_by == "SIGINT";
    code = graver(code, by_hand ? ExitCode::interrupted : ExitCode::terminated);
  }
  if (night.steps.empty() && night.frame.ended_by.empty())
    code = graver(code, ExitCode::harness_failed);
  return code;
}

ExitCode report_night(const ReportRequest& request) {
  std::string trouble;
  const std::string history = read_history_file(
      request.history.empty() ? history_beside(request.folder) : request.history, &trouble);
  Night night = read_night(request, history);
  if (!trouble.empty()) night.frame.notes.push_back(night_text("earlier nights: " + trouble));
  if (request.unrated) {
    tell_unrated(night);
    return ExitCode::pass;
  }
  const ExitCode code = exit_code_of(night);
  const int number = static_cast<int>(code);
  const Page page = night_page(night, number);
  const std::string out = request.out.empty() ? request.folder : request.out;
  print_result(request.annotate ? night_annotations(night, number) : night_digest(night, number));
  try {
    fs::create_directories(out);
    replace_file(out + "/report.md", page.markdown(page_bytes_max));
    replace_file(out + "/report.html", page.html(page_bytes_max));
    if (!request.step_summary.empty()) {
      append_to(request.step_summary, page.markdown(step_summary_bytes_max));
    }
    if (!request.history.empty() && trouble.empty()) {
      replace_file(request.history, add_to_history(history, figures_of(night, number)));
    }
    if (!request.annotate) print_result(fmt::format("page: {}/report.html\n", out));
  } catch (const std::system_error& error) {
    print_note(fmt::format("ipctorture: the report could not be written: {}\n", error.what()));
    if (!request.annotate) print_result(page.markdown(page_bytes_max));
    return graver(code, ExitCode::harness_failed);
  }
  return code;
}

}  // namespace ipctorture
