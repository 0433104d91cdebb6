#include "stress/engine_room.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <termios.h>

#include <array>
#include <optional>

#include "stress/terminal.h"

namespace ipctorture {
namespace {

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

SignalWatch::SignalWatch(std::atomic<bool>* interrupted, Describe describe, const void* context)
    : interrupted_(interrupted), describe_(describe), context_(context) {
  const sigset_t set = heard_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signals_ = own_descriptor(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd", "");
  stop_ = own_descriptor(::eventfd(0, EFD_CLOEXEC), "eventfd", "");
  thread_ = std::thread([this] { listen(); });
}

SignalWatch::~SignalWatch() {
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
  const sigset_t set = heard_signals();
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void SignalWatch::listen() {
  std::optional<Keys> keys(std::in_place);
  for (;;) {
    std::array<pollfd, 3> waits{pollfd{signals_.get(), POLLIN, 0}, pollfd{stop_.get(), POLLIN, 0},
                                pollfd{keys ? keys->descriptor() : -1, POLLIN, 0}};
    if (::poll(waits.data(), waits.size(), -1) < 0) continue;
    if (waits[1].revents != 0) return;
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
      if (exit_code_ != 0 && info.ssi_signo != SIGUSR1 && keys) keys->restore();
      heard(static_cast<int>(info.ssi_signo));
    }
    if (waits[2].revents == 0) continue;
    char key = 0;
    if (::read(STDIN_FILENO, &key, 1) != 1) {
      keys.reset();  // end of input: no keys any more
    } else if (key == 't') {
      explain_now();
    }
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

void SignalWatch::explain_now() const { print_note("\n" + describe_(context_)); }

EngineRoom::EngineRoom(unsigned engines)
    : cleaned_(clean_dead_runs(run_base_directory(), &directory_)), stamps_(measure_stamps()) {
  for (unsigned i = 0; i < engines; ++i) {
    engines_.push_back(std::make_unique<Engine>(EngineOptions{.run_directory = directory_.path(),
                                                              .worker_program = "/proc/self/exe",
                                                              .stamps = stamps_,
                                                              .interrupted = &interrupted_}));
  }
  watch_ = std::make_unique<SignalWatch>(
      &interrupted_,
      [](const void* room) { return static_cast<const EngineRoom*>(room)->describe(); }, this);
}

// The watch first: it looks at the engines. Its signals stay blocked until it is gone, so that a
// second Ctrl-C comes late rather than in the middle of the removal.
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

}  // namespace ipctorture
