// Coverage over several processes: libFuzzer looks at the counters of its own process; once these
// are shared memory, what it forks counts there too.
//
//   share_and_try(...)   in LLVMFuzzerInitialize, while there is one thread
//
// The program, and every shared object of it with counters, is linked with counters.ld, which gives
// them pages of their own. Nothing here is instrumented (ci/cmake/fuzz.cmake): a file that is must
// not even name the counters' symbols, or the linker takes all coverage away without a word. So
// they are found in the section headers of the objects instead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace ipctorture {

// The counters of one object, for as long as it is loaded.
struct Counters {
  std::span<std::uint8_t> coverage;  // with padding behind; none where nothing is instrumented
  std::span<std::uint8_t> extra;     // __libfuzzer_extra_counters, likewise; may be none
};

// Of all objects that have some; none in a replay, without libFuzzer. Throws std::runtime_error
// when they have no pages of their own.
std::vector<Counters> find_counters();
// Makes them shared memory, as they are. Call it once, while there is one thread. Throws
// std::system_error.
void share(const std::vector<Counters>& all);

// Shares them, and then tries whether they see what workers do. `run` runs an input, the same each
// time; with `forked`, in workers that it forks for that, and `least` counters of theirs must come
// on top of what this process has without them. When they do not, the process ends with code 70 and
// a word: a fuzzer that sees nothing looks like one that finds nothing.
enum class Workers { forked, none };
void share_and_try(const std::vector<Counters>& all, Workers workers,
                   const std::function<void()>& run, std::size_t least = 16);

}  // namespace ipctorture
