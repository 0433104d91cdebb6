#include "harness/schedule/schedule_input.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <stdexcept>

#include "harness/schedule/test_session.h"

namespace ipctorture::schedule {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;

ScheduleInput an_input() {
  return {.transport = "shm_ring",
          .shape = {.producers = 2,
                    .consumers = 3,
                    .messages = 5,
                    .sizes = 4,
                    .extra = 2,
                    .peers = 3,
                    .flags = 1},
          .departures = {{.step = 17, .lane = 0, .change = Change::run, .value = 1},
                         {.step = 300, .lane = 7, .change = Change::answer, .value = 255},
                         {.step = 65535, .lane = 3, .change = Change::kill, .value = 0},
                         {.step = 1, .lane = 1, .change = Change::time_out, .value = 7}}};
}

TEST(ScheduleInput, IsReadAsItWasWritten) {
  const ScheduleInput written = an_input();
  const ScheduleInput read = schedule_input_from_bytes(to_bytes(written));
  EXPECT_EQ(read.transport, written.transport);
  EXPECT_EQ(read.shape, written.shape);
  EXPECT_EQ(read.departures, written.departures);
}

TEST(ScheduleInput, OfAnotherVersionOrKindIsRefused) {
  std::vector<std::byte> bytes = to_bytes(an_input());
  const auto reading = [&] { schedule_input_from_bytes(bytes); };
  bytes[4] = std::byte{0};
  EXPECT_THAT(reading,
              ThrowsMessage<std::invalid_argument>(HasSubstr("version 0, this program reads 1")));
  bytes[4] = std::byte{1};
  bytes[5] = std::byte{'R'};
  EXPECT_THAT(reading, ThrowsMessage<std::invalid_argument>(HasSubstr("is no schedule")));
  bytes[0] = std::byte{'X'};
  EXPECT_THAT(reading, ThrowsMessage<std::invalid_argument>(HasSubstr("does not begin with")));
  bytes.resize(63);
  EXPECT_THAT(reading, ThrowsMessage<std::invalid_argument>(HasSubstr("shorter than")));
}

TEST(ScheduleInput, HalfARecordAtTheEndIsLeftOut) {
  std::vector<std::byte> bytes = to_bytes(an_input());
  bytes.pop_back();
  EXPECT_EQ(schedule_input_from_bytes(bytes).departures.size(), 3u);
}

TEST(ScheduleInput, OneKillAtTheMostAndOfALaneThatMayDie) {
  ScheduleInput input = an_input();
  Trial trial;
  trial.kill_lanes = 1u << 3 | 1u << 4;
  const auto kill = [](std::uint8_t lane, std::uint32_t step) {
    return Departure{.step = step, .lane = lane, .change = Change::kill};
  };
  const Departure run{.step = 9, .lane = 3, .change = Change::run, .value = 1};
  input.departures = {kill(2, 5), kill(4, 6), run, kill(3, 7), run};
  EXPECT_THAT(departures_of(input, trial), ElementsAre(kill(4, 6), run));
  trial.kill_lanes = 0;
  EXPECT_THAT(departures_of(input, trial), ElementsAre(run));
}

// Whatever the bytes of the shape are, what is run is within the contract: else a fuzzer would
// blame transports for what they never promised.
class AnyShape : public testing::TestWithParam<const Registration*> {};

TEST_P(AnyShape, IsWithinTheContract) {
  const Contract& contract = GetParam()->contract;
  std::minstd_rand random(7);
  unsigned hostile = 0, killed = 0;
  for (unsigned round = 0; round < 1000; ++round) {
    ScheduleInput input{.transport = std::string(GetParam()->name), .shape = {}, .departures = {}};
    const auto draw = [&] { return static_cast<std::uint8_t>(random() >> 8); };
    input.shape = {draw(), draw(), draw(), draw(), draw(), draw(), draw()};
    const Trial trial = trial_of(input, contract, Backend::fibers);
    const bool dies = trial.late_lanes == LateLanes::succeed;
    ASSERT_THAT(scenario_faults(trial.scenario, dies ? with_successors(contract) : contract),
                IsEmpty());
    ASSERT_LE(trial.scenario.lanes(), lanes_max);
    ASSERT_EQ(dies, trial.kill_lanes != 0);
    ASSERT_TRUE(!dies || trial.backend == Backend::processes);
    ASSERT_TRUE(!dies || trial.scenario.sizes[0] >= std::min(8u, contract.message_max));
    hostile += trial.hostile ? 1 : 0;
    killed += dies ? 1 : 0;
  }
  EXPECT_EQ(hostile > 0, contract.hostile == Hostile::only_errors);
  EXPECT_EQ(killed > 0, contract.survives_producer_death || contract.survives_consumer_death);
}

INSTANTIATE_TEST_SUITE_P(All, AnyShape, testing::ValuesIn(sut_transports()),
                         [](const testing::TestParamInfo<const Registration*>& one) {
                           return std::string(one.param->name);
                         });

}  // namespace
}  // namespace ipctorture::schedule
