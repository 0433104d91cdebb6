#include "fuzz/scenario_mutator.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <vector>

#include "harness/scenario/scenario_input.h"

// libFuzzer's; here it changes one byte and adds one, where there is room.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size,
                                        std::size_t size_max) {
  if (size > 0) data[size / 2] ^= 1;
  if (size == size_max) return size;
  data[size] = 7;
  return size + 1;
}

namespace ipctorture {
namespace {

// The fields that many mutations, one upon the other, set.
std::set<unsigned> fields_set(std::vector<std::uint8_t>& bytes, std::size_t size) {
  std::set<unsigned> fields;
  for (unsigned seed = 0; seed < 2000; ++seed) {
    size = mutate_scenario(bytes, size, "pipe", seed);
    EXPECT_LE(size, bytes.size());
    const ScenarioInput input =
        scenario_input_from_bytes(std::as_bytes(std::span(bytes).first(size)));
    EXPECT_EQ(input.transport, "pipe");
    for (const FieldSetting& setting : input.settings) {
      fields.insert(setting.field % static_cast<unsigned>(scenario_fields().size()));
    }
  }
  return fields;
}

TEST(ScenarioMutator, MakesInputsOfItsTransportFromAnything) {
  std::vector<std::uint8_t> bytes(4096, 0xff);
  EXPECT_EQ(fields_set(bytes, bytes.size()).size(), scenario_fields().size());
}

TEST(ScenarioMutator, MakesInputsOfItsTransportFromThoseOfAnother) {
  const std::vector<std::byte> other = to_bytes({.transport = "fifo", .settings = {{}, {}}});
  std::vector<std::uint8_t> bytes(4096);
  std::memcpy(bytes.data(), other.data(), other.size());
  EXPECT_EQ(fields_set(bytes, other.size()).size(), scenario_fields().size());
}

TEST(ScenarioMutator, StaysWithinItsRoom) {
  for (std::size_t room = 0; room < 100; ++room) {
    std::vector<std::uint8_t> bytes(room);
    for (unsigned seed = 0; seed < 50; ++seed) {
      EXPECT_LE(mutate_scenario(bytes, room, "pipe", seed), room);
    }
  }
}

}  // namespace
}  // namespace ipctorture
