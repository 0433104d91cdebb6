// What the trial of a hostile peer sees, on toys that are broken (planted/hostile_toys.cc), and
// what its inputs survive. Overreads and memory that is lost are sanitizers' to see, a call that
// never returns is a time limit's: `build/fuzz/fuzz_hostile_toys --transport=toy_overreads`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "fuzz/hostile_peer_mutator.h"
#include "fuzz/hostile_peer_trial.h"

// What the mutator calls for bytes alone.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t) {
  static std::minstd_rand random;
  if (size > 0) data[random() % size] ^= static_cast<std::uint8_t>(1u << random() % 8);
  return size;
}

namespace ipctorture {
namespace {

using testing::HasSubstr;

std::vector<std::byte> bytes_of(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

class HostilePeer : public testing::Test {
 protected:
  void SetUp() override {
    std::string path = (std::filesystem::temp_directory_path() / "ipct-hostile-XXXXXX").string();
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    directory_ = path;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  HostileTrial trial(const std::string& transport) const {
    return HostileTrial(*find_registration(transport), directory_, to_pass_);
  }
  // "" when the honest side withstands.
  std::string find_of(const std::string& transport, std::vector<HostileAction> actions) const {
    return trial(transport)
        .run({.transport = transport, .flags = 0, .actions = std::move(actions)})
        .value_or("");
  }

  std::string directory_;
  const DescriptorsToPass to_pass_;
  const HostileAction long_frame_{HostileAct::write, 0, bytes_of({0x10, 1, 0, 0, 1, 2, 3})};
};

TEST_F(HostilePeer, WritesBehindTheBufferAreSeen) {
  EXPECT_THAT(find_of("toy_overwrites", {long_frame_}), HasSubstr("behind its buffer"));
}

TEST_F(HostilePeer, AllocationByThePeersWordIsSeen) {
  const HostileAction huge{HostileAct::write, 0, bytes_of({0, 0, 0, 16})};
  EXPECT_THAT(find_of("toy_allocates", {huge}), HasSubstr("allocates 2"));
}

TEST_F(HostilePeer, MessagesWithoutEndAreSeen) {
  const HostileAction empty{HostileAct::write, 0, bytes_of({0, 0, 0, 0})};
  EXPECT_EQ(find_of("toy_repeats", {empty}), "more messages than were written");
}

TEST_F(HostilePeer, DescriptorsThatStayAreSeen) {
  const HostileAction pass{HostileAct::pass, 64, bytes_of({1, 0, 0, 0, 9})};
  EXPECT_THAT(find_of("toy_keeps", {pass}), HasSubstr("2 descriptors stay open"));
}

TEST_F(HostilePeer, ExceptionsAreSeen) {
  EXPECT_THAT(find_of("toy_throws", {long_frame_}), HasSubstr("an exception on the data path"));
}

TEST_F(HostilePeer, AnswersThatNoReceiveGivesAreSeen) {
  EXPECT_EQ(find_of("toy_answers_odd", {long_frame_}), "a receive answers full");
}

TEST_F(HostilePeer, ASoundOneWithstands) {
  HostileTrial sound = trial("toy_sound");
  const HostileMaterial material{
      .transport = "toy_sound", .wire = sound.wire(), .message_max = 256};
  ASSERT_FALSE(material.wire.empty());
  std::vector<std::uint8_t> bytes(4096);
  std::size_t size = 0;
  for (unsigned seed = 1; seed <= 3000; ++seed) {
    size = seed % 20 == 0 ? 0 : mutate_hostile(bytes, size, material, seed);
    if (size == 0) continue;
    const HostileInput input =
        hostile_input_from_bytes(std::as_bytes(std::span(bytes).first(size)));
    EXPECT_EQ(sound.run(input).value_or(""), "") << "seed " << seed;
  }
}

TEST_F(HostilePeer, LearnsTheWireOfAnHonestPeer) {
  const auto wire = trial("toy_sound").wire();
  ASSERT_EQ(wire.size(), 1u);
  EXPECT_EQ(wire[0], bytes_of({3, 0, 0, 0, 'a', 'a', 'a', 4, 0, 0, 0, 'a', 'a', 'a', 'b'}));
}

TEST_F(HostilePeer, WhatIsMappedAloneIsLeftToTheControlledEngine) {
  EXPECT_THAT(trial("shm_ring").unfit(), HasSubstr("ipctorture explore"));
  EXPECT_THAT(trial("double_fetch").unfit(), HasSubstr("ipctorture explore"));
  EXPECT_EQ(trial("unix_stream").unfit(), "");
}

TEST_F(HostilePeer, InputsSurviveTheWayThroughBytes) {
  const HostileInput input{
      .transport = "pipe",
      .flags = hostile_more | hostile_timed,
      .actions = {{HostileAct::write, 7, bytes_of({1, 2, 3})}, {HostileAct::leave, 0, {}}}};
  const HostileInput read = hostile_input_from_bytes(to_bytes(input));
  EXPECT_EQ(read.transport, input.transport);
  EXPECT_EQ(read.flags, input.flags);
  EXPECT_EQ(read.actions, input.actions);
}

TEST_F(HostilePeer, AnInputOfAnotherVersionIsRefusedWithIt) {
  std::vector<std::byte> bytes = to_bytes({.transport = "pipe", .flags = 0, .actions = {}});
  bytes[4] = std::byte{9};
  try {
    hostile_input_from_bytes(bytes);
    FAIL() << "taken";
  } catch (const std::invalid_argument& refused) {
    EXPECT_STREQ(refused.what(), "fuzz input: version 9, this program reads 1");
  }
  bytes[4] = std::byte{hostile_input_version};
  bytes[5] = std::byte{'S'};
  EXPECT_THROW(hostile_input_from_bytes(bytes), std::invalid_argument);
  EXPECT_THROW(hostile_input_from_bytes(std::span(bytes).first(63)), std::invalid_argument);
}

TEST_F(HostilePeer, ASizeBeyondTheEndIsCutToIt) {
  std::vector<std::byte> bytes = to_bytes({.transport = "pipe", .flags = 0, .actions = {}});
  for (const int value : {0, 1, 255, 255, 42}) bytes.push_back(static_cast<std::byte>(value));
  const HostileInput read = hostile_input_from_bytes(bytes);
  ASSERT_EQ(read.actions.size(), 1u);
  EXPECT_EQ(read.actions[0].bytes, bytes_of({42}));
}

}  // namespace
}  // namespace ipctorture
