// Everything a command needs to run scenarios: a private directory, engines, and ears for signals.
//
// Order matters: the engines fork their zygotes while this process is small and has one thread;
// only then are signals taken over and threads started. Construct it in the main thread, before any
// other.
#pragma once

#include <signal.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "harness/base/descriptor.h"
#include "harness/launch/engine.h"
#include "harness/launch/run_directory.h"
#include "stress/exit_code.h"

namespace ipctorture {

// Holds back the signals that SignalWatch hears while it lives: none ends the process before
// somebody listens, when there is already something to remove, nor while it is removed. Whatever
// came and was not heard changes nothing any more. Of the calling thread.
class HeldSignals {
 public:
  HeldSignals();
  ~HeldSignals();
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

 private:
  sigset_t before_;
};

// Listens while it lives: SIGINT, SIGTERM and SIGHUP set `interrupted`, a second one ends the
// process at once (its workers die with it, the next run removes what is left). SIGUSR1, and the
// key t when standard input is a terminal of ours, print what `describe` says. Once a second it
// asks `overdue`; an answer is printed and ends the process likewise, with the code of a failed
// harness: nobody can end a call that hangs in this process.
class SignalWatch {
 public:
  using Say = std::string (*)(const void* context);
  struct Room {
    Say describe, overdue;
    const void* context;
  };
  SignalWatch(std::atomic<bool>* interrupted, const Room& room);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  // interrupted or terminated, by the first signal; pass when there was none.
  ExitCode exit_code() const { return static_cast<ExitCode>(exit_code_.load()); }

 private:
  void listen();
  void heard(int signal);
  void explain_now() const;
  void end_if_overdue() const;

  std::atomic<bool>* interrupted_;
  const Room room_;
  const HeldSignals held_;
  Descriptor signals_, stop_;
  std::atomic<std::uint8_t> exit_code_{0};
  std::thread thread_;
};

// Scenarios run at once when nobody says how many: one per core, since most have a worker asleep at
// any time; two at least, so that a slow case does not stand in the way.
unsigned default_jobs();

class EngineRoom {
 public:
  enum class Stamps : std::uint8_t { fenced_where_needed, always_fenced };
  // Removes what dead runs left, makes the run's directory, measures the clock, starts `engines`.
  // Throws std::system_error or std::runtime_error.
  explicit EngineRoom(unsigned engines, Stamps stamps = Stamps::fenced_where_needed);
  ~EngineRoom();
  EngineRoom(const EngineRoom&) = delete;
  EngineRoom& operator=(const EngineRoom&) = delete;

  Engine& engine(unsigned index) { return *engines_[index]; }
  unsigned size() const { return static_cast<unsigned>(engines_.size()); }
  const std::atomic<bool>& interrupted_flag() const { return interrupted_; }
  bool interrupted() const { return interrupted_.load(std::memory_order_relaxed); }
  ExitCode exit_code() const { return watch_->exit_code(); }
  const CleanReport& cleaned() const { return cleaned_; }
  const StampProperties& stamps() const { return stamps_; }

 private:
  std::string describe() const;
  std::string overdue() const;

  const HeldSignals held_;  // before there is a directory, and until it is gone
  std::atomic<bool> interrupted_{false};
  RunDirectory directory_;
  CleanReport cleaned_;
  StampProperties stamps_;
  std::vector<std::unique_ptr<Engine>> engines_;
  std::unique_ptr<SignalWatch> watch_;
};

}  // namespace ipctorture
