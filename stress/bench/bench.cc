#include "stress/bench/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <stdexcept>
#include <thread>

#include "harness/run_scenario.h"
#include "stress/bench/bare_loop.h"
#include "stress/bench/figure.h"
#include "stress/bench/peak_memory.h"
#include "stress/engine_room.h"
#include "stress/selection.h"
#include "stress/terminal.h"

namespace ipctorture {
namespace {

constexpr unsigned pairs = 11;
constexpr double side_seconds = 0.15;             // about how long one side of a traffic pair takes
constexpr std::uint64_t probe_messages = 20'000;  // to find out how many messages that is
constexpr std::uint64_t traffic_messages_max = 2'000'000;
constexpr Instant scenarios_side_ns = 200'000'000;
constexpr std::uint64_t long_history = 10'000'000;

// Traffic and nothing else: one producer, one consumer, no noise, no gaps.
Scenario plain_traffic(const Registration& transport, std::uint32_t size, std::uint64_t messages) {
  Scenario scenario;
  scenario.set_transport(transport.name);
  scenario.seed = 1;
  scenario.messages = messages;
  scenario.sizes[0] = size;
  scenario.fresh_workers = false;
  const std::uint32_t most = transport.contract.capacity_max;
  scenario.capacity = most > 0 ? std::min(bench_capacity, most) : bench_capacity;
  return scenario;
}

class Bench {
 public:
  Bench(const Settings& settings, bool everything)
      : terminal_(this_terminal(settings)),
        json_(settings.on("json")),
        quiet_(settings.on("quiet")),
        everything_(everything),
        room_(default_jobs()) {}

  ExitCode go(const std::vector<Selected>& transports) {
    for (const BareLoop& loop : bare_loops()) {
      if (chosen(transports, loop.transport)) traffic(loop);
    }
    if (chosen(transports, "shm_ring")) ring();
    if (everything_) {
      scenarios();
      check_long_history();
      deadlock();
    }
    if (!json_ && !figures_.empty()) print_result(figure_table(figures_, terminal_.results));
    return graver(code_, room_.exit_code());
  }

 private:
  static bool chosen(const std::vector<Selected>& transports, std::string_view name) {
    return std::any_of(transports.begin(), transports.end(),
                       [&](const Selected& one) { return one.registration->name == name; });
  }

  void tell(const std::string& what) const {
    if (!quiet_) print_note("bench: " + what + "\n");
  }

  void add(Figure figure) {
    if (json_) print_result(figure_json(figure));
    figures_.push_back(std::move(figure));
  }

  // False, and said, when the scenario did not run or broke a promise: then it measured nothing.
  bool sound(const ScenarioResult& result) {
    if (room_.interrupted()) return false;
    std::string problem = result.unsupported;
    const Finding* worst = result.judgement.worst();
    if (worst != nullptr && worst->verdict == Verdict::violation) {
      problem = worst->what;
      code_ = graver(code_, ExitCode::violation);
    }
    if (problem.empty()) return true;
    print_note(fmt::format("bench: {}: {}\n", result.scenario.transport_name(), problem));
    return false;
  }

  struct Tortured {
    double per_second = 0;
    double whole = 0;  // run and check, of the traffic alone
  };
  std::optional<Tortured> torture(const Scenario& scenario) {
    const Instant began = monotonic_now();
    const ScenarioResult result = run_scenario(room_.engine(0), scenario);
    const auto whole_ns = static_cast<double>(monotonic_now() - began);
    if (!sound(result)) return std::nullopt;
    const auto traffic_ns =
        static_cast<double>(std::max<std::int64_t>(result.traffic.traffic_ns, 1));
    return Tortured{.per_second = static_cast<double>(result.traffic.received) * 1e9 / traffic_ns,
                    .whole = whole_ns / traffic_ns};
  }

  void traffic(const BareLoop& loop) {
    const Registration& transport = *find_registration(loop.transport);
    for (const std::uint32_t size : {64u, 4096u}) {
      if (room_.interrupted()) return;
      const std::string name = fmt::format("{} {} B", loop.transport, size);
      tell(name);
      const double guess = messages_per_second(loop, size, probe_messages);
      const auto messages = std::clamp(static_cast<std::uint64_t>(guess * side_seconds),
                                       probe_messages, traffic_messages_max);
      const Scenario scenario = plain_traffic(transport, size, messages);
      if (!torture(scenario)) return;  // warm-up: touches the journal's pages
      std::vector<double> bare, ratios, wholes, rates;
      for (unsigned pair = 0; pair < pairs; ++pair) {
        bare.push_back(messages_per_second(loop, size, messages));
        const auto tortured = torture(scenario);
        if (!tortured) return;
        ratios.push_back(tortured->per_second / bare.back());
        rates.push_back(tortured->per_second);
        wholes.push_back(tortured->whole);
      }
      add({.name = name + ": of a bare loop",
           .unit = "x",
           .bound = size == 64 ? 0.8 : 0.7,
           .measured = median(ratios),
           .detail =
               fmt::format("{}/s of {}/s", human_count(median(rates)), human_count(median(bare)))});
      add({.name = name + ": run+check / traffic",
           .unit = "x",
           .asked = Asked::at_most,
           .bound = 1.3,
           .measured = median(wholes),
           .detail = fmt::format("{} messages", human_count(static_cast<double>(messages)))});
    }
  }

  void ring() {
    tell("shm_ring 64 B");
    const Scenario scenario = plain_traffic(*find_registration("shm_ring"), 64, 1'000'000);
    if (!torture(scenario)) return;
    std::vector<double> rates, wholes;
    for (unsigned pair = 0; pair < pairs; ++pair) {
      const auto tortured = torture(scenario);
      if (!tortured) return;
      rates.push_back(tortured->per_second);
      wholes.push_back(tortured->whole);
    }
    add({.name = "shm_ring 64 B: verified",
         .unit = "/s",
         .bound = 8e6,
         .measured = median(rates),
         .detail = "1M messages"});
    add({.name = "shm_ring 64 B: run+check / traffic",
         .unit = "x",
         .asked = Asked::at_most,
         .bound = 2,
         .measured = median(wholes),
         .detail = "1M messages"});
  }

  // How many of `scenario` a second, with `engines` at work; nothing when one did not run.
  std::optional<double> rate(const Scenario& scenario, unsigned engines) {
    std::atomic<std::uint64_t> done{0};
    std::atomic<bool> failed{false};
    const Instant began = monotonic_now();
    const auto work = [&](unsigned index) {
      while (monotonic_now() - began < scenarios_side_ns && !failed) {
        const ScenarioResult result = run_scenario(room_.engine(index), scenario);
        const bool broken = result.judgement.verdict() == Verdict::violation;
        if (!result.unsupported.empty() || broken || room_.interrupted()) failed = true;
        ++done;
      }
    };
    std::vector<std::thread> threads;
    for (unsigned i = 1; i < engines; ++i) threads.emplace_back(work, i);
    work(0);
    for (std::thread& thread : threads) thread.join();
    if (failed) return std::nullopt;
    return static_cast<double>(done) * 1e9 / static_cast<double>(monotonic_now() - began);
  }

  void scenarios() {
    const Registration* pipe = find_registration("pipe");
    if (pipe == nullptr) return;
    for (const unsigned engines : {1u, room_.size()}) {
      if (engines == 1 && room_.size() == 1) continue;
      tell(fmt::format("scenarios, {} at once", engines));
      std::vector<double> fresh, pooled;
      for (unsigned pair = 0; pair < pairs; ++pair) {
        Scenario scenario = plain_traffic(*pipe, 64, 10);
        const auto of_pooled = rate(scenario, engines);
        scenario.fresh_workers = true;
        const auto of_fresh = rate(scenario, engines);
        if (!of_pooled || !of_fresh) return;
        pooled.push_back(*of_pooled);
        fresh.push_back(*of_fresh);
      }
      const std::string name = fmt::format("scenarios 1x1x10, {} at once", engines);
      add({.name = name + ": fresh",
           .unit = "/s",
           .bound = 1000,
           .measured = median(fresh),
           .detail = "pipe"});
      add({.name = name + ": pooled",
           .unit = "/s",
           .bound = 8000,
           .measured = median(pooled),
           .detail = "pipe"});
    }
  }

  void check_long_history() {
    const Registration* ring = find_registration("shm_ring");
    if (ring == nullptr || room_.interrupted()) return;
    tell("a history of ten million messages");
    forget_peak();
    const ScenarioResult result =
        run_scenario(room_.engine(0), plain_traffic(*ring, 64, long_history));
    if (!sound(result)) return;
    const std::string detail = fmt::format(
        "{} messages over shm_ring", human_count(static_cast<double>(result.traffic.received)));
    add({.name = "check of 10M",
         .unit = "s",
         .asked = Asked::at_most,
         .bound = 1,
         .measured = static_cast<double>(result.traffic.check_ns) / 1e9,
         .detail = detail});
    add({.name = "check of 10M: memory",
         .unit = "MB",
         .asked = Asked::at_most,
         .bound = 2000,
         .measured = peak_bytes() / 1e6,
         .detail = detail});
  }

  void deadlock() {
    const Registration* canary = find_registration("canary_hang");
    if (canary == nullptr) return;
    std::vector<double> delays;
    for (unsigned pair = 0; pair < pairs; ++pair) {
      if (pair == 0) tell("a planted deadlock");
      Scenario scenario = plain_traffic(*canary, 64, 100);
      scenario.capacity = 8;
      const ScenarioResult result = run_scenario(room_.engine(0), scenario);
      const Stamp told = stamp_plain(result.history.stamps.source);
      if (room_.interrupted() || !result.unsupported.empty()) return;
      Stamp moved = 0;
      for (const LaneHistory& lane : result.history.lanes) {
        for (const Record& record : lane.records) {
          // Close is what the harness orders when it gave up.
          moved = std::max({moved, record.invoked, record.returned});
        }
      }
      if (!result.history.has(Fact::deadlocked)) {
        throw std::runtime_error("canary_hang was not reported as a deadlock");
      }
      delays.push_back(static_cast<double>(result.history.ns(told - moved)) / 1e6);
    }
    add({.name = "deadlock: until told",
         .unit = "ms",
         .asked = Asked::at_most,
         .bound = 500,
         .measured = median(delays),
         .detail = "with stacks"});
  }

  const Terminal terminal_;
  const bool json_, quiet_, everything_;
  EngineRoom room_;
  std::vector<Figure> figures_;
  ExitCode code_ = ExitCode::pass;
};

}  // namespace

ExitCode run_bench(const Settings& settings, const Selection& selection) {
  for (const char* other : {"time", "runs", "seed", "shard", "jobs", "launch", "junit", "out"}) {
    const auto value = settings.find(other);
    if (value && value->origin.starts_with("--")) {
      throw UsageError("--bench decides by itself what it runs: it takes no " + value->origin);
    }
  }
  SelectionRequest request{.names = selection.names, .exclude = settings.list("exclude")};
  const auto transports = select_transports(request, registrations());
  return Bench(settings, selection.names.empty()).go(transports);
}

}  // namespace ipctorture
