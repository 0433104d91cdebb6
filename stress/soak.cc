#include "stress/soak.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "harness/report/json_lines.h"
#include "harness/report/summary.h"

namespace ipctorture {
namespace {

constexpr std::int64_t ordinary_min_ns = 5'000'000'000;
constexpr std::int64_t ordinary_max_ns = 60'000'000'000;
constexpr std::int64_t look_at_memory_ns = 5'000'000'000;
constexpr unsigned failures_max = 3;  // soaks that end at once, one after the other
constexpr unsigned depth_max = 8;     // of processes

// Proportional set size, from smaps_rollup.
std::uint64_t memory_of(const std::string& process) {
  std::ifstream file(process + "/smaps_rollup");
  for (std::string word; file >> word;) {
    std::uint64_t kibibytes = 0;
    if (word == "Pss:" && file >> kibibytes) return kibibytes * 1024;
  }
  return 0;
}

std::uint64_t memory_of_tree(const std::string& process, unsigned depth) {
  std::uint64_t bytes = memory_of(process);
  std::error_code gone;  // it may be at any moment
  std::filesystem::directory_iterator task(process + "/task", gone);
  for (; !gone && task != std::filesystem::directory_iterator(); task.increment(gone)) {
    std::ifstream children(task->path() / "children");
    for (std::uint64_t child = 0; depth < depth_max && children >> child;) {
      bytes += memory_of_tree("/proc/" + std::to_string(child), depth + 1);
    }
  }
  return bytes;
}

// One soak after the other until the time is over.
class Soaks {
 public:
  Soaks(Engine& engine, Campaign& campaign, std::size_t transport, Instant until,
        const SoakListener& listener)
      : engine_(engine),
        campaign_(campaign),
        transport_(transport),
        until_(until),
        listener_(listener) {}

  SoakTally run() {
    unsigned failures = 0;
    for (std::uint64_t k = 1; failures < failures_max && !over(); ++k) {
      const Case one = campaign_.soak_case(transport_, k);
      const std::uint64_t before = tally_.rounds;
      if (!soak(one)) break;
      ++tally_.soaks;
      tally_.shape = soak_shape(one.scenario);
      failures = tally_.rounds - before > 1 ? 0 : failures + 1;
    }
    look_at_memory(monotonic_now());
    return tally_;
  }

 private:
  bool over() const { return monotonic_now() >= until_ || listener_.ended(); }

  // False: it cannot be had here.
  bool soak(const Case& one) {
    told_ = monotonic_now();
    const SoakPlan plan{.until = until_, .idle_core = has_idle_core(one.scenario)};
    try {
      const SoakResult result =
          run_soak(engine_, one.scenario, plan,
                   [&](const ScenarioResult& round) { return hear(one, round); });
      tally_.rounds += result.rounds;
      tally_.messages += result.messages;
      tally_.flowed_ns += result.flowed_ns;
      tally_.took_ns += result.took_ns;
    } catch (const std::exception& error) {
      campaign_.finish(one, {.harness_failure = error.what()});
    }
    return tally_.refusal.empty();
  }

  bool hear(const Case& one, const ScenarioResult& round) {
    if (!round.unsupported.empty()) {
      tally_.refusal = round.unsupported;
      return false;
    }
    CaseResult result = listener_.result_of(one, round);
    const Instant now = monotonic_now();
    result.elapsed_ns = now - std::exchange(told_, now);
    campaign_.finish(one, result);
    if (now - looked_ >= look_at_memory_ns) look_at_memory(now);
    listener_.after_round();
    return !listener_.ended();
  }

  void look_at_memory(Instant now) {
    looked_ = now;
    tally_.memory_bytes = std::max(tally_.memory_bytes, memory_of_this_tree());
  }

  Engine& engine_;
  Campaign& campaign_;
  const std::size_t transport_;
  const Instant until_;
  const SoakListener& listener_;
  SoakTally tally_;
  Instant looked_ = 0, told_ = 0;
};

}  // namespace

std::int64_t soak_share_ns(std::int64_t time_ns) {
  const std::int64_t least = std::min(time_ns / 2, ordinary_min_ns);
  return time_ns - std::clamp(time_ns / 10, least, ordinary_max_ns);
}

SoakTally soak(Engine& engine, Campaign& campaign, std::size_t transport, Instant until,
               const SoakListener& listener) {
  if (std::string why = campaign.soak_refusal_of(transport); !why.empty()) {
    return {.refusal = std::move(why)};
  }
  return Soaks(engine, campaign, transport, until, listener).run();
}

std::string soak_shape(const Scenario& s) {
  return fmt::format("{}x{}, up to {} B, capacity {}", s.producers, s.consumers,
                     s.largest_message(), s.capacity);
}

std::string json_soak(const std::string& transport, const SoakTally& tally) {
  return json_line({{"schema", json_lines_schema},
                    {"event", "soak"},
                    {"transport", transport},
                    {"soaks", tally.soaks},
                    {"shape", tally.shape},
                    {"rounds", tally.rounds},
                    {"messages", tally.messages},
                    {"flowed_ns", tally.flowed_ns},
                    {"took_ns", tally.took_ns},
                    {"memory_bytes", tally.memory_bytes},
                    {"refusal", tally.refusal}});
}

std::string soak_line(const std::string& transport, const SoakTally& tally) {
  if (!tally.refusal.empty()) {
    return fmt::format("{}: no soak: {}\n", transport, tally.refusal);
  }
  const double flowed = tally.took_ns == 0 ? 0
                                           : 100.0 * static_cast<double>(tally.flowed_ns) /
                                                 static_cast<double>(tally.took_ns);
  return fmt::format(
      "{} soaked for {} ({}): {} messages in {} rounds, flowing {:.0f} % of the time; at most {} "
      "MB\n",
      transport, human_duration(tally.took_ns), tally.shape,
      human_count(static_cast<double>(tally.messages)), tally.rounds, flowed,
      (tally.memory_bytes + 999'999) / 1'000'000);
}

std::uint64_t memory_of_this_tree() { return memory_of_tree("/proc/self", 0); }

}  // namespace ipctorture
