#include "harness/work/lane_work.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <system_error>
#include <utility>

#include "harness/scenario/message.h"
#include "harness/work/lane_chance.h"

namespace ipctorture {
namespace {

constexpr std::uint32_t identified_bytes = 8;  // from here on a message names itself wholly
constexpr int errors_max = 3;                  // consecutive; then the lane gives up
constexpr unsigned timeouts_max = 50;          // of one message; then it is sent without a deadline
constexpr std::uint64_t polls_max = 20'000;    // journalled refusals and empties of one lane
constexpr std::uint64_t journal_reserve = 64;  // records kept for the end of the workload
constexpr std::int64_t late_noted_ns = 10'000'000;  // overruns above this are journalled

class LaneWork {
 public:
  LaneWork(const LaneJob& job, Stage& stage)
      : scenario_(*job.scenario),
        contract_(*job.contract),
        job_(job),
        plan_(job.plan),
        header_(job.lane.header()),
        journal_(job.lane),
        stage_(stage),
        chance_(*job.scenario, job.plan, stage) {
    const std::size_t bytes = std::max<std::size_t>(scenario_.largest_message(), identified_bytes);
    const auto has_deadlines = [](const DeadlineMix& mix) {
      return mix.now_permille + mix.at_permille > 0;
    };
    if (has_deadlines(scenario_.send_deadlines) || has_deadlines(scenario_.receive_deadlines)) {
      starved_before_ = stage_.starved_ns();
    }
    outgoing_.resize(scenario_.oversize_permille > 0 ? contract_.message_max + std::size_t{1}
                                                     : bytes);
    incoming_.resize(bytes);
  }

  void run() {
    if (plan_.late) obeyed_ = stage_.wait_for_order(obeyed_);
    if (order() != Order::close) {
      if (!attach()) return;
      if (!plan_.late) {
        stage_.enter(LaneState::ready);
        obeyed_ = stage_.wait_for_order(obeyed_);
      }
      take_order();
      if (order() != Order::close) {
        workload();
        serve_orders();
      }
      close_endpoints();
    }
    stage_.enter(LaneState::done);
  }

 private:
  Order order() const { return static_cast<Order>(obeyed_ & 255); }
  unsigned argument() const { return (obeyed_ >> 8) & 0xffff; }

  bool attach() {
    stage_.enter(LaneState::attaching);
    for (unsigned channel = 0; channel < scenario_.channels(); ++channel) {
      for (const Role role : {Role::producer, Role::consumer}) {
        const int own =
            role == Role::producer ? plan_.producer_on[channel] : plan_.consumer_on[channel];
        if (own < 0) continue;
        const unsigned index = argument() > 0 ? argument() - 1 : static_cast<unsigned>(own);
        auto& slot = (role == Role::producer ? senders_ : receivers_)[channel];
        while (slot == nullptr) {
          const unsigned shortages = stage_.shortages();
          journal_.begin(Op::attach, channel, DeadlineMode::at, 0, 0);
          try {
            slot = attach_one(channel, role, index);
            journal_.end(journal_.returned(), Outcome::ok, 0);
          } catch (const std::exception& e) {
            const auto* from_system = dynamic_cast<const std::system_error*>(&e);
            const int error = from_system == nullptr ? 0 : from_system->code().value();
            journal_.end(journal_.returned(), Outcome::error, static_cast<std::uint16_t>(error));
            if (stage_.shortages() == shortages) return fail(error, e.what());
          }
        }
      }
    }
    return true;
  }

  std::unique_ptr<Endpoint> attach_one(unsigned channel, Role role, unsigned index) {
    const Stage::Inside inside(stage_, Op::attach);
    return job_.transports[channel]->attach(
        role, index, Deadline::in(std::chrono::nanoseconds(attach_patience_ns)));
  }

  bool fail(int error, const char* what) {
    header_.error = error;
    std::strncpy(header_.error_text, what, sizeof header_.error_text - 1);
    senders_ = {};
    receivers_ = {};
    stage_.enter(LaneState::failed);
    return false;
  }

  void workload() {
    EndedBy ended;
    if (scenario_.workload == Workload::request_reply) {
      ended = plan_.role == Role::producer ? run_client() : run_server();
    } else {
      ended = plan_.role == Role::producer ? produce() : consume(plan_.quota);
    }
    finish(ended);
  }

  // An error that no call made to fail explains.
  bool own_error() {
    const unsigned before = std::exchange(shortages_, stage_.shortages());
    return shortages_ == before;
  }

  void finish(EndedBy ended) {
    ended_ = ended;
    if (!journal_.room(1)) return;
    journal_.note(Op::finished, 0, 0, 0, static_cast<std::uint16_t>(ended));
  }

  // --- producing -------------------------------------------------------------------------------

  // Flattened, like consume(): a system call spoils the predictions of returns, so each level
  // costs.
  [[gnu::flatten]] EndedBy produce() {
    std::uint64_t done = 0;
    if (scenario_.fill_first) {
      done = fill();
      pause_for_order();
    }
    std::uint64_t since_gap = done;
    for (; done < plan_.quota; ++done) {
      if (order() == Order::close) return EndedBy::order;
      if (!journal_.room(journal_reserve)) return EndedBy::journal_full;
      if (scenario_.gap_after > 0 && since_gap++ == scenario_.gap_after) {
        pause_for_order();
        since_gap = 1;
      }
      if (const EndedBy ended = send_data(); ended != EndedBy::quota) return ended;
      chance_.pause_producer(done);
    }
    return EndedBy::quota;
  }

  // Sends without waiting until the transport says full, or the first gap is due.
  std::uint64_t fill() {
    std::uint64_t bound = plan_.quota;
    if (scenario_.gap_after > 0) bound = std::min(bound, scenario_.gap_after);
    const bool says_full =
        contract_.when_full == WhenFull::blocks || contract_.when_full == WhenFull::rejects;
    if (!says_full) bound = std::min(bound, 4 * std::uint64_t{scenario_.capacity});
    const DeadlineMode mode = contract_.deadline_now ? DeadlineMode::now : DeadlineMode::at;
    for (std::uint64_t done = 0; done < bound; ++done) {
      if (!journal_.room(journal_reserve)) return done;
      compose(0, MessageKind::data, chance_.size());
      const Outcome outcome = send_composed(0, mode);
      if (outcome == Outcome::ok || outcome == Outcome::unknown) ++next_[0];
      if (outcome != Outcome::ok) return done;
    }
    return bound;
  }

  void pause_for_order() {
    stage_.enter(LaneState::parked);
    obeyed_ = stage_.wait_for_order(obeyed_);
    take_order();
  }

  // In this order: whoever sees the order taken sees the lane running, or already past it.
  void take_order() {
    stage_.enter(LaneState::running);
    header_.obeyed.store(obeyed_, std::memory_order_release);
  }

  EndedBy send_data() {
    if (chance_.happens(scenario_.oversize_permille)) send_oversize();
    if (composed_ && chance_.happens(scenario_.repeat_permille)) {
      journal_.note(Op::repeated, 0, last_.packed());
      return send_until_settled(0);
    }
    compose(0, MessageKind::data, chance_.size());
    const EndedBy ended = send_until_settled(0);
    ++next_[0];
    return ended;
  }

  // Retries what was refused until it is accepted or its fate is unknown.
  EndedBy send_until_settled(unsigned channel) {
    int errors = 0;
    std::int64_t backoff_ns = 20'000;
    for (unsigned refusals = 0;; ++refusals) {
      switch (send_composed(channel, send_mode(refusals))) {
        case Outcome::ok:
        case Outcome::unknown:
          return EndedBy::quota;
        case Outcome::closed:
          return EndedBy::closed;
        case Outcome::full:
        case Outcome::timed_out:
          if (++polls_ > polls_max) never_poll_ = true;
          stage_.sleep_ns(backoff_ns);
          backoff_ns = std::min<std::int64_t>(backoff_ns * 2, 5'000'000);
          break;
        default:
          if (own_error() && ++errors >= errors_max) return EndedBy::error;
      }
      if (stage_.stopped()) return EndedBy::order;
      if (!journal_.room(journal_reserve)) return EndedBy::journal_full;
    }
  }

  // A drawn mode, but for what the contract does not promise to take without waiting, or within so
  // short a time.
  DeadlineMode send_mode(unsigned refusals) {
    const DeadlineMode mode = chance_.mode(scenario_.send_deadlines, never_poll_);
    const bool above_now = contract_.now_message_max > 0 && size_ > contract_.now_message_max;
    if (mode == DeadlineMode::now && above_now) return DeadlineMode::never;
    if (mode == DeadlineMode::at && refusals > timeouts_max) return DeadlineMode::never;
    return mode;
  }

  void send_oversize() {
    composed_ = false;
    size_ = contract_.message_max + 1;
    last_ = id_of_next(0, MessageKind::data);
    // The content of a message that must be refused does not matter.
    std::memset(outgoing_.data(), 0x5a, size_);
    send_composed(0, chance_.mode(scenario_.send_deadlines, never_poll_));
    ++next_[0];
  }

  MessageId id_of_next(unsigned channel, MessageKind kind) const {
    return {.sequence = next_[channel],
            .producer = static_cast<std::uint8_t>(plan_.producer_on[channel]),
            .kind = kind};
  }

  void compose(unsigned channel, MessageKind kind, std::uint32_t size) {
    last_ = id_of_next(channel, kind);
    size_ = size;
    priority_ = kind == MessageKind::data && contract_.priorities > 1
                    ? static_cast<std::uint8_t>(stage_.draw(contract_.priorities))
                    : std::uint8_t{0};
    compose_message({outgoing_.data(), size_}, last_, channel, job_.tokens[channel]);
    composed_ = true;
  }

  Outcome send_composed(unsigned channel, DeadlineMode mode) {
    stage_.between_operations();
    const Deadline deadline = deadline_of(mode, scenario_.send_deadlines);
    const Instant started = mode == DeadlineMode::now ? monotonic_now() : deadline.instant();
    journal_.begin(Op::send, channel, mode, last_.packed(), size_, priority_);
    const IoResult result = [&] {
      const Stage::Inside inside(stage_, Op::send);
      return senders_[channel]->send({outgoing_.data(), size_}, {.priority = priority_}, deadline);
    }();
    const Stamp returned = journal_.returned();
    if (result.outcome == Outcome::ok) journal_.count_accepted();
    journal_.end(
        returned, result.outcome,
        result.outcome == Outcome::ok ? priority_ : static_cast<std::uint16_t>(result.error));
    if (mode != DeadlineMode::never) note_if_late(channel, started);
    return result.outcome;
  }

  // --- consuming -------------------------------------------------------------------------------

  // Receives until closed, a mark, or an order to stop; or `quota` messages if that is not 0.
  [[gnu::flatten]] EndedBy consume(std::uint64_t quota) {
    int errors = 0;
    for (std::uint64_t done = 0;;) {
      if (!journal_.room(journal_reserve)) return EndedBy::journal_full;
      const Outcome outcome =
          receive_one(0, chance_.mode(scenario_.receive_deadlines, never_poll_));
      switch (outcome) {
        case Outcome::ok:
          errors = 0;
          ++done;
          if (received_.kind == MessageKind::mark) return EndedBy::mark;
          if (done == quota) return EndedBy::quota;
          chance_.pause(scenario_.consumer_noise, done);
          if (scenario_.consumer_delay_us > 0) {
            stage_.sleep_ns(std::int64_t{scenario_.consumer_delay_us} * 1000);
          }
          break;
        case Outcome::closed:
          return EndedBy::closed;
        case Outcome::empty:
        case Outcome::timed_out:
          if (++polls_ > polls_max) never_poll_ = true;
          if (stage_.stopped()) return EndedBy::order;
          chance_.pause(scenario_.consumer_noise, done);
          break;
        default:
          if (own_error() && ++errors >= errors_max) return EndedBy::error;
      }
    }
  }

  Outcome receive_one(unsigned channel, DeadlineMode mode) {
    stage_.between_operations();
    const Deadline deadline = deadline_of(mode, scenario_.receive_deadlines);
    const Instant started = mode == DeadlineMode::now ? monotonic_now() : deadline.instant();
    journal_.begin(Op::receive, channel, mode, 0, 0);
    const IoResult result = [&] {
      const Stage::Inside inside(stage_, Op::receive);
      return receivers_[channel]->receive(incoming_, deadline);
    }();
    const Stamp returned = journal_.returned();
    if (result.outcome == Outcome::ok) {
      const std::size_t size = std::min(result.size, incoming_.size());
      const Examined examined =
          examine_message({incoming_.data(), size}, channel, job_.tokens[channel]);
      received_ = examined.content == Content::intact ? examined.id : MessageId{};
      journal_.count_received();
      journal_.end_received(returned, examined.id.packed(), static_cast<std::uint32_t>(result.size),
                            static_cast<std::uint16_t>(static_cast<unsigned>(examined.content) |
                                                       unsigned{result.priority} << 8));
      if (result.missed > 0) journal_.note(Op::missed, channel, result.missed);
    } else {
      journal_.end(returned, result.outcome, static_cast<std::uint16_t>(result.error));
    }
    if (mode != DeadlineMode::never) note_if_late(channel, started);
    return result.outcome;
  }

  // --- request and reply -----------------------------------------------------------------------

  EndedBy run_client() {
    std::uint64_t sent = 0, replies = 0;
    const std::uint64_t window = std::max(1u, scenario_.window);
    while (replies < plan_.quota) {
      if (!journal_.room(journal_reserve)) return EndedBy::journal_full;
      if (sent < plan_.quota && sent - replies < window) {
        if (const EndedBy ended = send_data(); ended != EndedBy::quota) return ended;
        chance_.pause_producer(sent++);
        continue;
      }
      const EndedBy ended = await_one(1);
      if (ended != EndedBy::quota) return ended;
      ++replies;
      chance_.pause(scenario_.consumer_noise, replies);
    }
    return EndedBy::quota;
  }

  EndedBy run_server() {
    for (std::uint64_t done = 0;; ++done) {
      if (const EndedBy ended = await_one(0); ended != EndedBy::quota) return ended;
      if (received_.kind == MessageKind::mark) return EndedBy::mark;
      compose(1, MessageKind::reply, chance_.size());
      const EndedBy ended = send_until_settled(1);
      ++next_[1];
      if (ended != EndedBy::quota) return ended;
      chance_.pause(scenario_.consumer_noise, done);
    }
  }

  // One message from `channel`: quota; or why there will be none.
  EndedBy await_one(unsigned channel) {
    for (int errors = 0; errors < errors_max;) {
      if (!journal_.room(journal_reserve)) return EndedBy::journal_full;
      switch (receive_one(channel, chance_.mode(scenario_.receive_deadlines, never_poll_))) {
        case Outcome::ok:
          return EndedBy::quota;
        case Outcome::closed:
          return EndedBy::closed;
        case Outcome::empty:
        case Outcome::timed_out:
          if (++polls_ > polls_max) never_poll_ = true;
          if (stage_.stopped()) return EndedBy::order;
          break;
        default:
          errors += own_error() ? 1 : 0;
      }
    }
    return EndedBy::error;
  }

  // --- orders and the end ----------------------------------------------------------------------

  void serve_orders() {
    while (!leaves()) {
      stage_.enter(plan_.role == Role::producer ? LaneState::sent_all : LaneState::parked);
      obeyed_ = stage_.wait_for_order(obeyed_);
      take_order();
      if (order() == Order::run) {
        begin_again();
        workload();
      }
      if (order() == Order::send && plan_.role == Role::producer) send_ordered(argument());
      if (order() == Order::receive && plan_.role == Role::consumer) {
        const EndedBy ended = consume(argument());
        if (ended == EndedBy::closed) return finish(ended);
      }
    }
  }

  bool leaves() const {
    if (plan_.leaves_early || ended_ == EndedBy::closed || ended_ == EndedBy::error) return true;
    if (order() == Order::close) return true;
    // Who may yet be killed stays.
    return plan_.role == Role::producer && contract_.reports_closed && !scenario_.handoff &&
           scenario_.faults.producer_kills == 0 && header_.stays == 0;
  }

  // What the last run wrote has been judged, and may be gone.
  void begin_again() {
    journal_.go_on();
    if (argument() > 0) plan_.quota = argument() * round_unit;
    polls_ = 0;
    never_poll_ = composed_ = false;
    shortages_ = stage_.shortages();
  }

  void send_ordered(std::uint64_t count) {
    const auto kind =
        static_cast<MessageKind>(header_.order_kind.load(std::memory_order_acquire) & 3);
    for (std::uint64_t i = 0; i < count && journal_.room(journal_reserve / 2); ++i) {
      const std::uint32_t size = std::max(chance_.size(), identified_bytes);
      compose(0, kind, std::min(size, static_cast<std::uint32_t>(outgoing_.size())));
      send_until_settled(0);
      ++next_[0];
    }
  }

  void close_endpoints() {
    stage_.enter(LaneState::closing);
    for (unsigned channel = 0; channel < scenario_.channels(); ++channel) {
      for (auto* endpoint : {&senders_[channel], &receivers_[channel]}) {
        if (*endpoint == nullptr) continue;
        if (journal_.room(1)) {
          const Deadline deadline = Deadline::in(std::chrono::nanoseconds(close_patience_ns));
          journal_.begin(Op::close, channel, DeadlineMode::at, 0, 0);
          const IoResult result = [&] {
            const Stage::Inside inside(stage_, Op::close);
            return (*endpoint)->close(deadline);
          }();
          journal_.end(journal_.returned(), result.outcome,
                       static_cast<std::uint16_t>(result.error));
        }
        endpoint->reset();
      }
    }
  }

  // --- lateness --------------------------------------------------------------------------------

  // `due`: when the operation should have returned at the latest.
  void note_if_late(unsigned channel, Instant due) {
    const std::int64_t overrun = monotonic_now() - due;
    if (overrun < late_noted_ns || !journal_.room(1)) return;
    const std::int64_t starved = stage_.starved_ns();
    const std::int64_t meanwhile = std::max<std::int64_t>(0, starved - starved_before_);
    starved_before_ = starved;
    journal_.note(Op::late, channel, static_cast<std::uint64_t>(overrun),
                  static_cast<std::uint32_t>(std::min<std::int64_t>(meanwhile / 1000, UINT32_MAX)));
  }

  const Scenario& scenario_;
  const Contract& contract_;
  const LaneJob& job_;
  LanePlan plan_;
  LaneHeader& header_;
  Journal journal_;
  Stage& stage_;
  LaneChance chance_;
  std::array<std::unique_ptr<Endpoint>, 2> senders_, receivers_;  // [channel]
  std::vector<std::byte> outgoing_, incoming_;
  std::array<std::uint64_t, 2> next_{};  // sequence of the next message, per channel
  std::uint32_t obeyed_ = 0;             // the last order taken
  std::uint32_t size_ = 0;               // of the composed message
  MessageId last_;                       // the composed message
  MessageId received_;                   // the last intact one
  bool composed_ = false;
  bool never_poll_ = false;
  std::uint8_t priority_ = 0;
  std::uint64_t polls_ = 0;
  std::int64_t starved_before_ = 0;
  unsigned shortages_ = 0;
  EndedBy ended_ = EndedBy::quota;
};

}  // namespace

void work(const LaneJob& job, Stage& stage) { LaneWork(job, stage).run(); }

}  // namespace ipctorture
