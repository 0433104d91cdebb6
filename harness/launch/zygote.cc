#include "harness/launch/zygote.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "harness/base/futex.h"
#include "harness/launch/descriptor_passing.h"
#include "harness/launch/strays.h"
#include "harness/launch/worker.h"

namespace ipctorture {
namespace {

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
    job.lanes.push_back(arena_lane(memory, lane, scenario.lanes()));
  }
  run_worker_job(std::move(job));
}

// noexcept, like all that runs in a child: an exception must not climb into the copy of the
// supervisor's stack, whose destructors would end what belongs to the supervisor.
[[noreturn]] void run_worker(const SharedMapping& memory, unsigned slot, int socket) noexcept {
  StartBlock& block = arena_of(memory).blocks[slot];
  const bool pooled = slot < workers_max;
  std::uint32_t done = block.finished.load(std::memory_order_relaxed);
  for (;;) {
    std::uint32_t command;
    while ((command = block.command.load(std::memory_order_acquire)) == done) {
      futex_wait(block.command, done, Deadline::never());
    }
    do_job(memory, block, socket);
    done = command;
    block.finished.store(done, std::memory_order_release);
    arena_of(memory).bell.fetch_add(1, std::memory_order_seq_cst);
    futex_wake(arena_of(memory).bell);
    if (!pooled) ::_exit(0);
  }
}

// --- the zygote
// ------------------------------------------------------------------------------------

constexpr std::int64_t leaving_max_ns = 2'000'000'000;

class Zygote {
 public:
  Zygote(const SharedMapping& memory, int socket) : memory_(memory), socket_(socket) {}

  [[noreturn]] void run() noexcept {
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
    if (message.command == Command::sweep) return sweep();
    if (message.slot >= slots) return;
    if (message.command == Command::kill) {
      if (pids_[message.slot] > 0) ::kill(pids_[message.slot], SIGKILL);
      return;
    }
    if (message.command == Command::signal) return signal(message);
    if (fds.size() != 2) ::_exit(1);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) return report(message.slot, -1, errno);
    if (pid == 0) become_worker(message.slot, parent, fds);
    pids_[message.slot] = pid;
  }

  // A thread's number comes from the worker's own memory: the kernel checks that it is one of this
  // child, which cannot be another process before it is reaped.
  void signal(const Message& message) {
    const pid_t pid = pids_[message.slot];
    if (message.thread != 0) {
      if (pid > 0) ::syscall(SYS_tgkill, pid, message.thread, message.signal);
      return;
    }
    if (pid > 0) ::kill(pid, message.signal);
    send({.slot = signalled_slot, .status = static_cast<std::int32_t>(message.slot)});
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

  // What is told to end may take its time to, on a loaded machine; what lives on is left behind.
  void sweep() {
    ExitMessage answer{.slot = sweep_slot};
    const Instant leaving = monotonic_now() + leaving_max_ns;
    std::vector<pid_t> strays = find_strays(workers());
    while (!strays.empty() && monotonic_now() < leaving) strays = look_again();
    for (const pid_t stray : strays) {
      const std::string name = process_name(stray);
      if (answer.status++ == 0) name.copy(answer.name, sizeof answer.name - 1);
    }
    // The children of those that are killed come to light one after the other.
    const Instant dying = monotonic_now() + leaving_max_ns;
    while (!strays.empty() && monotonic_now() < dying) {
      for (const pid_t stray : strays) ::kill(stray, SIGKILL);
      strays = look_again();
    }
    send(answer);
  }

  std::vector<pid_t> look_again() {
    const timespec pause = to_timespec(1'000'000);
    ::nanosleep(&pause, nullptr);
    reap();
    return find_strays(workers());
  }

  std::vector<pid_t> workers() const {
    std::vector<pid_t> pids;
    std::copy_if(pids_.begin(), pids_.end(), std::back_inserter(pids),
                 [](pid_t pid) { return pid > 0; });
    return pids;
  }

  void reap() {
    int status;
    bool disorder = false;
    for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      const auto found = std::find(pids_.begin(), pids_.end(), pid);
      if (found == pids_.end()) continue;
      *found = 0;
      disorder = disorder || status != 0;
      report(static_cast<unsigned>(found - pids_.begin()), status, 0);
    }
    // A worker that was killed could not end what it had started: that is nobody's leak.
    if (!disorder) return;
    for (const pid_t orphan : find_orphans(workers())) ::kill(orphan, SIGKILL);
  }

  void report(unsigned slot, int status, int error) {
    send({.slot = slot, .status = status, .error = error});
  }

  void send(const ExitMessage& message) {
    send_with_descriptors(socket_, &message, sizeof message, {});
    arena_of(memory_).bell.fetch_add(1, std::memory_order_seq_cst);
    futex_wake(arena_of(memory_).bell);
  }

  const SharedMapping& memory_;
  int socket_;
  std::array<pid_t, slots> pids_{};
};

void reset_signals() {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  // A terminal, or timeout(1), signals the whole group. That is the supervisor's business; workers
  // end when it says so, and with it.
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::signal(signal, SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace

pid_t fork_zygote(const SharedMapping& memory, int socket) {
  const pid_t parent = ::getpid();
  // Until it ignores them: on a busy machine that may be long after its parent hears them.
  sigset_t of_the_group, before;
  sigemptyset(&of_the_group);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&of_the_group, signal);
  ::pthread_sigmask(SIG_BLOCK, &of_the_group, &before);
  const pid_t zygote = ::fork();
  const int error = errno;
  if (zygote != 0) ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (zygote < 0) throw_system_error("fork", "zygote", error);
  if (zygote > 0) return zygote;
  die_with(parent);
  reset_signals();
  // What a worker's process starts and leaves alone becomes a child of the zygote, which finds it.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const int null = ::open("/dev/null", O_RDONLY);
  if (null >= 0) ::dup2(null, 0);
  const int kept[] = {socket};
  close_all_but(kept);
  Zygote(memory, socket).run();
}

}  // namespace ipctorture
