#include "harness/scenario/scenario_input.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "harness/base/prng.h"
#include "harness/scenario/generate.h"
#include "harness/scenario/synthetic_contracts.h"

namespace ipctorture {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

ScenarioInput random_input(Prng& rng, std::size_t count) {
  ScenarioInput input{.transport = "pipe", .settings = {}};
  for (std::size_t i = 0; i < count; ++i) {
    const bool tame = rng.chance(500);
    input.settings.push_back(
        {.field = static_cast<std::uint16_t>(rng.below(UINT16_MAX + 1u)),
         .value = static_cast<std::uint32_t>(tame ? rng.below(2000) : rng.next())});
  }
  return input;
}

synthetic::NamedContracts contracts() {
  synthetic::NamedContracts all = synthetic::contracts();
  Prng rng(12);
  for (unsigned i = 0; i < 200; ++i) {
    all.emplace_back("random " + std::to_string(i), synthetic::random_contract(rng));
  }
  std::erase_if(all, [](const auto& one) { return one.second.exec_only; });
  return all;
}

TEST(ScenarioInput, IsTheSameWhenWrittenAndRead) {
  Prng rng(7);
  for (unsigned i = 0; i < 100; ++i) {
    const ScenarioInput input = random_input(rng, rng.below(40));
    const ScenarioInput again = scenario_input_from_bytes(to_bytes(input));
    EXPECT_EQ(again.transport, input.transport);
    EXPECT_EQ(again.settings, input.settings);
  }
}

TEST(ScenarioInput, IgnoresHalfARecord) {
  Prng rng(8);
  std::vector<std::byte> bytes = to_bytes(random_input(rng, 3));
  bytes.resize(bytes.size() + scenario_record_bytes - 1);
  EXPECT_EQ(scenario_input_from_bytes(bytes).settings.size(), 3u);
}

TEST(ScenarioInput, ReadsABoundedNumberOfRecords) {
  Prng rng(9);
  std::vector<std::byte> bytes = to_bytes(random_input(rng, 3));
  bytes.resize(bytes.size() + 1000 * scenario_record_bytes);
  EXPECT_EQ(scenario_input_from_bytes(bytes).settings.size(), scenario_records_max);
}

TEST(ScenarioInput, RefusesWhatItMustNotMisread) {
  const std::vector<std::byte> good = to_bytes({.transport = "pipe", .settings = {}});
  const auto refusal = [](const std::vector<std::byte>& bytes) -> std::string {
    try {
      scenario_input_from_bytes(bytes);
    } catch (const std::invalid_argument& refused) {
      return refused.what();
    }
    return "read";
  };
  EXPECT_EQ(refusal(good), "read");
  std::vector<std::byte> bytes = good;
  bytes[4] = std::byte{9};
  EXPECT_EQ(refusal(bytes), "fuzz input: version 9, this program reads 1");
  bytes = good;
  bytes[5] = std::byte{'S'};
  EXPECT_EQ(refusal(bytes), "fuzz input: is no scenario");
  bytes = good;
  bytes[0] = std::byte{0};
  EXPECT_EQ(refusal(bytes), "fuzz input: does not begin with ICTF");
  bytes.assign(good.begin(), good.end() - 1);
  EXPECT_EQ(refusal(bytes), "fuzz input: shorter than its header");
}

TEST(ScenarioInput, MeansAScenarioWithinTheContract) {
  Prng rng(10);
  for (const auto& [name, contract] : contracts()) {
    for (unsigned i = 0; i < 300; ++i) {
      const Scenario s = scenario_of(random_input(rng, rng.below(60)), contract);
      ASSERT_THAT(scenario_faults(s, contract), IsEmpty()) << name;
    }
  }
}

TEST(ScenarioInput, MeansAScenarioThatIsSmall) {
  Prng rng(11);
  for (const auto& [name, contract] : contracts()) {
    for (unsigned i = 0; i < 300; ++i) {
      const Scenario s = scenario_of(random_input(rng, rng.below(60)), contract);
      ASSERT_LE(s.lanes(), 6u);
      ASSERT_LE(s.messages, 16u);
      ASSERT_LE(s.largest_message(), std::max(8192u, contract.message_min));
      ASSERT_FALSE(s.fresh_workers || s.launch != Launch::fork || s.count_resources);
      ASSERT_FALSE(s.faults.kills() || s.faults.limits() || s.faults.pauses + s.faults.signals > 0);
      ASSERT_LE(planned_pause_ns(s), 1'000'000) << name;
    }
  }
}

TEST(ScenarioInput, SaysWhatItsRecordsSay) {
  const Contract contract = synthetic::lossless().front().second;
  const auto with = [&](std::string_view name, std::uint32_t value) {
    ScenarioInput input{.transport = "pipe", .settings = {}};
    for (unsigned i = 0; i < scenario_fields().size(); ++i) {
      if (scenario_fields()[i].name == name) {
        input.settings.push_back({.field = static_cast<std::uint16_t>(i), .value = value});
      }
    }
    EXPECT_EQ(input.settings.size(), 1u) << name;
    return scenario_of(input, contract);
  };
  EXPECT_EQ(with("producers", 2).producers, 2u);
  EXPECT_EQ(with("producers", 5).producers, 3u);  // around
  EXPECT_EQ(with("messages", 16).messages, 16u);
  EXPECT_EQ(with("sizes[0]", 4097).sizes[0], 4097u);
  EXPECT_EQ(with("counter_start, low half", 0xfffffffe).counter_start, 0xfffffffeu);
  EXPECT_EQ(with("counter_start, high half", 1).counter_start, std::uint64_t{1} << 32);
  EXPECT_EQ(with("faults.short_calls", 4000).faults.short_calls, 4000u);
  EXPECT_EQ(with("receive_deadlines.at_permille", 500).receive_deadlines.at_permille, 500u);
}

TEST(ScenarioInput, ComesCloseToAGeneratedScenario) {
  const Contract contract = synthetic::lossless().front().second;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Scenario drawn = generate(seed, "pipe", contract, {.allow_exec = false});
    const ScenarioInput input = scenario_input_of(drawn);
    const Scenario again = scenario_of(scenario_input_from_bytes(to_bytes(input)), contract);
    EXPECT_EQ(again.producers, std::min(drawn.producers, 3u));
    EXPECT_EQ(again.counter_start, drawn.counter_start);
    EXPECT_EQ(again.capacity, std::min(drawn.capacity, 8u));
  }
}

TEST(ScenarioInput, SaysWhenForkedWorkersCannotKeepTheContract) {
  const Contract contract{.message_max = 64, .exec_only = true};
  try {
    scenario_of({.transport = "pipe", .settings = {}}, contract);
    FAIL();
  } catch (const std::invalid_argument& refused) {
    EXPECT_THAT(refused.what(), HasSubstr("exec only"));
  }
}

}  // namespace
}  // namespace ipctorture
