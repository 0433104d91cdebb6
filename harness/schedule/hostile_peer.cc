#include "harness/schedule/hostile_peer.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "harness/schedule/arena.h"
#include "harness/schedule/interpose.h"
#include "harness/schedule/scheduler.h"

namespace ipctorture::schedule {
namespace {

// The four that a search goes through: the largest value, one more, none, and a change of sign. The
// others are a fuzzer's: one bit less or more, a power of two and the value below, a step to either
// side, a small value.
constexpr unsigned searched_values = 4, all_values = 255;
std::uint64_t altered(std::uint64_t word, std::size_t width, unsigned answer) {
  const auto bits = static_cast<unsigned>(8 * width);
  const std::uint64_t searched[searched_values] = {UINT64_MAX, word + 1, 0,
                                                   word ^ std::uint64_t{1} << (bits - 1)};
  if (answer <= searched_values) return searched[answer - 1];
  unsigned rest = answer - searched_values - 1;
  if (rest < 3 * 64) {
    const std::uint64_t power = std::uint64_t{1} << (rest % 64 % bits);
    return rest < 64 ? word ^ power : rest < 128 ? power : power - 1;
  }
  rest -= 3 * 64;
  constexpr unsigned steps = 16;
  if (rest < 2 * steps) return rest < steps ? word + rest + 2 : word - (rest - steps) - 1;
  return rest - 2 * steps + 1;
}

}  // namespace

void alter(const void* address, std::size_t bytes, const void* pc) {
  constexpr unsigned searched_most = 3, keyed_most = 64;
  Control& c = *control;
  const bool is_keyed = c.source == Source::keyed;  // a fuzzer's, and what led to a failure again
  if (c.alterations == (is_keyed ? keyed_most : searched_most)) return;
  const unsigned answer = ask(Question::hostile, (is_keyed ? all_values : searched_values) + 1, pc);
  if (answer == 0) return;
  ++c.alterations;
  const std::size_t width = std::min<std::size_t>(bytes, 8);
  std::uint64_t word = 0;
  std::memcpy(&word, address, width);
  word = altered(word, width, answer);
  note_value(word);
  const auto page = reinterpret_cast<std::uintptr_t>(address) / page_bytes * page_bytes;
  if (raw_call(SYS_mprotect, static_cast<long>(page), page_bytes, PROT_READ | PROT_WRITE) != 0) {
    return;  // nobody can write it
  }
  std::memcpy(const_cast<void*>(address), &word, width);
}

}  // namespace ipctorture::schedule
