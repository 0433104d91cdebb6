// Consumers of the socket meshes and those who connect to them: the ones that were expected, and
// strangers.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

class Mesh : public ::testing::TestWithParam<const char*> {
 protected:
  Mesh() {
    std::string path = ::testing::TempDir() + "meshXXXXXX";
    if (::mkdtemp(path.data()) == nullptr) throw_system_error("mkdtemp", path);
    options_ = {.name = "t", .directory = path, .token = 1, .producers = 2, .message_max = 64};
  }
  ~Mesh() override {
    make()->destroy();
    EXPECT_EQ(::rmdir(options_.directory.c_str()), 0);
  }

  std::unique_ptr<Transport> make() const {
    return find_registration(GetParam())->make(options_, {});
  }
  std::unique_ptr<Endpoint> attach(Role role, unsigned index) const {
    return make()->attach(role, index, Deadline::in(std::chrono::seconds(20)));
  }
  bool has_entry() const { return !std::filesystem::is_empty(options_.directory); }
  static Outcome receive(Endpoint& consumer, Deadline deadline) {
    std::array<std::byte, 64> buffer;
    return consumer.receive(buffer, deadline).outcome;
  }
  void send(Endpoint& producer) const {
    const std::array<std::byte, 16> message{};
    EXPECT_EQ(producer.send(message, {}, Deadline::now()).outcome, Outcome::ok);
  }

  Options options_;
};

TEST_P(Mesh, TheEntryGoesWithTheLastProducerThatIsExpected) {
  const auto consumer = attach(Role::consumer, 0);
  for (unsigned index = 0; index < options_.producers; ++index) {
    EXPECT_TRUE(has_entry()) << "before producer " << index;
    const auto producer = attach(Role::producer, index);
    send(*producer);
    EXPECT_EQ(receive(*consumer, Deadline::in(std::chrono::seconds(20))), Outcome::ok);
  }
  EXPECT_FALSE(has_entry());
}

INSTANTIATE_TEST_SUITE_P(Each, Mesh, ::testing::Values("tcp", "unix_stream", "unix_seqpacket"),
                         [](const auto& each) { return std::string(each.param); });

class Strangers : public Mesh {
 protected:
  Descriptor connect() const {
    Descriptor socket = own_descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "", "");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = options_.directory + "/" + options_.name + ".0";
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw_system_error("connect", path);
    }
    return socket;
  }
  static bool was_dropped(const Descriptor& socket) {
    char byte;
    return ::recv(socket.get(), &byte, 1, MSG_DONTWAIT) == 0;
  }
};

TEST_P(Strangers, DoNotHoldUpAReceiveAndAreFew) {
  const auto consumer = attach(Role::consumer, 0);
  std::vector<Descriptor> strangers;
  for (int i = 0; i < 100; ++i) strangers.push_back(connect());
  const auto dropped = [&] {
    return std::count_if(strangers.begin(), strangers.end(), was_dropped);
  };
  // A deadline that has passed: one look at who is there, and the answer.
  EXPECT_EQ(receive(*consumer, Deadline::at(1)), Outcome::timed_out);
  EXPECT_EQ(dropped(), 0) << "all were accepted at once";
  for (int i = 0; i < 9; ++i) {
    EXPECT_EQ(receive(*consumer, Deadline::at(1)), Outcome::timed_out);
  }
  EXPECT_EQ(dropped(), 36) << "64 may stay";
  const auto producer = attach(Role::producer, 0);
  send(*producer);
  EXPECT_EQ(receive(*consumer, Deadline::in(std::chrono::seconds(20))), Outcome::ok);
}

INSTANTIATE_TEST_SUITE_P(Unix, Strangers, ::testing::Values("unix_stream"),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
}  // namespace ipctorture
