// What lies in a FIFO outlives those who left, as long as consumers are yet to come.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <thread>

#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

// One producer, and two consumers one after the other.
class FifoBetweenConsumers : public ::testing::Test {
 protected:
  FifoBetweenConsumers() {
    std::string path = ::testing::TempDir() + "fifoXXXXXX";
    if (::mkdtemp(path.data()) == nullptr) throw_system_error("mkdtemp", path);
    options_ = {.name = "ipct-test",
                .directory = path,
                .token = 1,
                .producers = 1,
                .consumers = 2,
                .message_max = 64};
    creator_ = make();
    creator_->create();
    first_ = attach(Role::consumer, 0);
    producer_ = attach(Role::producer, 0);
  }
  ~FifoBetweenConsumers() override {
    creator_->destroy();
    EXPECT_EQ(::rmdir(options_.directory.c_str()), 0);
  }

  std::unique_ptr<Transport> make() const { return find_registration("fifo")->make(options_, {}); }
  std::unique_ptr<Endpoint> attach(Role role, unsigned index) const {
    return make()->attach(role, index, Deadline::now());
  }
  Outcome send() { return producer_->send(message_, {}, Deadline::now()).outcome; }
  Outcome receive(Endpoint& consumer) {
    std::array<std::byte, 64> buffer;
    return consumer.receive(buffer, Deadline::now()).outcome;
  }

  Options options_;
  std::unique_ptr<Transport> creator_;
  std::unique_ptr<Endpoint> first_, producer_;
  std::array<std::byte, 16> message_{};
};

TEST_F(FifoBetweenConsumers, TheLastToLeaveWaitsForTheNextConsumer) {
  ASSERT_EQ(send(), Outcome::ok);
  EXPECT_EQ(first_->close(Deadline::now()).outcome, Outcome::ok);  // the producer holds it
  std::thread leaving([&] { EXPECT_EQ(producer_->close(Deadline::never()).outcome, Outcome::ok); });
  const auto second = attach(Role::consumer, 1);
  leaving.join();
  EXPECT_EQ(receive(*second), Outcome::ok);
  EXPECT_EQ(receive(*second), Outcome::closed);
  EXPECT_EQ(second->close(Deadline::now()).outcome, Outcome::ok);
}

TEST_F(FifoBetweenConsumers, AConsumerThatLeavesLastSaysSoWhenNobodyCame) {
  ASSERT_EQ(send(), Outcome::ok);
  EXPECT_EQ(producer_->close(Deadline::now()).outcome, Outcome::ok);  // the consumer holds it
  EXPECT_EQ(first_->close(Deadline::now()).outcome, Outcome::timed_out);
}

TEST_F(FifoBetweenConsumers, NobodyWaitsWithNothingLeftBehind) {
  ASSERT_EQ(send(), Outcome::ok);
  EXPECT_EQ(receive(*first_), Outcome::ok);
  EXPECT_EQ(producer_->close(Deadline::now()).outcome, Outcome::ok);
  EXPECT_EQ(first_->close(Deadline::now()).outcome, Outcome::ok);
}

TEST_F(FifoBetweenConsumers, NobodyWaitsWhenEveryConsumerHasCome) {
  const auto second = attach(Role::consumer, 1);
  ASSERT_EQ(send(), Outcome::ok);
  EXPECT_EQ(producer_->close(Deadline::now()).outcome, Outcome::ok);
  EXPECT_EQ(first_->close(Deadline::now()).outcome, Outcome::ok);
  EXPECT_EQ(second->close(Deadline::now()).outcome, Outcome::ok);
}

}  // namespace
}  // namespace ipctorture
