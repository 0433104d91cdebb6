// Workers forked from a zygote. The zygote is a child that the engine forks while it is small; it
// does nothing but fork and reap, so workers start with a small heap, one thread and no stray
// descriptors.
//
// One mapping, made before the zygote, is shared by all: the bell, a start block per worker slot,
// and the lanes. Commands travel over a SOCK_SEQPACKET pair, descriptors as SCM_RIGHTS. Pooled
// workers (slots 0-31) loop; fresh ones (slots 32-63) do one job and leave. Everyone dies with the
// one above: PR_SET_PDEATHSIG, checked against a parent that died before it was set.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <stdexcept>

#include "harness/base/futex.h"
#include "harness/launch/crew.h"
#include "harness/launch/descriptor_passing.h"
#include "harness/launch/worker.h"
#include "harness/work/lane_plan.h"

namespace ipctorture {
namespace {

constexpr unsigned slots = 2 * workers_max;
constexpr std::uint64_t records_max = 1u << 24;  // per lane; pages appear as they are touched
constexpr unsigned handles_max = descriptors_per_message / 2;  // per channel
constexpr std::uint64_t kept_records = 1u << 21;  // in all lanes: 64 MiB of pages already there

struct PlainOptions {
  char name[64], directory[128];
  std::uint64_t token, counter_start;
  std::uint32_t producers, consumers, capacity, message_max;
};

struct alignas(64) StartBlock {
  std::atomic<std::uint32_t> command{0};   // futex: a job is there when it differs from `finished`
  std::atomic<std::uint32_t> finished{0};  // the last command that was carried out
  Scenario scenario;
  std::uint32_t worker = 0;
  PlainOptions options[2] = {};
  std::uint32_t handles[2] = {};  // how many come over the socket, per channel
};

struct Arena {
  alignas(64) std::atomic<std::uint32_t> bell{0};
  StartBlock blocks[slots];
};
constexpr std::size_t lanes_offset = (sizeof(Arena) + 4095) / 4096 * 4096;
constexpr std::size_t lane_stride = lane_bytes(records_max);
constexpr std::size_t arena_bytes = lanes_offset + workers_max * lane_stride;

Lane arena_lane(const SharedMapping& memory, unsigned lane) {
  return Lane(memory.data() + lanes_offset + lane * lane_stride);
}
Arena& arena_of(const SharedMapping& memory) { return *reinterpret_cast<Arena*>(memory.data()); }

// --- messages between supervisor and zygote
// --------------------------------------------------------

enum class Command : std::uint32_t { spawn, kill };
struct Message {
  Command command;
  std::uint32_t slot;
};
struct ExitMessage {
  std::uint32_t slot;
  std::int32_t status;  // -1: fork failed, `error` says why
  std::int32_t error;
};

// Ends with `parent`: asks the kernel, then looks whether it was too late to ask.
void die_with(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(0);
}

void close_all_but(std::span<const int> kept) {
  std::vector<int> sorted(kept.begin(), kept.end());
  std::sort(sorted.begin(), sorted.end());
  const long limit = std::min(::sysconf(_SC_OPEN_MAX), 1L << 20);
  unsigned from = 3;
  sorted.push_back(static_cast<int>(limit));
  for (const int fd : sorted) {
    const auto to = static_cast<unsigned>(fd);
    if (to > from && ::syscall(SYS_close_range, from, to - 1, 0) != 0) {
      for (unsigned i = from; i < to; ++i) ::close(static_cast<int>(i));  // before Linux 5.9
    }
    from = std::max(from, to + 1);
  }
}

// --- the worker
// ------------------------------------------------------------------------------------

Options to_options(const PlainOptions& plain) {
  return {.name = plain.name,
          .directory = plain.directory,
          .token = plain.token,
          .producers = plain.producers,
          .consumers = plain.consumers,
          .capacity = plain.capacity,
          .message_max = plain.message_max,
          .counter_start = plain.counter_start};
}

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

void do_job(const SharedMapping& memory, StartBlock& block, int socket) {
  const Scenario scenario = block.scenario;
  WorkerJob job{.scenario = &scenario,
                .registration = find_registration(scenario.transport_name()),
                .worker = block.worker,
                .bell = &arena_of(memory).bell};
  std::vector<Descriptor> all;
  char byte = 0;
  if (block.handles[0] + block.handles[1] > 0) receive_with_descriptors(socket, &byte, 1, all);
  std::size_t taken = 0;
  for (unsigned channel = 0; channel < scenario.channels(); ++channel) {
    job.options.push_back(to_options(block.options[channel]));
    auto& handles = job.handles.emplace_back();
    for (unsigned i = 0; i < block.handles[channel] && taken < all.size(); ++i) {
      handles.push_back(std::move(all[taken++]));
    }
  }
  for (unsigned lane = 0; lane < scenario.lanes(); ++lane) {
    job.lanes.push_back(arena_lane(memory, lane));
  }
  run_worker_job(std::move(job));
}

[[noreturn]] void run_worker(const SharedMapping& memory, unsigned slot, int socket) {
  StartBlock& block = arena_of(memory).blocks[slot];
  const bool pooled = slot < workers_max;
  std::uint32_t done = block.finished.load(std::memory_order_relaxed);
  do {
    std::uint32_t command;
    while ((command = block.command.load(std::memory_order_acquire)) == done) {
      futex_wait(block.command, done, Deadline::never());
    }
    do_job(memory, block, socket);
    done = command;
    block.finished.store(done, std::memory_order_release);
    arena_of(memory).bell.fetch_add(1, std::memory_order_seq_cst);
    futex_wake(arena_of(memory).bell);
  } while (pooled);
  ::_exit(0);
}

// --- the zygote
// ------------------------------------------------------------------------------------

class Zygote {
 public:
  Zygote(const SharedMapping& memory, int socket) : memory_(memory), socket_(socket) {}

  [[noreturn]] void run() {
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &children, nullptr);
    const int signals = ::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    for (;;) {
      pollfd ready[2] = {{socket_, POLLIN, 0}, {signals, POLLIN, 0}};
      if (::poll(ready, 2, -1) < 0 && errno != EINTR) ::_exit(1);
      if (ready[1].revents != 0) {
        signalfd_siginfo info;
        while (::read(signals, &info, sizeof info) > 0) {
        }
      }
      reap();
      if (ready[0].revents != 0) obey();
    }
  }

 private:
  void obey() {
    Message message{};
    std::vector<Descriptor> fds;
    if (!receive_with_descriptors(socket_, &message, sizeof message, fds)) ::_exit(0);
    if (message.slot >= slots) return;
    if (message.command == Command::kill) {
      if (pids_[message.slot] > 0) ::kill(pids_[message.slot], SIGKILL);
      return;
    }
    if (fds.size() != 2) ::_exit(1);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) return report(message.slot, -1, errno);
    if (pid == 0) become_worker(message.slot, parent, fds);
    pids_[message.slot] = pid;
  }

  [[noreturn]] void become_worker(unsigned slot, pid_t parent, std::vector<Descriptor>& fds) {
    die_with(parent);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::dup2(fds[1].get(), 1);
    ::dup2(fds[1].get(), 2);
    const int socket = fds[0].release();
    const int kept[] = {socket};
    close_all_but(kept);
    (void)fds[1].release();
    run_worker(memory_, slot, socket);
  }

  void reap() {
    int status;
    for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      const auto found = std::find(pids_.begin(), pids_.end(), pid);
      if (found == pids_.end()) continue;
      *found = 0;
      report(static_cast<unsigned>(found - pids_.begin()), status, 0);
    }
  }

  void report(unsigned slot, int status, int error) {
    const ExitMessage message{slot, status, error};
    send_with_descriptors(socket_, &message, sizeof message, {});
    arena_of(memory_).bell.fetch_add(1, std::memory_order_seq_cst);
    futex_wake(arena_of(memory_).bell);
  }

  const SharedMapping& memory_;
  int socket_;
  std::array<pid_t, slots> pids_{};
};

// --- the supervisor's side
// -------------------------------------------------------------------------

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
    const pid_t parent = ::getpid();
    zygote_ = ::fork();
    if (zygote_ < 0) throw_system_error("fork", "zygote");
    if (zygote_ == 0) {
      die_with(parent);
      reset_signals();
      const int null = ::open("/dev/null", O_RDONLY);
      if (null >= 0) ::dup2(null, 0);
      const int kept[] = {other.get()};
      close_all_but(kept);
      Zygote(memory_, other.get()).run();
    }
  }

  ~ForkedCrew() override {
    socket_.reset();
    ::kill(zygote_, SIGKILL);  // its workers die with it
    ::waitpid(zygote_, nullptr, 0);
  }

  void start(const CrewJob& job) override {
    const Scenario& scenario = job.scenario;
    first_slot_ = scenario.fresh_workers || scenario.nice_max > 0 ? workers_max : 0;
    workers_ = worker_count(scenario);
    release_grown_lanes();
    for (unsigned lane = 0; lane < scenario.lanes(); ++lane) {
      arena_lane(memory_, lane)
          .reset(job.stamp_source, job.serialised, std::min(job.journal_records, records_max));
    }
    lanes_used_ = scenario.lanes();
    for (unsigned worker = 0; worker < workers_; ++worker) start_worker(job, worker);
  }

  Lane lane(unsigned lane) const override { return arena_lane(memory_, lane); }

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

  std::vector<WorkerExit> collect_exits() override {
    std::vector<WorkerExit> exits;
    ExitMessage message;
    for (;;) {
      const ssize_t got = ::recv(socket_.get(), &message, sizeof message, MSG_DONTWAIT);
      // Without it nobody says who ended: waiting on would be for ever.
      if (got == 0) throw std::runtime_error("the zygote is gone; it was killed from outside");
      if (got != static_cast<ssize_t>(sizeof message)) break;
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
    if (!slot.output.valid()) return {};
    const off_t size = ::lseek(slot.output.get(), 0, SEEK_END);
    std::string text(static_cast<std::size_t>(std::clamp<off_t>(size, 0, 4096)), '\0');
    const ssize_t got =
        ::pread(slot.output.get(), text.data(), text.size(), std::max<off_t>(0, size - 4096));
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
  }

 private:
  struct Slot {
    Descriptor socket, output;
    std::uint32_t command = 0;
    bool alive = false;
    bool doomed = false;  // sent SIGKILL, not yet gone
  };

  static void reset_signals() {
    for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    // The terminal's Ctrl-C is the supervisor's business; workers end when it says so.
    ::signal(SIGINT, SIG_IGN);
  }

  void start_worker(const CrewJob& job, unsigned worker) {
    const unsigned number = first_slot_ + worker;
    Slot& slot = slots_[number];
    StartBlock& block = arena_of(memory_).blocks[number];
    const bool spawn = !slot.alive;
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
    } else if (::ftruncate(slot.output.get(), 0) == 0) {
      ::lseek(slot.output.get(), 0, SEEK_SET);
    }
    const int fds[] = {other.get(), slot.output.get()};
    const Message message{Command::spawn, number};
    if (!send_with_descriptors(socket_.get(), &message, sizeof message, fds)) {
      throw_system_error("sendmsg", "zygote");
    }
    slot.alive = true;
  }

  // Pages that a lane once touched stay, so that the next scenario finds them without a fault; of too
  // many all are given back.
  void release_grown_lanes() {
    std::uint64_t all = 0;
    for (unsigned lane = 0; lane < workers_max; ++lane) {
      if (lane < lanes_used_) {
        const auto& head = arena_lane(memory_, lane).header().head;
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
  std::array<std::uint64_t, workers_max> touched_{};  // most records of each lane since it was empty
  std::uint32_t heard_ = 0;
};

}  // namespace

void Crew::give_order(Lane lane, std::uint32_t word) const {
  lane.header().order.store(word, std::memory_order_seq_cst);
  futex_wake(lane.header().order);
}

std::unique_ptr<Crew> make_forked_crew() { return std::make_unique<ForkedCrew>(); }

}  // namespace ipctorture
