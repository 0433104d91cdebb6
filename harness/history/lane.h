// A lane: the shared memory of one worker thread. Its header carries progress and orders between
// the worker and the supervisor; its body is the journal, one Record per operation in order.
//
// The journal survives SIGKILL: the worker writes a record's invocation, publishes `opened`,
// performs the operation, completes the record, publishes `head`. Records below head are complete;
// record head, if opened > head, is the operation that was cut. The layout is public
// (docs/worker-protocol.md); a reader of a foreign lane trusts nothing in it.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>

#include "harness/base/clock.h"
#include "harness/base/shared_mapping.h"
#include "harness/history/event.h"

namespace ipctorture {

// What a worker thread is doing, written by it alone, in this order.
enum class LaneState : std::uint32_t {
  idle = 0,
  attaching,
  ready,     // attached; waits for the order to run
  running,   // in its workload
  parked,    // took its mark (or was told to pause): waits for an order, outside any operation
  sent_all,  // producer: quota done; waits for an order, outside any operation
  closing,
  done,    // closed, endpoint destroyed
  failed,  // attach threw or the endpoint misbehaved: `error`, `error_text`
};
constexpr std::string_view to_string(LaneState state) {
  constexpr std::string_view names[9] = {"idle",     "attaching", "ready", "running", "parked",
                                         "sent_all", "closing",   "done",  "failed"};
  return names[static_cast<unsigned>(state) % 9];
}

// What the supervisor asks, in LaneHeader::order: Order | argument << 8 | serial << 24.
enum class Order : std::uint32_t {
  none = 0,
  run,   // start the workload; a late lane: attach first, `argument` > 0: with the index
         // argument - 1. A lane that stays: once more; a producer `argument` * round_unit messages
  send,  // producer: send `argument` messages of kind `order_kind`, then go back to waiting
  receive,  // consumer: receive `argument` messages, then park again
  close,    // close the endpoint and end
};

inline constexpr std::uint64_t round_unit = 64;  // messages

struct alignas(64) LaneHeader {
  static constexpr std::uint64_t magic_value = 0x31454e414c544349;  // "ICTLANE1"
  static constexpr std::uint32_t current_version = 1;
  // Set by the supervisor before the worker sees it; constant afterwards.
  std::uint64_t magic = magic_value;
  std::uint32_t version = current_version;
  StampSource stamp_source = StampSource::monotonic;
  std::uint32_t serialised = 1;  // stamps are fenced (real-time order may be claimed)
  std::uint32_t stays = 0;  // 1: after its workload the lane waits for orders, and for further runs
  std::uint64_t capacity = 0;  // records
  // Written by the worker.
  alignas(64) std::atomic<std::uint64_t> opened{0};
  std::atomic<std::uint64_t> head{0};
  std::atomic<std::uint64_t> accepted{0};           // sends answered ok, all channels
  std::atomic<std::uint64_t> received{0};           // receives answered ok, all channels
  alignas(64) std::atomic<std::uint32_t> state{0};  // LaneState; futex word
  std::atomic<std::int32_t> pid{0};
  std::atomic<std::int32_t> tid{0};
  std::int32_t error = 0;
  std::int32_t descriptors_before = -1;  // open descriptors before attach and after ~Transport; -1:
  std::int32_t descriptors_after = -1;   // not counted
  std::int32_t mappings_before = -1;     // MAP_SHARED ones, likewise
  std::int32_t mappings_after = -1;
  std::atomic<std::uint32_t> obeyed{0};           // the last order that was taken, the whole word
  char error_text[256] = {};                      // zero-terminated
  std::atomic<std::uint32_t> descriptors_max{0};  // the limit it set for itself; 0: none
  // What the worker did to calls of the transport, as the scenario's faults say: how many failed
  // (the first lane_failures_max of them are in lane_failures), were short, were interrupted.
  std::atomic<std::uint32_t> calls_failed{0};
  std::atomic<std::uint32_t> calls_shortened{0};
  std::atomic<std::uint32_t> calls_interrupted{0};
  // Written by the supervisor.
  alignas(64) std::atomic<std::uint32_t> order{0};  // futex word
  std::atomic<std::uint32_t> order_kind{0};         // MessageKind of Order::send
  std::atomic<std::uint32_t> stop{
      0};  // 1: end the workload at the next chance (consumers with deadlines)
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

// A call that was made to fail as on a machine that is full; written by the worker before the call
// returns and before calls_failed counts it.
struct CallFailure {
  Stamp at = 0;
  std::int32_t error = 0;
  char call[20] = {};  // "write", zero-terminated
};
static_assert(sizeof(CallFailure) == 32);
inline constexpr std::size_t lane_failures_offset = 1024;
inline constexpr unsigned lane_failures_max = 96;

inline constexpr std::size_t lane_records_offset = 4096;
static_assert(sizeof(LaneHeader) <= lane_failures_offset);
static_assert(lane_failures_offset + lane_failures_max * sizeof(CallFailure) <=
              lane_records_offset);
constexpr std::size_t lane_bytes(std::uint64_t capacity) {
  return lane_records_offset + capacity * sizeof(Record);
}

// A view of a lane in mapped memory; the mapping is owned elsewhere and outlives it. Copyable.
class Lane {
 public:
  Lane() = default;
  explicit Lane(std::byte* memory) : memory_(memory) {}
  LaneHeader& header() const { return *reinterpret_cast<LaneHeader*>(memory_); }
  CallFailure* failures() const {
    return reinterpret_cast<CallFailure*>(memory_ + lane_failures_offset);
  }
  Record* records() const { return reinterpret_cast<Record*>(memory_ + lane_records_offset); }
  LaneState state() const {
    return static_cast<LaneState>(header().state.load(std::memory_order_acquire));
  }
  // Supervisor: makes the lane new (header constants given, counters 0). Records are not cleared.
  void reset(StampSource source, bool serialised, std::uint64_t capacity, bool stays = false) const;

 private:
  std::byte* memory_ = nullptr;
};

// The worker's pen. One per thread, not thread-safe. begin/end around every operation, note()
// between.
class Journal {
 public:
  explicit Journal(Lane lane)
      : header_(&lane.header()),
        records_(lane.records()),
        capacity_(header_->capacity),
        head_(header_->head.load(std::memory_order_relaxed)),
        source_(header_->stamp_source),
        serialised_(header_->serialised != 0) {}

  // Room for `records` more? The workload ends in time instead of overflowing
  // (EndedBy::journal_full).
  bool room(std::uint64_t records) const { return head_ + records <= capacity_; }
  std::uint64_t head() const { return head_; }
  // Between two runs, in which the supervisor may have moved the place to write at.
  void go_on() { head_ = header_->head.load(std::memory_order_acquire); }

  void begin(Op op, unsigned channel, DeadlineMode mode, std::uint64_t message, std::uint32_t size,
             std::uint16_t detail = 0) {
    Record& record = records_[head_];
    record.message = message;
    record.size = size;
    record.what = Record::encode(op, channel, mode);
    record.outcome = static_cast<std::uint8_t>(Outcome::unknown);
    record.detail = detail;
    record.returned = 0;
    record.invoked = serialised_ ? stamp_begin(source_) : stamp_plain(source_);
    header_->opened.store(head_ + 1, std::memory_order_release);
  }
  // Takes the response's stamp first, so call it right after the operation. Complete the record
  // with the setters' values through `finish`.
  Stamp returned() const { return serialised_ ? stamp_end(source_) : stamp_plain(source_); }
  // Publishes the record opened by begin().
  void end(Stamp returned, Outcome outcome, std::uint16_t detail) {
    Record& record = records_[head_];
    record.returned = returned;
    record.outcome = static_cast<std::uint8_t>(outcome);
    record.detail = detail;
    publish();
  }
  void end_received(Stamp returned, std::uint64_t message, std::uint32_t size,
                    std::uint16_t detail) {
    Record& record = records_[head_];
    record.message = message;
    record.size = size;
    end(returned, Outcome::ok, detail);
  }
  void note(Op op, unsigned channel, std::uint64_t message, std::uint32_t size = 0,
            std::uint16_t detail = 0) {
    begin(op, channel, DeadlineMode::never, message, size);
    end(records_[head_].invoked, Outcome::ok, detail);
  }
  void count_accepted() {
    header_->accepted.store(header_->accepted.load(std::memory_order_relaxed) + 1,
                            std::memory_order_release);
  }
  void count_received() {
    header_->received.store(header_->received.load(std::memory_order_relaxed) + 1,
                            std::memory_order_release);
  }

 private:
  void publish() { header_->head.store(++head_, std::memory_order_release); }

  LaneHeader* header_;
  Record* records_;
  std::uint64_t capacity_;
  std::uint64_t head_;
  StampSource source_;
  bool serialised_;
};

}  // namespace ipctorture
