// Changes what a hostile peer does (harness/scenario/hostile_input.h) act by act: leaves out, adds,
// moves and copies acts, changes their bytes with words of the transport's own wire; half of the
// time libFuzzer's own mutations, which also know what comparisons saw.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ipctorture {

// What a mutator knows of one transport.
struct HostileMaterial {
  std::string transport;
  std::vector<std::vector<std::byte>> wire;  // what an honest peer writes
  std::uint32_t message_max = 0;             // bytes
};

// In place; returns the new size, at most bytes.size(). What is no such input, or one of another
// transport, becomes a fresh one of this transport.
std::size_t mutate_hostile(std::span<std::uint8_t> bytes, std::size_t size,
                           const HostileMaterial& material, unsigned seed);

}  // namespace ipctorture
