#include "stress/engine_room.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <termios.h>

#include <algorithm>
#include <array>
#include <optional>

#include "stress/terminal.h"

namespace ipctorture {
namespace {

constexpr int look_every_ms = 1000;

sigset_t heard_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) ::sigaddset(&set, signal);
  return set;
}

// Single keys from standard input while it lives, when that is the terminal we are in front of.
class Keys {
 public:
  Keys() {
    if (::isatty(STDIN_FILENO) != 1 || ::tcgetpgrp(STDIN_FILENO) != ::getpgrp()) return;
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios single = before_;
    single.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    // A read never waits: Ctrl-C throws away a key that poll(2) has just announced, see termios(3).
    single.c_cc[VMIN] = 0;
    single.c_cc[VTIME] = 0;
    active_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &single) == 0;
  }
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;
  ~Keys() {
    if (active_ && ::tcgetpgrp(STDIN_FILENO) == ::getpgrp()) restore();
  }
  void restore() const {
    if (active_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  int descriptor() const { return active_ ? STDIN_FILENO : -1; }  // poll(2) ignores -1

 private:
  termios before_{};
  bool active_ = false;
};

}  // namespace

HeldSignals::HeldSignals() {
  const sigset_t set = heard_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, &before_);
}

HeldSignals::~HeldSignals() {
  const sigset_t set = heard_signals();
  constexpr timespec at_once{};
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
    if (::sigismember(&before_, signal) == 1) return;  // an outer one holds them
  }
  while (::sigtimedwait(&set, nullptr, &at_once) > 0) {
  }
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

SignalWatch::SignalWatch(std::atomic<bool>* interrupted, const Room& room)
    : interrupted_(interrupted), room_(room) {
  const sigset_t set = heard_signals();
  signals_ = own_descriptor(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd", "");
  stop_ = own_descriptor(::eventfd(0, EFD_CLOEXEC), "eventfd", "");
  thread_ = std::thread([this] { listen(); });
}

SignalWatch::~SignalWatch() {
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

void SignalWatch::listen() {
  std::optional<Keys> keys(std::in_place);
  for (;;) {
    std::array<pollfd, 3> waits{pollfd{signals_.get(), POLLIN, 0}, pollfd{stop_.get(), POLLIN, 0},
                                pollfd{keys ? keys->descriptor() : -1, POLLIN, 0}};
    const int ready = ::poll(waits.data(), waits.size(), look_every_ms);
    if (ready <= 0) {
      end_if_overdue();
      continue;
    }
    if (waits[1].revents != 0) return;
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
      if (exit_code_ != 0 && info.ssi_signo != SIGUSR1 && keys) keys->restore();
      heard(static_cast<int>(info.ssi_signo));
    }
    if (waits[2].revents == 0) continue;
    char key = 0;
    const ssize_t got = ::read(STDIN_FILENO, &key, 1);
    if (got == 1 && key == 't') explain_now();
    const bool gone = (waits[2].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
    if (got != 1 && (gone || got < 0)) keys.reset();  // end of input: no keys any more
  }
}

void SignalWatch::heard(int signal) {
  if (signal == SIGUSR1) return explain_now();
  if (exit_code_ != 0) ::_exit(exit_code_);
  exit_code_ =
      static_cast<std::uint8_t>(signal == SIGINT ? ExitCode::interrupted : ExitCode::terminated);
  interrupted_->store(true, std::memory_order_relaxed);
  print_note("\nipctorture: ending; once more to end at once\n");
}

void SignalWatch::explain_now() const { print_note("\n" + room_.describe(room_.context)); }

void SignalWatch::end_if_overdue() const {
  const std::string text = room_.overdue(room_.context);
  if (text.empty()) return;
  print_note("\nipctorture: the transport hangs, and this run with it: " + text);
  ::_exit(static_cast<int>(ExitCode::harness_failed));
}

unsigned default_jobs() { return std::clamp(std::thread::hardware_concurrency(), 2u, 16u); }

EngineRoom::EngineRoom(unsigned engines, Stamps stamps)
    : cleaned_(clean_dead_runs(run_base_directory(), &directory_)), stamps_(measure_stamps()) {
  for (unsigned i = 0; i < engines; ++i) {
    engines_.push_back(
        std::make_unique<Engine>(EngineOptions{.run_directory = directory_.path(),
                                               .worker_program = "/proc/self/exe",
                                               .stamps = stamps_,
                                               .always_fenced = stamps == Stamps::always_fenced,
                                               .interrupted = &interrupted_}));
  }
  watch_ = std::make_unique<SignalWatch>(
      &interrupted_,
      SignalWatch::Room{
          .describe =
              [](const void* room) { return static_cast<const EngineRoom*>(room)->describe(); },
          .overdue =
              [](const void* room) { return static_cast<const EngineRoom*>(room)->overdue(); },
          .context = this});
}

// The watch first: it looks at the engines. A second Ctrl-C while the rest is removed comes too
// late.
EngineRoom::~EngineRoom() { watch_.reset(); }

std::string EngineRoom::describe() const {
  std::string text;
  for (std::size_t i = 0; i < engines_.size(); ++i) {
    const std::string workers = engines_[i]->describe_workers();
    text += fmt::format("engine {}:{}", i, workers.empty() ? " idle\n" : "\n" + workers);
    if (!text.ends_with('\n')) text += '\n';
  }
  return text;
}

// The first that is said; one is enough to end.
std::string EngineRoom::overdue() const {
  for (const auto& engine : engines_) {
    if (std::string text = engine->overdue(); !text.empty()) return text;
  }
  return {};
}

}  // namespace ipctorture
