#include "stress/failure_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

#include "harness/base/descriptor.h"
#include "harness/report/bundle.h"
#include "harness/report/environment.h"
#include "harness/scenario/codec.h"
#include "harness/scenario/fuzz_input_header.h"
#include "harness/scenario/scenario_input.h"
#include "stress/fuzz_file.h"
#include "stress/run_output.h"
#include "stress/selection.h"
#include "stress/settings.h"

namespace ipctorture {
namespace {

constexpr std::size_t scenario_bytes_max = 64 * 1024;

std::string read_scenario_file(const std::string& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) throw UsageError(path + ": " + std::generic_category().message(errno));
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    throw UsageError(path + ": is neither a bundle nor a scenario file");
  }
  std::string text(scenario_bytes_max + 1, 0);
  const ssize_t size = ::read(fd.get(), text.data(), text.size());
  if (size < 0) throw UsageError(path + ": " + std::generic_category().message(errno));
  if (static_cast<std::size_t>(size) > scenario_bytes_max) {
    throw UsageError(path + ": is above 64 KiB: no scenario");
  }
  text.resize(static_cast<std::size_t>(size));
  return text;
}

Scenario fuzzed_scenario(const std::string& path) {
  try {
    const ScenarioInput input = scenario_input_from_bytes(read_fuzz_file(path));
    return scenario_of(input, transport_named(input.transport).contract);
  } catch (const std::invalid_argument& error) {
    throw UsageError(path + ": " + error.what());
  }
}

// A case may break several promises; `run` writes a bundle for each, which differ by name alone.
std::string named_after(const std::string& path, const BundleContent& bundle) {
  const std::filesystem::path folder = std::filesystem::path(path + "/").parent_path();
  const std::string name = folder.lexically_normal().filename();
  std::string fits, found;
  for (const Finding& finding : bundle.judgement.findings) {
    if (finding.verdict != Verdict::violation) continue;
    const std::string wanted = bundle_name(bundle.scenario.transport_name(), finding);
    if (!name.starts_with(wanted) || wanted.size() <= fits.size()) continue;
    fits = wanted;
    found = fingerprint(finding);
  }
  return found;
}

}  // namespace

std::set<std::string> violations(const Judgement& judgement) {
  std::set<std::string> fingerprints;
  for (const Finding& finding : judgement.findings) {
    if (finding.verdict == Verdict::violation) fingerprints.insert(fingerprint(finding));
  }
  return fingerprints;
}

FailureFile load_failure(const std::string& path) {
  FailureFile again;
  if (std::filesystem::is_directory(path)) {
    try {
      const BundleContent bundle = load_bundle(path);
      again.scenario = bundle.scenario;
      again.fingerprints = violations(bundle.judgement);
      again.named = named_after(path, bundle);
      again.differences = environment_differences(bundle.environment, this_environment());
    } catch (const std::runtime_error& error) {
      throw UsageError(error.what());
    }
    return again;
  }
  const char kind = fuzz_file_letter(path);
  if (kind == scenario_input_letter) {
    again.scenario = fuzzed_scenario(path);
    return again;
  }
  if (kind == hostile_input_letter) {
    throw UsageError(path +
                     ": is what a hostile peer does: build/fuzz/fuzz_hostile_peer replays it");
  }
  if (kind != 0) {
    throw UsageError(fmt::format(
        "{}: is a fuzz input of kind '{}', which this program does not know", path, kind));
  }
  try {
    again.scenario = scenario_from_json(read_scenario_file(path));
  } catch (const std::invalid_argument& error) {
    throw UsageError(path + ": " + error.what());
  }
  return again;
}

std::string small_name(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  if (path.ends_with(".json")) path.resize(path.size() - 5);
  return path.ends_with("-small") ? path : path + "-small";
}

void refuse_unless_runnable(const Scenario& scenario) {
  const std::string name(scenario.transport_name());
  const Registration& registration = transport_named(name);
  const auto faults = scenario_faults(scenario, registration.contract);
  if (!faults.empty()) throw UsageError("the scenario does not suit " + name + ": " + faults[0]);
}

}  // namespace ipctorture
