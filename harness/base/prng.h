// The seeded generator behind every choice of the free engine: xoshiro256** seeded by splitmix64
// (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2018). Not for secrets:
// tokens come from getrandom(2), see harness/launch.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace ipctorture {

// One step of splitmix64: also the project's mixing function for seeds and payload keys.
constexpr std::uint64_t mix64(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// Not thread-safe; 32 bytes, copyable. Equal seeds give equal sequences on every machine.
class Prng {
 public:
  constexpr explicit Prng(std::uint64_t seed) {
    for (auto& word : state_) word = mix64(seed++);
  }
  constexpr std::uint64_t next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }
  // Uniform in [0, bound); 0 when bound is 0. The bias of the multiply-shift is below 2^-32 for the
  // bounds used here (all under 2^32).
  constexpr std::uint64_t below(std::uint64_t bound) { return ((next() >> 32) * bound) >> 32; }
  // Uniform in [low, high], both included.
  constexpr std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    return low + below(high - low + 1);
  }
  constexpr bool chance(std::uint64_t permille) { return below(1000) < permille; }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace ipctorture
