// What a scenario left on the machine after its transport was destroyed: files, shared memory
// objects, message queues, System V objects, and what the creator still holds of them. Looked for
// by the scenario's names and key.
#pragma once

#include <string>
#include <vector>

#include "harness/history/history.h"
#include "harness/transport/transport.h"

namespace ipctorture {

// Fact::leaked, one per kind. `thorough` also walks /dev/shm, /dev/mqueue, /proc/sysvipc and
// /proc/self (about 0.4 ms); without it only the scenario's own directory, which it empties.
enum class Search { directory_only, thorough };
std::vector<Evidence> find_leftovers(const Options& options, Search search);
}  // namespace ipctorture
