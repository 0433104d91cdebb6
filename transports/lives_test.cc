// A transport that says how many may come over time bears as many, one after the other, and tells
// `closed` when the last of them has left, not before. (file_log once kept who had left in 64
// bits.)
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>

#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

using std::chrono::seconds;

class Lives : public ::testing::TestWithParam<std::string> {};

TEST_P(Lives, AsManyAsTheContractSaysOneAfterTheOther) {
  const Registration& registration = *find_registration(GetParam());
  const Contract& contract = registration.contract;
  std::string path = ::testing::TempDir() + "livesXXXXXX";
  ASSERT_NE(::mkdtemp(path.data()), nullptr);
  const Options options{.name = "ipct-lives-" + std::to_string(::getpid()),
                        .directory = path,
                        .token = 1,
                        .producers = contract.lives_max,
                        .consumers = 1,
                        .message_max = 64};
  const auto creator = registration.make(options, {});
  creator->create();
  {
    const auto of_consumer = registration.make(options, {});
    const auto consumer = of_consumer->attach(Role::consumer, 0, Deadline::in(seconds(20)));
    std::array<std::byte, 64> buffer{};
    std::array<std::byte, 16> message{};
    for (unsigned life = 0; life < contract.lives_max; ++life) {
      const auto transport = registration.make(options, {});
      const auto producer = transport->attach(Role::producer, life, Deadline::in(seconds(20)));
      message[0] = static_cast<std::byte>(life);
      ASSERT_EQ(producer->send(message, {}, Deadline::in(seconds(20))).outcome, Outcome::ok);
      ASSERT_EQ(consumer->receive(buffer, Deadline::in(seconds(20))).outcome, Outcome::ok) << life;
      EXPECT_EQ(buffer[0], message[0]);
      EXPECT_EQ(consumer->receive(buffer, Deadline::now()).outcome, Outcome::empty) << life;
      EXPECT_EQ(producer->close(Deadline::in(seconds(20))).outcome, Outcome::ok);
    }
    EXPECT_EQ(consumer->receive(buffer, Deadline::in(seconds(20))).outcome, Outcome::closed);
    EXPECT_EQ(consumer->close(Deadline::in(seconds(20))).outcome, Outcome::ok);
  }
  creator->destroy();
  std::filesystem::remove_all(path);
}

std::vector<std::string> that_count_lives() {
  std::vector<std::string> names;
  for (const Registration& one : registrations()) {
    const Contract& c = one.contract;
    // Where there is room for one alone, its leaving is the end.
    const bool counts = c.lives_max > 0 && c.producers_max > 1 && c.reports_closed;
    if (one.kind == Kind::shipped && counts) names.emplace_back(one.name);
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Shipped, Lives, testing::ValuesIn(that_count_lives()),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace ipctorture
