// Watches workers from outside, through /proc: who sleeps, who is starved, who hangs. Gathers the
// evidence that liveness oracles need; judges nothing itself.
//
// A thread is called asleep between two samples when it was not runnable at either and neither its
// context switch counts nor its journal moved: then it did not run in between. One that waits for
// the kernel itself (state D) is held up by the machine, as one that is runnable and does not run.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "harness/base/clock.h"
#include "harness/history/history.h"
#include "harness/history/lane.h"
#include "harness/launch/pressure.h"

namespace ipctorture {

struct ThreadSample {
  bool asleep = false;   // in an interruptible sleep, or stopped
  bool blocked = false;  // in an uninterruptible sleep: waits for the kernel itself, not for a peer
  std::uint64_t switches = 0;
  std::int64_t starved_ns = 0;
};
// Nothing when the thread is gone or /proc refuses.
std::optional<ThreadSample> sample_thread(pid_t pid, pid_t tid);

// Where a process hangs: its stack by eu-stack where ptrace is allowed, else wait channel and
// system call. Takes 10-30 ms; bounded to 8 KiB and 2 s.
std::string describe_hang(pid_t pid, pid_t tid);

class Watch {
 public:
  static constexpr std::int64_t sample_every_ns = 50'000'000;
  static constexpr std::int64_t deadlock_after_ns = 100'000'000;

  explicit Watch(const StampProperties& stamps, PressureGauge gauge = PressureGauge())
      : stamps_(stamps), gauge_(std::move(gauge)) {}

  // A new scenario with these lanes, each of so many records.
  void begin(std::vector<Lane> lanes, std::uint64_t lane_records);
  // The harness holds this lane itself, or lets it go again: its sleep begins anew then.
  void hold(unsigned lane, bool held);
  // The lane is gone: nobody waits for it to move.
  void forget(unsigned lane);
  // Samples every lane, and the pressure on the machine, when the last sample is old enough.
  void tick(Instant now);
  // Notes what the kernel did to us for want of memory or processor time since the last look.
  void look_for_pressure(Instant now);
  // The supervisor meant to sleep until `due` and was run only `now`.
  void note_wakeup(Instant due, Instant now);
  // Every lane has slept for deadlock_after_ns, each in an operation without deadline or waiting
  // for an order that nobody gave, and at least one is in an operation.
  bool nothing_can_move() const;
  // Ends open intervals and hands the evidence over.
  std::vector<Evidence> take_evidence();
  // A fact of this moment unless it says from when.
  void add(Evidence evidence) {
    if (evidence.from == 0) evidence.from = evidence.to;
    evidence_.push_back(std::move(evidence));
  }
  // A fact about the whole scenario that held for the last `ns`; its value is `ns`.
  void add_interval(Fact fact, std::int64_t ns);
  Stamp stamp() const { return stamp_plain(stamps_.source); }

 private:
  struct Watched {
    Lane lane;
    bool known = false;  // the fields below hold a sample
    std::uint64_t head = 0;
    ThreadSample sample;
    Instant taken = 0;
    Stamp stamp = 0;
    Instant asleep_since = 0;  // 0: not asleep
    Stamp asleep_from = 0;
    bool untimed = false;
    bool held = false, gone = false;
  };
  void observe(Watched& watched, int number, Instant now);
  void end_sleep(Watched& watched, int number);

  // A scenario that is over before the first sample reads no counters; these are never older than
  // this at its begin, so that what happened long before excuses nothing.
  static constexpr std::int64_t look_again_ns = 1'000'000'000;
  void remember_pressure(Instant now, const PressureCounts& counts);

  StampProperties stamps_;
  PressureGauge gauge_;
  PressureCounts pressure_;
  Instant looked_ = 0;  // 0: never
  Stamp looked_stamp_ = 0;
  std::vector<Watched> lanes_;
  std::uint64_t lane_records_ = 0;
  std::vector<Evidence> evidence_;
  Instant began_ = 0, last_tick_ = 0;
};

}  // namespace ipctorture
