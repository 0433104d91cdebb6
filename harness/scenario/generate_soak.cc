// A soak goes at full speed over endpoints that stay: of what generate() draws it keeps who takes
// part, sizes, capacity, counters near wrap, deadlines and noise that does not sleep; of a third of
// the seeds only sizes, capacity and counters, for one producer and one consumer.
#include <algorithm>

#include "harness/base/prng.h"
#include "harness/scenario/generate.h"

namespace ipctorture {
namespace {

constexpr std::uint32_t named_bytes = 8;  // shorter messages name themselves in part only

// As fast as the transport goes: only so do counters of 32 bits wrap within the hour.
void bare(Scenario& s) {
  s.producers = s.consumers = s.threads = 1;
  s.producer_noise = s.consumer_noise = {};
  s.send_deadlines = s.receive_deadlines = {};
  s.oversize_permille = 0;
  s.nice_max = 0;
  s.pinning = Pinning::none;
}

}  // namespace

std::string soak_refusal(const Contract& contract) {
  if (contract.message_max >= named_bytes) return {};
  return "its messages are too short to carry their name, so that nobody could tell those of one "
         "round from those of another";
}

Scenario generate_soak(std::uint64_t seed, std::string_view transport, const Contract& contract,
                       const GenerateOptions& options) {
  Scenario s = generate(seed, transport, contract, options);
  if (s.workload == Workload::request_reply) s.workload = Workload::stream;
  s.window = 1;
  // Successors of the dead may be more than may take part at a time.
  s.producers = std::min(s.producers, contract.producers_max);
  s.consumers = std::min(s.consumers, contract.consumers_max);
  for (std::uint32_t i = 0; i < s.size_count; ++i) s.sizes[i] = std::max(s.sizes[i], named_bytes);
  for (Noise* noise : {&s.producer_noise, &s.consumer_noise}) {
    noise->sleep_permille = 0;
    noise->sleep_max_us = 0;
  }
  s.starved_worker = s.burst = s.burst_pause_us = s.consumer_delay_us = 0;
  s.fill_first = s.handoff = false;
  s.gap_after = s.gap_ms = 0;
  s.late_consumers = s.late_producers = s.early_producers = s.early_consumers = 0;
  s.faults = {};
  s.count_resources = true;
  if (Prng(mix64(seed) ^ named_bytes).chance(300)) bare(s);
  return s;
}

}  // namespace ipctorture
