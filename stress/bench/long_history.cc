#include "stress/bench/long_history.h"

#include <array>
#include <vector>

#include "harness/base/prng.h"

namespace ipctorture {
namespace {

using linear::Index;
using linear::Kind;
using linear::Outcome;

class Simulation {
 public:
  explicit Simulation(const LongHistory& wanted) : wanted_(wanted), prng_(wanted.seed) {
    history_.reserve(wanted.operations);
    for (Index i = 0; i < processes_.size(); ++i) processes_[i].name = i;
  }

  linear::History run() {
    // In trouble those who receive are faster.
    const std::uint64_t turns = wanted_.troubled ? 10 : 8;
    while (begun_ < wanted_.operations || open_ > 0) {
      const std::uint64_t turn = prng_.below(turns);
      step(processes_[turn < 8 ? turn : turn - 4]);
    }
    history_.events = now_;
    return std::move(history_);
  }

 private:
  enum class Stage : std::uint8_t { idle, invoked, effective };
  struct Process {
    Index name = 0;  // a new one after an operation that was cut
    Index operation = 0;
    Stage stage = Stage::idle;
    std::size_t cursor = 0;  // of a broadcast
  };

  bool sends(const Process& process) const {
    const auto place = static_cast<std::size_t>(&process - processes_.data());
    return wanted_.contract == linear::Contract::broadcast ? place == 0 : place < 4;
  }

  void step(Process& process) {
    if (process.stage == Stage::idle) {
      if (begun_ < wanted_.operations) begin(process);
      return;
    }
    if (wanted_.troubled && prng_.below(2048) == 0) return cut(process);
    if (process.stage == Stage::invoked) {
      if (sends(process)) {
        order_.push_back(history_.value[process.operation]);
        process.stage = Stage::effective;
      } else {
        receive(process);
      }
      return;
    }
    history_.returned[process.operation] = now_++;
    process.stage = Stage::idle;
    --open_;
  }

  void begin(Process& process) {
    process.operation = static_cast<Index>(history_.size());
    const bool send = sends(process);
    history_.add({.process = process.name,
                  .kind = send ? Kind::send : Kind::receive,
                  .value = send ? next_value_++ : linear::no_value,
                  .invoked = now_++});
    process.stage = Stage::invoked;
    ++begun_;
    ++open_;
  }

  void receive(Process& process) {
    const bool broadcast = wanted_.contract == linear::Contract::broadcast;
    std::size_t& head = broadcast ? process.cursor : head_;
    const bool nothing =
        wanted_.contract == linear::Contract::latest ? order_.empty() : head == order_.size();
    process.stage = Stage::effective;
    if (nothing) {
      // Without trouble a receive waits; at the end there is nobody to wait for.
      if (!wanted_.troubled && begun_ < wanted_.operations) {
        process.stage = Stage::invoked;
        return;
      }
      history_.outcome[process.operation] = Outcome::empty;
      return;
    }
    history_.value[process.operation] =
        wanted_.contract == linear::Contract::latest ? order_.back() : order_[head++];
  }

  void cut(Process& process) {
    history_.outcome[process.operation] = Outcome::unknown;
    if (!sends(process)) history_.value[process.operation] = linear::no_value;
    process.stage = Stage::idle;
    process.name = next_name_++;
    process.cursor = 0;
    --open_;
  }

  LongHistory wanted_;
  Prng prng_;
  linear::History history_;
  std::array<Process, 8> processes_{};
  std::vector<Index> order_;  // values as their sends took effect
  std::size_t head_ = 0;
  std::uint32_t begun_ = 0, open_ = 0;
  Index next_value_ = 0, next_name_ = 8;
  linear::Rank now_ = 0;
};

}  // namespace

linear::History make_long_history(const LongHistory& wanted) { return Simulation(wanted).run(); }

}  // namespace ipctorture
