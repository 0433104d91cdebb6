#include "stress/under_control.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "harness/report/json_lines.h"
#include "stress/hand_over.h"
#include "stress/output_of.h"
#include "stress/settings.h"

namespace ipctorture {
namespace {

// It is our own program, of the same build; still, what it says is only read where it has the form.
void read_into(ControlledResult& result, const std::string& output) {
  const auto json = nlohmann::json::parse(output, nullptr, false);
  if (!json.is_object()) {
    result.harness_failure = "the controlled engine ended without a result";
    return;
  }
  result.tried = true;
  if (json.contains("schedules") && json["schedules"].is_number_unsigned()) {
    result.schedules += json["schedules"].get<std::uint64_t>();
  }
  if (json.contains("known") && json["known"].is_array()) {
    for (const auto& one : json["known"]) {
      if (!one.is_object()) continue;
      ControlledKnown& known = result.known[text_in(one, "fingerprint")];
      if (known.what.empty()) known.what = text_in(one, "what");
      known.histories += one.value("histories", std::uint64_t{0});
    }
  }
  result.doubt = text_in(json, "doubt");
  result.harness_failure = text_in(json, "harness_failure");
  if (!json.contains("failure") || !json["failure"].is_object()) return;
  const auto& failure = json["failure"];
  result.doubt.clear();
  result.promise = text_in(failure, "promise");
  result.fingerprint = text_in(failure, "fingerprint");
  result.what = text_in(failure, "what");
  result.bundle = text_in(failure, "bundle");
}

}  // namespace

UnderControl::UnderControl(std::string out, const Part& part, std::string known,
                           const std::atomic<bool>& stop)
    : out_(std::move(out)), part_(part), known_(std::move(known)), stop_(stop) {}

bool UnderControl::available() { return ::access(explorer_path().c_str(), X_OK) == 0; }

const ControlledResult& UnderControl::explore(const std::string& transport, std::int64_t time_ns) {
  ControlledResult& result = results_[transport];
  if (result.failed() || !result.harness_failure.empty() || time_ns <= 0 || stop_.load()) {
    return result;
  }
  const std::string resume = fmt::format("{}/explored-{}.json", out_, transport);
  // What an earlier run with the same --out covered is none of ours.
  if (!std::exchange(result.begun, true)) ::unlink(resume.c_str());
  const std::string output =
      output_of({explorer_path(), "explore", transport, "--time",
                 fmt::format("{}ms", std::max<std::int64_t>(time_ns / 1'000'000, 1)), "--seed",
                 seed_text(part_.seed), "--jobs", std::to_string(part_.jobs), "--shard",
                 fmt::format("{}/{}", part_.shard.index, part_.shard.count), "--resume", resume,
                 "--known", known_, "--json", "--quiet", "--out", out_ + "/under-control"},
                &stop_);
  if (!stop_.load() || !output.empty()) read_into(result, output);
  return result;
}

}  // namespace ipctorture
