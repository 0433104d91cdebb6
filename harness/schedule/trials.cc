#include "harness/schedule/trials.h"

#include <fmt/format.h>

#include <algorithm>

namespace ipctorture::schedule {
namespace {

constexpr unsigned kill_walks = 40;

std::string shape(const Scenario& s) {
  return std::to_string(s.producers) + "x" + std::to_string(s.consumers) + ", " +
         std::to_string(s.messages) + (s.messages == 1 ? " message" : " messages");
}

class Portfolio {
 public:
  Portfolio(std::string_view transport, const Contract& contract, std::uint64_t seed)
      : contract_(contract) {
    base_.set_transport(transport);
    base_.seed = seed;
    base_.capacity = 2;
    base_.sizes[0] = std::clamp<std::uint32_t>(24, contract.message_min, contract.message_max);
    if (contract.fan_out == FanOut::broadcast) base_.workload = Workload::broadcast;
    if (contract.delivery == Delivery::latest_value) base_.workload = Workload::latest_value;
  }

  std::vector<Trial> make() {
    const Scenario small = sized(1, 1, 3), medium = sized(1, 1, 6), crowd = sized(2, 2, 2);
    const Scenario timed = with_deadlines(sized(1, 1, 3)), odd = at_the_edges(sized(1, 1, 3));
    // What shows only after a while needs no rare interleaving: the default schedule of a long one.
    const Scenario lengthy = sized(1, 1, 24);
    exhaust(small, Backend::processes, 1);
    exhaust(lengthy, Backend::processes, 0);
    exhaust(with_deadlines(lengthy), Backend::processes, 0);
    exhaust(at_the_edges(lengthy), Backend::processes, 0);
    if (contract_.consumers_max > 1 || contract_.producers_max > 1) {
      exhaust(with_deadlines(sized(2, 2, 8)), Backend::processes, 0);
    }
    kills(0);
    exhaust(crowd, Backend::processes, 2);
    trials_.back().share = 0.02;  // what is not completed is begun anew below
    wander_briefly({with_deadlines(lengthy), at_the_edges(lengthy), lengthy});
    exhaust_fast(medium, 2);
    exhaust(small, Backend::processes, 1, Extra::questions);
    exhaust_fast(small, 1, Extra::weak);
    kills(kill_walks);
    exhaust(crowd, Backend::processes, 1);
    exhaust_fast(crowd, 1);
    latecomers();
    shortages(1);
    hostile(1);
    for (std::uint64_t draw = 0; draw < 3; ++draw) {
      Scenario other = timed;
      other.seed += draw;
      exhaust(other, Backend::processes, 1, Extra::none, draw);
    }
    exhaust_fast(timed, 2);
    exhaust(odd, Backend::processes, 1, Extra::questions);
    exhaust_fast(medium, 2, Extra::weak);
    wander_all({small, crowd, timed, odd, with_deadlines(lengthy)}, 0.04);
    exhaust(crowd, Backend::processes, 2);
    exhaust(small, Backend::processes, 2);
    exhaust_fast(medium, 3);
    exhaust_fast(crowd, 2);
    exhaust(small, Backend::processes, 2, Extra::questions);
    shortages(2);
    hostile(2);
    wander_all({medium, crowd, timed, odd}, 0.12);  // again and again, until the time is over
    return std::move(trials_);
  }

 private:
  enum class Extra { none, weak, questions, shortages, hostile };

  Scenario sized(std::uint32_t producers, std::uint32_t consumers, std::uint64_t messages) const {
    Scenario s = base_;
    s.producers = std::min(producers, contract_.producers_max);
    s.consumers = std::min(consumers, contract_.consumers_max);
    s.messages = messages;
    return s;
  }

  Scenario with_deadlines(Scenario s) const { return timed(std::move(s), contract_); }
  // One place, counters about to wrap, sizes from the least to several cache lines.
  Scenario at_the_edges(Scenario s) const {
    s.capacity = 1;
    s.counter_start = (std::uint64_t{1} << 32) - 2;
    s.size_count = 3;
    const auto within = [&](std::uint32_t size) {
      return std::clamp(size, contract_.message_min, contract_.message_max);
    };
    s.sizes = {within(8), within(41), within(200)};
    if (contract_.message_max < UINT32_MAX) s.oversize_permille = 200;
    if (s.workload == Workload::latest_value) s.repeat_permille = 400;
    return s;
  }

  // Two of them are more than a page.
  Scenario large(Scenario s) const {
    s.sizes[0] = std::clamp<std::uint32_t>(2100, contract_.message_min, contract_.message_max);
    return s;
  }

  void add(const Scenario& s, Backend backend, TrialKind kind, Extra extra, double share,
           unsigned bound, std::string what) {
    Trial trial{.scenario = s, .backend = backend, .kind = kind, .bound = bound, .share = share};
    trial.weak_memory = extra == Extra::weak;
    trial.questions = extra == Extra::questions;
    trial.shortages = extra == Extra::shortages;
    trial.name = shape(s) + ", " + std::move(what);
    if (s.send_deadlines.now_permille + s.send_deadlines.at_permille > 0) trial.name += ", timed";
    if (s.oversize_permille > 0) trial.name += ", odd sizes";
    if (s.sizes[0] > base_.sizes[0]) trial.name += ", large";
    if (trial.weak_memory) trial.name += ", stale loads";
    trial.hostile = extra == Extra::hostile;
    if (trial.hostile) trial.name += ", a hostile peer";
    if (trial.shortages) trial.name += ", failing calls";
    if (trial.questions) trial.name += ", short and interrupted calls";
    trial.name += ", " + std::string(to_string(backend));
    trials_.push_back(std::move(trial));
  }

  // `draw`: which deadlines, sizes and priorities.
  void exhaust(const Scenario& s, Backend backend, unsigned bound, Extra extra = Extra::none,
               std::uint64_t draw = 0) {
    add(s, backend, TrialKind::exhaust, extra, 0.1, bound,
        "up to " + std::to_string(bound) + (bound == 1 ? " departure" : " departures") +
            (draw > 0 ? ", draw " + std::to_string(draw + 1) : ""));
  }
  // In fibers where that is allowed; there a bound costs a tenth.
  void exhaust_fast(const Scenario& s, unsigned bound, Extra extra = Extra::none) {
    const bool fibers = contract_.may_share_address_space;
    exhaust(s, fibers ? Backend::fibers : Backend::processes,
            fibers ? bound : std::min(bound, 1u + (s.lanes() == 2 ? 1u : 0u)), extra);
  }

  void wander_briefly(const std::vector<Scenario>& scenarios) {
    for (const Scenario& s : scenarios) {
      add(s, Backend::processes, TrialKind::wander, Extra::none, 0.005, 0, "at random");
    }
  }

  // A random share of both backends, the processes' about a third.
  void wander_all(const std::vector<Scenario>& scenarios, double share) {
    const std::vector<Backend> backends =
        contract_.may_share_address_space
            ? std::vector{Backend::fibers, Backend::processes, Backend::fibers}
            : std::vector{Backend::processes};
    std::size_t turn = 0;
    for (const Backend backend : backends) {
      for (const Scenario& s : scenarios) {
        const Extra extras[] = {Extra::none, Extra::weak, Extra::questions, Extra::shortages};
        add(s, backend, TrialKind::wander, extras[turn++ % 4],
            share / static_cast<double>(backends.size() * scenarios.size()) * 4, 0, "at random");
      }
    }
  }

  // Attaching is part of the schedule: the late lane comes while the others are at it.
  Scenario with_latecomers() const {
    Scenario s = sized(2, 2, 2);
    if (!let_come_late(s, contract_)) return sized(1, 1, 2);
    s.producers = 1 + s.late_producers;
    s.consumers = 1 + s.late_consumers;
    return s;
  }

  void latecomers() {
    const Scenario s = with_latecomers();
    if (s.late_producers + s.late_consumers == 0) return;
    add(s, Backend::processes, TrialKind::exhaust, Extra::none, 0.1, 1,
        "the last comes late, up to 1 departure");
    add(s, Backend::processes, TrialKind::wander, Extra::none, 0.02, 0,
        "the last comes late, at random");
  }

  // Calls fail as on a machine that is full; in attaching, too, where a lane may come late.
  void shortages(unsigned bound) {
    const Scenario late = with_latecomers();
    if (late.late_producers + late.late_consumers > 0) {
      exhaust(late, Backend::processes, bound, Extra::shortages);
    }
    exhaust(with_deadlines(sized(1, 1, 3)), Backend::processes, bound, Extra::shortages);
    exhaust(large(sized(1, 1, 2)), Backend::processes, bound, Extra::shortages);
  }

  // Only where something is promised of it.
  void hostile(unsigned bound) {
    if (contract_.hostile != Hostile::only_errors) return;
    exhaust(sized(1, 1, 3), Backend::processes, bound, Extra::hostile);
    exhaust(with_deadlines(sized(1, 1, 3)), Backend::processes, bound, Extra::hostile);
  }

  // At every step of the default schedule, and of so many random ones.
  void kills(unsigned walks) {
    const bool producer = contract_.survives_producer_death;
    const bool consumer = contract_.survives_consumer_death;
    if (producer) kill(sized(1, 1, 3), Role::producer, walks);
    if (consumer) kill(sized(1, 1, 3), Role::consumer, walks);
    if (producer && contract_.producers_max > 1) kill(sized(2, 1, 2), Role::producer, walks);
    if (consumer && contract_.consumers_max > 1) kill(sized(1, 2, 3), Role::consumer, walks);
  }

  void kill(Scenario s, Role role, unsigned walks) {
    Trial trial{.scenario = std::move(s)};
    let_die(trial, role, contract_);
    add(trial.scenario, Backend::processes, TrialKind::kill, Extra::none, 0.15, 0,
        fmt::format("{} killed at every point{}",
                    role == Role::producer ? "a producer" : "a consumer",
                    walks > 0 ? " of random schedules" : ""));
    Trial& added = trials_.back();
    added.late_lanes = trial.late_lanes;
    added.kill_lanes = trial.kill_lanes;
    added.kill_walks = walks;
    added.scenario.faults.same_identity = contract_.rejoins && walks > 0;
  }

  const Contract contract_;
  Scenario base_;
  std::vector<Trial> trials_;
};

}  // namespace

Scenario timed(Scenario s, const Contract& contract) {
  const DeadlineMix mix{.now_permille = static_cast<std::uint16_t>(contract.deadline_now ? 300 : 0),
                        .at_permille = static_cast<std::uint16_t>(contract.deadline_at ? 300 : 0),
                        .at_us = 5'000'000};
  s.send_deadlines = s.receive_deadlines = mix;
  return s;
}

bool let_die(Trial& trial, Role role, const Contract& contract) {
  const bool produces = role == Role::producer;
  if (!(produces ? contract.survives_producer_death : contract.survives_consumer_death)) {
    return false;
  }
  Scenario& s = trial.scenario;
  const std::uint32_t first = produces ? 0 : s.producers;
  const std::uint32_t count = produces ? s.producers : s.consumers;
  const bool may_follow = produces || contract.late_consumer != LateConsumer::unsupported;
  if (may_follow && produces) ++s.producers, s.late_producers = 1;
  if (may_follow && !produces) ++s.consumers, s.late_consumers = 1;
  trial.backend = Backend::processes;
  trial.kind = TrialKind::kill;
  trial.late_lanes = LateLanes::succeed;
  trial.kill_lanes = ((1u << count) - 1) << first;
  return true;
}

bool let_come_late(Scenario& s, const Contract& contract) {
  const bool consumer = contract.late_consumer != LateConsumer::unsupported &&
                        contract.consumers_max > 1 && s.consumers > 1;
  const bool producer = contract.late_producer && contract.producers_max > 1 && s.producers > 1;
  s.late_producers = producer ? 1 : 0;
  s.late_consumers = consumer ? 1 : 0;
  return consumer || producer;
}

std::vector<Trial> portfolio(std::string_view transport, const Contract& contract,
                             std::uint64_t seed) {
  return Portfolio(transport, contract, seed).make();
}

Contract with_successors(const Contract& contract) {
  Contract more = contract;
  ++more.producers_max;
  ++more.consumers_max;
  more.late_producer = true;
  if (more.late_consumer == LateConsumer::unsupported) more.late_consumer = LateConsumer::backlog;
  return more;
}

}  // namespace ipctorture::schedule
