// What an engine gives to a workload: choices, orders, pauses. The free engine answers from a
// seeded generator and the kernel's clock; the controlled engine decides everything itself.
#pragma once

#include <cstdint>

#include "harness/base/clock.h"
#include "harness/history/lane.h"

namespace ipctorture {

// One per worker thread; not thread-safe.
class Stage {
 public:
  virtual ~Stage() = default;
  // A choice in [0, bound); 0 is the default that a shrinker aims for.
  virtual std::uint64_t draw(std::uint64_t bound) = 0;
  // Publishes what this lane does now, and tells the supervisor.
  virtual void enter(LaneState state) = 0;
  // Waits, outside any operation, until the order word differs from `obeyed`; returns the new word.
  virtual std::uint32_t wait_for_order(std::uint32_t obeyed) = 0;
  // The supervisor wants the workload to end at the next chance.
  virtual bool stopped() const = 0;
  virtual void sleep_ns(std::int64_t ns) = 0;
  virtual void spin_ns(std::int64_t ns) = 0;
  virtual void yield() = 0;
  // Called before every operation: the one before has returned, this one is not invoked yet. Here,
  // and only here, another lane's operation can come in between as a whole.
  virtual void between_operations() {}
  // How many of this lane's calls were made to fail until now: it tries again where the fault is
  // certainly not the transport's.
  virtual unsigned shortages() const { return 0; }
  // How long this thread has been runnable without running, since it began; 0 where unknown.
  virtual std::int64_t starved_ns() const = 0;

  // While it lives, the calling thread is inside an operation of the transport: there, and nowhere
  // else, its calls may be made to fail. One test where nobody listens.
  class Inside {
   public:
    Inside(Stage& stage, Op op) : stage_(stage.follows_operations_ ? &stage : nullptr) {
      if (stage_ != nullptr) [[unlikely]]
        stage_->enter_operation(op);
    }
    ~Inside() {
      if (stage_ != nullptr) [[unlikely]]
        stage_->leave_operation();
    }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    Stage* stage_;
  };

 protected:
  // Set in the constructor by a stage that wants to know of each operation.
  bool follows_operations_ = false;

 private:
  virtual void enter_operation(Op) {}
  virtual void leave_operation() {}
};

}  // namespace ipctorture
