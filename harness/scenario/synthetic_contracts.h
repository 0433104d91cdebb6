// Contracts for tests of this layer: one like each transport of the project, and random ones that
// make sense.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "harness/base/prng.h"
#include "harness/transport/contract.h"

namespace ipctorture::synthetic {

using NamedContracts = std::vector<std::pair<std::string, Contract>>;

inline NamedContracts lossless() {
  const Contract queue{.ordering = Ordering::total,
                       .late_consumer = LateConsumer::backlog,
                       .late_producer = true,
                       .exact_empty = true,
                       .exact_full = true,
                       .capacity_max = 1024,
                       .message_max = 1 << 20,
                       .producers_max = 8,
                       .consumers_max = 8,
                       .survives_producer_death = true,
                       .survives_consumer_death = true,
                       .lost_per_death_max = 1};
  const Contract ring{.ordering = Ordering::total,
                      .reports_closed = true,
                      .exact_empty = true,
                      .exact_full = true,
                      .capacity_max = 4096,
                      .message_min = 0,
                      .message_max = 65536,
                      .survives_producer_death = true};
  const Contract pipe{.ordering = Ordering::per_producer,
                      .late_consumer = LateConsumer::backlog,
                      .reports_closed = true,
                      .message_max = 1 << 20,
                      .producers_max = 8,
                      .consumers_max = 8,
                      .attach = AttachBy::inherited};
  const Contract stream{.ordering = Ordering::per_producer,
                        .fan_out = FanOut::bound_consumer,
                        .late_producer = true,
                        .message_min = 0,
                        .message_max = 1 << 20,
                        .producers_max = 8,
                        .consumers_max = 8,
                        .survives_producer_death = true,
                        .survives_consumer_death = true,
                        .lost_per_death_max = 64};
  const Contract priority{.ordering = Ordering::priority,
                          .late_consumer = LateConsumer::backlog,
                          .late_producer = true,
                          .message_min = 0,
                          .message_max = 8192,
                          .priorities = 32,
                          .producers_max = 8,
                          .consumers_max = 8};
  return {
      {"queue", queue}, {"ring", ring}, {"pipe", pipe}, {"stream", stream}, {"priority", priority}};
}

inline NamedContracts special() {
  const Contract datagrams{.delivery = Delivery::at_most_once,
                           .when_full = WhenFull::drops_newest,
                           .message_min = 0,
                           .message_max = 60'000,
                           .producers_max = 8};
  const Contract signals{.ordering = Ordering::per_producer,
                         .when_full = WhenFull::rejects,
                         .message_max = 256,
                         .producers_max = 8};
  const Contract seqlock{.delivery = Delivery::latest_value,
                         .late_consumer = LateConsumer::from_attach,
                         .when_full = WhenFull::overwrites,
                         .message_min = 16,
                         .message_max = 4096,
                         .consumers_max = 8,
                         .fires_only_on_change = true};
  const Contract ticker{.ordering = Ordering::total,
                        .fan_out = FanOut::broadcast,
                        .late_consumer = LateConsumer::from_attach,
                        .when_full = WhenFull::overwrites_oldest,
                        .capacity_max = 256,
                        .message_max = 4096,
                        .consumers_max = 8};
  const Contract tiny{.message_max = 4, .producers_max = 200, .consumers_max = 3};
  const Contract crowd{.message_max = 4096,
                       .producers_max = 255,
                       .consumers_max = 255,
                       .threads = false,
                       .exec_only = true};
  const Contract patient{.message_max = 64, .deadline_now = false, .deadline_at = false};
  return {{"datagrams", datagrams}, {"signals", signals}, {"seqlock", seqlock}, {"ticker", ticker},
          {"tiny", tiny},           {"crowd", crowd},     {"patient", patient}};
}

inline NamedContracts contracts() {
  NamedContracts all = lossless();
  for (const auto& one : special()) all.push_back(one);
  return all;
}

// Any contract without contract_faults.
inline Contract random_contract(Prng& rng) {
  for (;;) {
    Contract c;
    c.delivery = static_cast<Delivery>(rng.below(3));
    c.ordering = static_cast<Ordering>(rng.below(4));
    c.fan_out = static_cast<FanOut>(rng.below(3));
    c.late_consumer = static_cast<LateConsumer>(rng.below(3));
    c.late_producer = rng.chance(500);
    c.reports_closed = rng.chance(500);
    c.when_full = static_cast<WhenFull>(rng.below(5));
    c.capacity_max = rng.chance(500) ? static_cast<std::uint32_t>(1 + rng.below(5000)) : 0;
    c.message_min = static_cast<std::uint32_t>(rng.below(20));
    c.message_max = static_cast<std::uint32_t>(rng.below(std::uint64_t{1} << (1 + rng.below(22))));
    c.priorities = rng.chance(300) ? 8 : 1;
    c.producers_max = static_cast<std::uint32_t>(1 + rng.below(rng.chance(800) ? 8 : 255));
    c.consumers_max = static_cast<std::uint32_t>(1 + rng.below(rng.chance(800) ? 8 : 255));
    c.threads = rng.chance(500);
    c.attach = static_cast<AttachBy>(rng.below(2));
    c.exec_only = rng.chance(200);
    c.deadline_now = rng.chance(800);
    c.deadline_at = rng.chance(800);
    c.progress_bound_ms = static_cast<std::uint32_t>(1 + rng.below(100'000));
    c.survives_producer_death = rng.chance(500);
    c.survives_consumer_death = rng.chance(500);
    c.rejoins = rng.chance(300);
    if (rng.chance(300)) c.lives_max = static_cast<std::uint32_t>(rng.below(256));
    if (contract_faults(c).empty()) return c;
  }
}

}  // namespace ipctorture::synthetic
