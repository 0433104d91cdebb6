// Linearizable priority queues, as posix_mq: the highest priority first, the oldest first among
// equals; each value sent once at most. n log n.
//
// Lee and Mathur (OOPSLA 2025) decide priority queues with distinct priorities in log-linear time
// by taking values away one by one. Here priorities may be equal. From the highest priority down,
// each level is a queue whose receives may take effect only at moments at which nothing higher is
// surely inside. The earliest such moments are best for every lower level at once: a value is
// surely inside from the return of its send until then, and that is what the next levels must stay
// clear of. A receive that found nothing is the lowest level of all. Checked against brute force.
//
// Exact without receives of unknown outcome. With them, what was left behind counts as taken by the
// first of them, each value for itself (sound).
#pragma once

#include "harness/linear/lives.h"

namespace ipctorture::linear {

Answer judge_priority(const History& history, std::uint64_t capacity);

}  // namespace ipctorture::linear
