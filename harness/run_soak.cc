#include "harness/run_soak.h"

#include <sched.h>

#include <future>
#include <optional>
#include <utility>

namespace ipctorture {
namespace {

// One round at a time: the next is judged when this one is, since it goes on from there.
class Rounds final : public Engine::RoundJudge {
 public:
  Rounds(const Scenario& scenario, const Contract& contract, bool aside,
         const std::function<bool(const ScenarioResult&)>& told)
      : scenario_(scenario), contract_(contract), aside_(aside), told_(told) {}

  bool take(Engine::Run&& round) override {
    if (!settle()) return false;
    result_.flowed_ns += round.round.flowed_ns;
    const bool last = round.round.last;
    ScenarioResult& next = waiting_.emplace();
    next.scenario = scenario_;
    next.scenario.messages = round.round.messages;
    next.options = std::move(round.options);
    const bool beside = aside_ && !last;
    next.history = beside ? detached(std::move(round.history)) : std::move(round.history);
    next.history.goes_on = !last;
    next.history.unreceived = std::move(unreceived_);
    next.history.unreceived_known = unreceived_known_;
    next.traffic = round.traffic;
    judged_ = std::async(beside ? std::launch::async : std::launch::deferred,
                         [this] { judge(*waiting_); });
    return beside || settle();
  }

  // Waits for the verdict that is due, and tells it.
  bool settle() {
    if (!waiting_) return !ended_;
    judged_.get();
    ScenarioResult done = std::move(*waiting_);
    waiting_.reset();
    ++result_.rounds;
    result_.messages += done.traffic.received;
    const bool broken = done.judgement.verdict() == Verdict::violation;
    ended_ = !told_(done) || broken;
    unreceived_ = std::move(done.judgement.unreceived);
    unreceived_known_ = done.judgement.unreceived_known;
    return !ended_;
  }
  SoakResult& result() { return result_; }

 private:
  void judge(ScenarioResult& round) const {
    const Instant began = monotonic_now();
    round.judgement = check({round.history, contract_, round.scenario});
    round.traffic.check_ns = monotonic_now() - began;
  }

  const Scenario& scenario_;
  const Contract& contract_;
  const bool aside_;
  const std::function<bool(const ScenarioResult&)>& told_;
  std::optional<ScenarioResult> waiting_;
  std::future<void> judged_;
  std::vector<Unreceived> unreceived_;
  bool unreceived_known_ = true, ended_ = false;
  SoakResult result_;
};

}  // namespace

bool has_idle_core(const Scenario& scenario) {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return false;
  return static_cast<unsigned>(CPU_COUNT(&allowed)) > scenario.lanes();
}

SoakResult run_soak(Engine& engine, const Scenario& scenario, const SoakPlan& plan,
                    const std::function<bool(const ScenarioResult&)>& told) {
  const Registration& registration = runnable(scenario);
  const Instant began = monotonic_now();
  Rounds rounds(scenario, registration.contract, plan.idle_core, told);
  const Soak soak{.until = plan.until, .round_ns = plan.round_ns};
  Engine::Run last = engine.run(scenario, registration, soak, rounds);
  if (!last.unsupported.empty()) {
    told({.scenario = scenario, .unsupported = std::move(last.unsupported)});
    return rounds.result();
  }
  rounds.take(std::move(last));
  rounds.result().took_ns = monotonic_now() - began;
  return rounds.result();
}

}  // namespace ipctorture
