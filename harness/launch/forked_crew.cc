// Workers forked from a zygote (zygote.h), the supervisor's side. Commands travel over a
// SOCK_SEQPACKET pair, descriptors as SCM_RIGHTS; what workers and supervisor share is in arena.h.
// Everyone dies with the one above: PR_SET_PDEATHSIG, checked against a parent that died before it
// was set.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <stdexcept>

#include "harness/base/futex.h"
#include "harness/launch/arena.h"
#include "harness/launch/crew.h"
#include "harness/launch/descriptor_passing.h"
#include "harness/launch/worker_output.h"
#include "harness/launch/zygote.h"
#include "harness/work/lane_plan.h"

namespace ipctorture {
namespace {

constexpr unsigned handles_max = descriptors_per_message / 2;  // per channel
constexpr std::chrono::seconds sweep_patience{10};  // a sweep takes 4 s at most, and the machine
constexpr std::uint64_t kept_records = 1u << 21;    // in all lanes: 64 MiB of pages already there

PlainOptions to_plain(const Options& options) {
  PlainOptions plain{};
  if (options.name.size() >= sizeof plain.name ||
      options.directory.size() >= sizeof plain.directory) {
    throw std::invalid_argument("the run's directory has too long a name: " + options.directory);
  }
  std::memcpy(plain.name, options.name.data(), options.name.size());
  std::memcpy(plain.directory, options.directory.data(), options.directory.size());
  plain.token = options.token;
  plain.counter_start = options.counter_start;
  plain.producers = options.producers;
  plain.consumers = options.consumers;
  plain.capacity = options.capacity;
  plain.message_max = options.message_max;
  return plain;
}

class ForkedCrew final : public Crew {
 public:
  ForkedCrew() {
    memory_fd_ = create_unnamed_memory("ipctorture-arena", arena_bytes, Backing::sparse);
    memory_ = SharedMapping(memory_fd_.get(), arena_bytes, "arena");
    new (memory_.data()) Arena;
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
      throw_system_error("socketpair", "zygote");
    }
    socket_ = Descriptor(pair[0]);
    const Descriptor other(pair[1]);
    zygote_ = fork_zygote(memory_, other.get());
  }

  ~ForkedCrew() override {
    try {
      end_strays();  // also those that nobody asked for
    } catch (const std::exception&) {
      // No zygote, no strays of its own: they went to whoever adopts orphans here.
    }
    socket_.reset();
    ::kill(zygote_, SIGKILL);  // its workers die with it
    ::waitpid(zygote_, nullptr, 0);
  }

  void start(const CrewJob& job) override {
    const Scenario& scenario = job.scenario;
    // Others would keep what is changed for this scenario.
    const bool changed =
        scenario.nice_max > 0 || scenario.faults.limits() || scenario.faults.signals > 0;
    const bool many = scenario.lanes() > workers_max;
    first_slot_ = scenario.fresh_workers || changed || many ? workers_max : 0;
    workers_ = worker_count(scenario);
    release_grown_lanes();
    release_outputs();
    lanes_used_ = scenario.lanes();
    for (unsigned lane = 0; lane < lanes_used_; ++lane) {
      this->lane(lane).reset(job.stamp_source, job.serialised,
                             std::min(job.journal_records, lane_records()), job.stays);
    }
    for (unsigned worker = 0; worker < workers_; ++worker) start_worker(job, worker);
  }

  Lane lane(unsigned lane) const override { return arena_lane(memory_, lane, lanes_used_); }

  std::uint64_t lane_records() const override { return lane_records_of(lanes_used_); }

  bool finished(unsigned worker) const override {
    const Slot& slot = slots_[first_slot_ + worker];
    const StartBlock& block = arena_of(memory_).blocks[first_slot_ + worker];
    const bool done = block.finished.load(std::memory_order_acquire) == slot.command;
    // A fresh worker is finished when it is gone; so is one that was killed, however far it got.
    const bool may_live_on = first_slot_ == 0 && !slot.doomed;
    return (may_live_on && done) || !slot.alive;
  }

  void kill(unsigned worker) override {
    Slot& slot = slots_[first_slot_ + worker];
    if (!slot.alive || slot.doomed) return;
    slot.doomed = true;
    const Message message{Command::kill, first_slot_ + worker};
    send_with_descriptors(socket_.get(), &message, sizeof message, {});
  }

  void signal(unsigned worker, int signal, pid_t thread) override {
    Slot& slot = slots_[first_slot_ + worker];
    if (!slot.alive || slot.doomed) return;
    if (thread == 0) ++slot.signals;
    const Message message{Command::signal, first_slot_ + worker, signal, thread};
    send_with_descriptors(socket_.get(), &message, sizeof message, {});
  }

  bool delivered(unsigned worker) const override {
    const Slot& slot = slots_[first_slot_ + worker];
    return !slot.alive || slot.signals == 0;
  }

  std::vector<WorkerExit> collect_exits() override {
    std::vector<WorkerExit> exits;
    ExitMessage message;
    while (receive(message, MSG_DONTWAIT)) {
      if (count_signal(message)) continue;
      Slot& slot = slots_[message.slot % slots];
      slot.alive = slot.doomed = false;
      const StartBlock& block = arena_of(memory_).blocks[message.slot % slots];
      const bool orderly =
          message.status == 0 && block.finished.load(std::memory_order_acquire) == slot.command;
      if (orderly || message.slot < first_slot_ || message.slot >= first_slot_ + workers_) continue;
      exits.push_back({.worker = message.slot - first_slot_,
                       .status = message.status,
                       .text = message.status == -1
                                   ? std::string("fork: ") + std::strerror(message.error)
                                   : std::string()});
    }
    return exits;
  }

  Strays end_strays() override {
    const Message order{Command::sweep, 0};
    tell_zygote(order, {});
    const Deadline deadline = Deadline::in(sweep_patience);
    for (ExitMessage message;;) {
      pollfd answer{socket_.get(), POLLIN, 0};
      ::poll(&answer, 1, deadline.poll_ms());
      if (!receive(message, MSG_DONTWAIT)) {
        if (deadline.passed()) throw std::runtime_error("the zygote does not answer");
        continue;
      }
      if (count_signal(message)) continue;
      if (message.slot == sweep_slot) {
        const std::size_t length = ::strnlen(message.name, sizeof message.name);
        return {.count = static_cast<unsigned>(message.status), .name = {message.name, length}};
      }
      slots_[message.slot % slots].alive = slots_[message.slot % slots].doomed = false;
    }
  }

  void wait(Deadline deadline) override {
    const std::uint32_t bell = arena_of(memory_).bell.load(std::memory_order_seq_cst);
    if (bell != heard_) {
      heard_ = bell;
      return;
    }
    futex_wait(arena_of(memory_).bell, bell, deadline);
    heard_ = arena_of(memory_).bell.load(std::memory_order_seq_cst);
  }

  std::string output(unsigned worker) const override {
    const Slot& slot = slots_[first_slot_ + worker];
    return slot.output.valid() ? read_output(slot.output.get()) : std::string();
  }

 private:
  // False when nothing is there now.
  bool receive(ExitMessage& message, int flags) {
    const ssize_t got = ::recv(socket_.get(), &message, sizeof message, flags);
    // Without it nobody says who ended: waiting on would be for ever.
    const bool later = got < 0 && (errno == EAGAIN || errno == EINTR);
    if (got <= 0 && !later) throw_zygote_is_gone();
    return got == static_cast<ssize_t>(sizeof message);
  }

  void tell_zygote(const Message& message, std::span<const int> fds) {
    if (send_with_descriptors(socket_.get(), &message, sizeof message, fds)) return;
    if (errno == EPIPE || errno == ECONNRESET) throw_zygote_is_gone();
    throw_system_error("sendmsg", "zygote");
  }
  [[noreturn]] static void throw_zygote_is_gone() {
    throw std::runtime_error("the zygote is gone; it was killed from outside");
  }

  // Was it the answer to a signal?
  bool count_signal(const ExitMessage& message) {
    if (message.slot != signalled_slot) return false;
    Slot& slot = slots_[static_cast<unsigned>(message.status) % slots];
    if (slot.signals > 0) --slot.signals;
    return true;
  }

  struct Slot {
    Descriptor socket, output;
    unsigned signals = 0;  // sent to the zygote and not answered
    std::uint32_t command = 0;
    bool alive = false;
    bool doomed = false;  // sent SIGKILL, not yet gone
  };

  void start_worker(const CrewJob& job, unsigned worker) {
    const unsigned number = first_slot_ + worker;
    Slot& slot = slots_[number];
    StartBlock& block = arena_of(memory_).blocks[number];
    const bool spawn = !slot.alive;
    forget_output(slot);
    if (spawn) {
      block.finished.store(slot.command, std::memory_order_relaxed);
      block.command.store(slot.command, std::memory_order_relaxed);
    }
    block.scenario = job.scenario;
    block.worker = worker;
    std::vector<int> fds;
    std::fill(std::begin(block.handles), std::end(block.handles), 0);
    for (unsigned channel = 0; channel < job.options.size(); ++channel) {
      block.options[channel] = to_plain(job.options[channel]);
      block.handles[channel] = static_cast<std::uint32_t>(job.handles[channel].size());
      for (const Descriptor& handle : job.handles[channel]) fds.push_back(handle.get());
    }
    if (fds.size() > 2 * handles_max)
      throw std::invalid_argument("a transport has over 16 handles");
    if (spawn) spawn_into(slot, number);
    ++slot.command;
    block.command.store(slot.command, std::memory_order_release);
    futex_wake(block.command);
    if (!fds.empty() && !send_with_descriptors(slot.socket.get(), "", 1, fds)) {
      throw_system_error("sendmsg", "handles");
    }
    // A fresh worker is sent nothing more; what was sent it can still read.
    if (first_slot_ != 0) slot.socket.reset();
  }

  // Where workers wrote that this scenario does not have.
  void release_outputs() {
    for (unsigned number = first_slot_ + workers_; number < slots; ++number) {
      if (number >= workers_max && !slots_[number].alive) slots_[number].output.reset();
    }
  }

  // What a pooled worker wrote in earlier scenarios does not tell of the next. The offset is shared
  // with the worker.
  static void forget_output(Slot& slot) {
    struct stat status{};
    if (!slot.output.valid() || ::fstat(slot.output.get(), &status) != 0) return;
    if (status.st_size == 0 || ::ftruncate(slot.output.get(), 0) != 0) return;
    ::lseek(slot.output.get(), 0, SEEK_SET);
  }

  void spawn_into(Slot& slot, unsigned number) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
      throw_system_error("socketpair", "worker");
    }
    slot.socket = Descriptor(pair[0]);
    const Descriptor other(pair[1]);
    if (!slot.output.valid()) {
      slot.output = create_unnamed_memory("worker-output", 0, Backing::sparse);
    }
    const int fds[] = {other.get(), slot.output.get()};
    const Message message{Command::spawn, number};
    tell_zygote(message, fds);
    slot.alive = true;
  }

  // Pages that a lane once touched stay, so that the next scenario finds them without a fault; of
  // too many, and of lanes that lay elsewhere, all are given back.
  void release_grown_lanes() {
    std::uint64_t all = lanes_used_ > workers_max ? kept_records + 1 : 0;
    for (unsigned lane = 0; lane < workers_max; ++lane) {
      if (lane < lanes_used_) {
        const auto& head = this->lane(lane).header().head;
        touched_[lane] = std::max(touched_[lane], head.load(std::memory_order_relaxed));
      }
      all += touched_[lane];
    }
    if (all <= kept_records) return;
    ::fallocate(memory_fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                static_cast<off_t>(lanes_offset), static_cast<off_t>(workers_max * lane_stride));
    touched_.fill(0);
  }

  Descriptor memory_fd_;
  SharedMapping memory_;
  Descriptor socket_;
  pid_t zygote_ = -1;
  std::array<Slot, slots> slots_;
  unsigned first_slot_ = 0;
  unsigned workers_ = 0;
  unsigned lanes_used_ = 0;
  std::array<std::uint64_t, workers_max>
      touched_{};  // most records of each lane since it was empty
  std::uint32_t heard_ = 0;
};

}  // namespace

void Crew::give_order(Lane lane, std::uint32_t word) const {
  lane.header().order.store(word, std::memory_order_seq_cst);
  futex_wake(lane.header().order);
}

std::unique_ptr<Crew> make_forked_crew() { return std::make_unique<ForkedCrew>(); }

}  // namespace ipctorture
