#include "harness/launch/nemesis.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <exception>

#include "harness/launch/worker.h"

namespace ipctorture {
namespace {

constexpr std::int64_t look_often_ns = 50'000;
constexpr std::int64_t look_ns = 1'000'000;
constexpr std::int64_t often_for_ns = 30'000'000;
constexpr std::int64_t moment_patience_ns = 5'000'000;
constexpr unsigned attempts_max = 20;

constexpr std::size_t index_of(Role role) { return role == Role::producer ? 0 : 1; }

std::uint64_t own_progress(const LaneHeader& header, Role role) {
  return (role == Role::producer ? header.accepted : header.received)
      .load(std::memory_order_relaxed);
}

}  // namespace

Nemesis::Nemesis(Crew& crew, Watch& watch, const Scenario& scenario,
                 const std::vector<LanePlan>& plans)
    : crew_(crew),
      watch_(watch),
      scenario_(scenario),
      plans_(plans),
      prng_(mix64(scenario.seed ^ 0x6e656d65736973)),  // not what the workers draw
      signals_left_(scenario.faults.signals),
      signalled_(scenario.lanes()),
      heads_(scenario.lanes()),
      gone_(worker_count(scenario)) {
  plan(Role::producer, scenario.faults.producer_kills);
  plan(Role::consumer, scenario.faults.consumer_kills);
  const std::uint64_t all = 2 * scenario.messages * scenario.producers;
  for (std::uint32_t i = 0; i < scenario.faults.pauses; ++i) {
    stops_.push_back({.after = prng_.below(all / (scenario.faults.pauses + 1) + 1)});
  }
}

Nemesis::~Nemesis() {
  try {
    let_go();
  } catch (const std::exception&) {
    // The socket to the zygote is gone, and so the workers are.
  }
}

// Kills with a successor each may come within one life; others share the traffic among them.
void Nemesis::plan(Role role, std::uint32_t kills) {
  if (kills == 0) return;
  const Scenario& s = scenario_;
  const std::uint64_t late = role == Role::producer ? s.late_producers : s.late_consumers;
  const std::uint64_t all = role == Role::producer
                                ? s.messages * (s.producers - std::min<std::uint64_t>(late, kills))
                                : s.messages * s.producers / (kills + 1);
  const std::uint64_t most = role == Role::producer ? all / (1 + kills - late) : all;
  for (std::uint32_t i = 0; i < kills; ++i) {
    constexpr Moment moments[] = {Moment::any,  Moment::inside,   Moment::busy,
                                  Moment::busy, Moment::attached, Moment::others_blocked};
    const Moment moment = moments[prng_.below(std::size(moments))];
    const std::uint64_t after = prng_.below(most + 1);
    kills_[index_of(role)].push_back({moment, moment == Moment::attached ? 0 : after});
  }
}

void Nemesis::begin() {
  begun_ = true;
  busy_until_ = monotonic_now() + often_for_ns;
  remember_heads();
}

void Nemesis::act(Instant now) {
  forget_missed();
  if (held_) go_on(now);
  if (signals_left_ > 0 && now >= next_signal_) send_signal(now);
  if (!begun_) return;
  kill_one(Role::producer, now);
  kill_one(Role::consumer, now);
  stop_one(now);
  remember_heads();
}

Instant Nemesis::next_look(Instant now) const {
  const bool waits = !kills_[0].empty() || !kills_[1].empty() || !stops_.empty();
  Instant next = now + 1'000'000'000;
  if (begun_ && waits) next = now + (now < busy_until_ ? look_often_ns : look_ns);
  if (!victims_.empty()) next = std::min(next, now + look_ns);
  if (held_) next = std::min(next, held_->going_on ? now + look_ns : held_->until);
  if (held_ && held_->to_die) next = now + look_often_ns;
  if (signals_left_ > 0) next = std::min(next, std::max(next_signal_, now + look_often_ns));
  return next;
}

bool Nemesis::finish() {
  rushing_ = true;
  const bool killed = kills_[0].empty() && kills_[1].empty() && victims_.empty();
  const bool stopped = !held_ && (stops_.empty() || stops_done_ > 0);
  return killed && stopped;
}

// --- kills
// -----------------------------------------------------------------------------------------

void Nemesis::kill_one(Role role, Instant now) {
  const std::size_t r = index_of(role);
  if (kills_[r].empty()) return;
  // One after the other: the next may be a successor.
  const bool dying = std::any_of(victims_.begin(), victims_.end(), [&](const Victim& v) {
    return std::any_of(plans_.begin(), plans_.end(), [&](const LanePlan& plan) {
      return plan.worker == v.worker && plan.role == role;
    });
  });
  if (dying || (held_ && held_->to_die)) return;
  const Strike& next = kills_[r].front();
  const std::uint64_t done = progress(role) - since_[r];
  if (done < next.after && !rushing_) return;
  if (due_since_[r] == 0) due_since_[r] = now;
  std::vector<unsigned> lanes = candidates(role, next.moment);
  Moment moment = next.moment;
  if (lanes.empty() && (rushing_ || now - due_since_[r] >= moment_patience_ns)) {
    moment = Moment::any;
    lanes = candidates(role, moment);
    if (lanes.empty() && rushing_ && !can_still_be_spared(role)) kills_[r].clear();
  }
  if (lanes.empty()) return;
  const unsigned lane = lanes[prng_.below(lanes.size())];
  if ((moment == Moment::inside || moment == Moment::busy) && attempts_ < attempts_max) {
    if (!held_) catch_inside(lane, moment, now);
    return;
  }
  kill(lane, moment, done);
  strike_done(role, now);
}

void Nemesis::strike_done(Role role, Instant now) {
  const std::size_t r = index_of(role);
  attempts_ = 0;
  kills_[r].pop_front();
  due_since_[r] = 0;
  since_[r] = progress(role);
  busy_until_ = now + often_for_ns;
}

std::vector<unsigned> Nemesis::candidates(Role role, Moment moment) const {
  std::vector<unsigned> lanes;
  for (const LanePlan& plan : plans_) {
    if (plan.role == role && can_die(plan)) lanes.push_back(plan.lane);
  }
  if (lanes.size() < 2 && !successor_waits(role)) return {};
  std::erase_if(lanes, [&](unsigned lane) {
    switch (moment) {
      case Moment::inside:
        return !inside(lane);
      case Moment::busy:
        return crew_.lane(lane).header().head.load(std::memory_order_relaxed) == heads_[lane];
      case Moment::attached:
        return crew_.lane(lane).header().head.load(std::memory_order_relaxed) > 1;
      case Moment::others_blocked:
        return !other_blocked(lane);
      default:
        return false;
    }
  });
  return lanes;
}

bool Nemesis::can_die(const LanePlan& plan) const {
  const LaneState state = crew_.lane(plan.lane).state();
  const bool there = state == LaneState::ready || state == LaneState::running ||
                     state == LaneState::parked || state == LaneState::sent_all;
  const bool held = held_ && held_->worker == plan.worker;
  return there && !held && !plan.leaves_early && lives(plan);
}

// Nobody can be killed just now; later somebody can: one is on its way in, or stopped.
bool Nemesis::can_still_be_spared(Role role) const {
  const auto present = std::count_if(plans_.begin(), plans_.end(), [&](const LanePlan& plan) {
    const Lane lane = crew_.lane(plan.lane);
    return plan.role == role && lives(plan) && lane.header().order.load() != 0 &&
           lane.state() < LaneState::closing;
  });
  return present > 1 || (present == 1 && successor_waits(role));
}

bool Nemesis::successor_waits(Role role) const {
  return std::any_of(plans_.begin(), plans_.end(), [&](const LanePlan& plan) {
    const Lane lane = crew_.lane(plan.lane);
    return plan.role == role && plan.late && lives(plan) && lane.state() == LaneState::idle &&
           lane.header().order.load() == 0;
  });
}

void Nemesis::kill(unsigned lane, Moment moment, std::uint64_t messages) {
  constexpr std::string_view moments[] = {"", ", inside an operation", ", at work in an operation",
                                          ", just attached", ", while another is held up"};
  victims_.push_back({.worker = plans_[lane].worker,
                      .from = watch_.stamp(),
                      .text = fmt::format("SIGKILL after {} messages{}", messages,
                                          moments[static_cast<unsigned>(moment)])});
  crew_.kill(plans_[lane].worker);
}

bool Nemesis::claims(const WorkerExit& gone) {
  gone_[gone.worker] = true;
  if (held_ && held_->worker == gone.worker) held_.reset();
  const auto victim = std::find_if(victims_.begin(), victims_.end(),
                                   [&](const Victim& v) { return v.worker == gone.worker; });
  if (victim == victims_.end()) return false;
  const Victim killed = std::move(*victim);
  victims_.erase(victim);
  if (!WIFSIGNALED(gone.status) || WTERMSIG(gone.status) != SIGKILL) return false;
  for (const LanePlan& plan : plans_) {
    if (plan.worker != gone.worker) continue;
    watch_.forget(plan.lane);
    if (crew_.lane(plan.lane).state() == LaneState::done) continue;  // it was faster
    ++deaths_;
    watch_.add({.fact = Fact::killed,
                .lane = static_cast<int>(plan.lane),
                .from = killed.from,
                .to = watch_.stamp(),
                .value = killed_as_fault,
                .text = killed.text});
  }
  return true;
}

// Who left in order before the signal came is no victim.
void Nemesis::forget_missed() {
  std::erase_if(victims_, [this](const Victim& v) { return crew_.finished(v.worker); });
}

// --- stops and signals
// -----------------------------------------------------------------------------

void Nemesis::stop_one(Instant now) {
  if (stops_.empty() || held_) return;
  const std::uint64_t done = progress(Role::producer) + progress(Role::consumer);
  if (done - stop_since_ < stops_.front().after && !rushing_) return;
  std::vector<unsigned> workers;
  for (const LanePlan& plan : plans_) {
    const LaneState state = crew_.lane(plan.lane).state();
    const bool at_it = state >= LaneState::ready && state <= LaneState::closing;
    if (at_it && lives(plan)) workers.push_back(plan.worker);
  }
  if (workers.empty() || (rushing_ && stops_done_ > 0)) {
    if (rushing_) stops_.clear();
    return;
  }
  stop(workers[prng_.below(workers.size())], now + std::int64_t{scenario_.faults.pause_us} * 1000);
  stops_.pop_front();
  ++stops_done_;
  stop_since_ = done;
}

void Nemesis::stop(unsigned worker, Instant until) {
  held_ = Held{.worker = worker, .from = watch_.stamp(), .until = until};
  for (const LanePlan& plan : plans_) {
    if (plan.worker == worker) watch_.hold(plan.lane, true);
  }
  crew_.signal(worker, SIGSTOP, 0);
}

void Nemesis::catch_inside(unsigned lane, Moment moment, Instant now) {
  ++attempts_;
  stop(plans_[lane].worker, now);
  held_->to_die = true;
  held_->lane = lane;
  held_->moment = moment;
}

void Nemesis::go_on(Instant now) {
  if (held_->to_die) {
    if (!crew_.delivered(held_->worker)) return;
    held_->to_die = false;
    const LanePlan& plan = plans_[held_->lane];
    if (inside(plan.lane) && crew_.lane(plan.lane).state() < LaneState::closing) {
      kill(plan.lane, held_->moment, progress(plan.role) - since_[index_of(plan.role)]);
      strike_done(plan.role, now);
      tell_pause(*held_);
      held_.reset();
      return;
    }
  }
  if (!held_->going_on && now >= held_->until) {
    held_->going_on = true;
    crew_.signal(held_->worker, SIGCONT, 0);
  }
  if (!held_->going_on || !crew_.delivered(held_->worker)) return;
  tell_pause(*held_);
  held_.reset();
}

void Nemesis::tell_pause(const Held& held) {
  for (const LanePlan& plan : plans_) {
    if (plan.worker != held.worker) continue;
    watch_.hold(plan.lane, false);
    watch_.add({.fact = Fact::paused,
                .lane = static_cast<int>(plan.lane),
                .from = held.from,
                .to = watch_.stamp()});
  }
}

// To a thread that has its handler: the worker installs it before it says which thread it is.
void Nemesis::send_signal(Instant now) {
  const std::int64_t gap_ns = std::int64_t{scenario_.faults.signal_gap_us} * 1000;
  next_signal_ =
      now + static_cast<std::int64_t>(prng_.below(2 * static_cast<std::uint64_t>(gap_ns)));
  std::vector<unsigned> lanes;
  for (const LanePlan& plan : plans_) {
    const Lane lane = crew_.lane(plan.lane);
    const bool there = lane.state() >= LaneState::attaching && lane.state() <= LaneState::closing;
    if (there && lives(plan) && lane.header().tid.load() > 0) lanes.push_back(plan.lane);
  }
  if (lanes.empty()) return;
  const unsigned lane = lanes[prng_.below(lanes.size())];
  Signalled& signalled = signalled_[lane];
  if (signalled.count++ == 0) signalled.from = watch_.stamp();
  crew_.signal(plans_[lane].worker, storm_signal, crew_.lane(lane).header().tid.load());
  signalled.to = watch_.stamp();
  --signals_left_;
}

void Nemesis::let_go() {
  if (held_) {
    const Held held = *held_;
    held_.reset();
    crew_.signal(held.worker, SIGCONT, 0);
    tell_pause(held);
  }
  kills_[0].clear();
  kills_[1].clear();
  stops_.clear();
  signals_left_ = 0;
  for (unsigned lane = 0; lane < signalled_.size(); ++lane) {
    const Signalled told = std::exchange(signalled_[lane], {});
    if (told.count == 0) continue;
    watch_.add({.fact = Fact::signalled,
                .lane = static_cast<int>(lane),
                .from = told.from,
                .to = told.to,
                .value = told.count});
  }
}

// --- looking at lanes
// ------------------------------------------------------------------------------

bool Nemesis::inside(unsigned lane) const {
  const LaneHeader& header = crew_.lane(lane).header();
  const std::uint64_t head = header.head.load(std::memory_order_acquire);
  return header.opened.load(std::memory_order_acquire) > head;
}

// Another has been in the same operation since the last look.
bool Nemesis::other_blocked(unsigned lane) const {
  return std::any_of(plans_.begin(), plans_.end(), [&](const LanePlan& plan) {
    const std::uint64_t head = crew_.lane(plan.lane).header().head.load(std::memory_order_acquire);
    return plan.lane != lane && lives(plan) && head == heads_[plan.lane] && inside(plan.lane);
  });
}

void Nemesis::remember_heads() {
  for (unsigned lane = 0; lane < heads_.size(); ++lane) {
    heads_[lane] = crew_.lane(lane).header().head.load(std::memory_order_acquire);
  }
}

bool Nemesis::lives(const LanePlan& plan) const {
  return !gone_[plan.worker] && !doomed(plan.worker) && !crew_.finished(plan.worker);
}

bool Nemesis::doomed(unsigned worker) const {
  return std::any_of(victims_.begin(), victims_.end(),
                     [worker](const Victim& v) { return v.worker == worker; });
}

std::uint64_t Nemesis::progress(Role role) const {
  std::uint64_t sum = 0;
  for (const LanePlan& plan : plans_) {
    if (plan.role == role) sum += own_progress(crew_.lane(plan.lane).header(), role);
  }
  return sum;
}

}  // namespace ipctorture
