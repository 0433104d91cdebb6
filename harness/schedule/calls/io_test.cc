// What a read or write is asked about under control: streams may be short, packets never.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "harness/base/descriptor.h"
#include "harness/schedule/by_hand.h"

namespace ipctorture::schedule {
namespace {

class ShortCounts : public testing::Test {
 protected:
  ShortCounts() { hand_.emplace(1), control->questions = true; }

  // Is it a question whether a write of so many bytes to `out`, and a read of as many, are short?
  struct Asked {
    bool write, read;
    bool operator==(const Asked&) const = default;
  };
  Asked asked(int in, int out, std::size_t bytes) {
    const std::vector<std::byte> sent(bytes);
    std::vector<std::byte> room(bytes);
    const auto asks = [&](auto call) {
      const std::size_t before = questions();
      {
        const AsLane lane(0);
        EXPECT_EQ(call(), static_cast<ssize_t>(bytes));
      }
      return questions() > before;
    };
    const bool write = asks([&] { return ::write(out, sent.data(), bytes); });
    const bool read = asks([&] { return ::read(in, room.data(), bytes); });
    return {write, read};
  }

  std::optional<ByHand> hand_;

 private:
  std::size_t questions() const {
    const std::vector<Step> trace = hand_->trace();
    return static_cast<std::size_t>(std::count_if(trace.begin(), trace.end(), [](const Step& s) {
      return s.point == Point::choice && s.key == static_cast<std::uint32_t>(Question::shorter);
    }));
  }
};

TEST_F(ShortCounts, OfAPipeUnlessItCarriesPackets) {
  for (const int flags : {0, O_DIRECT}) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK | flags), 0);
    const Descriptor in(ends[0]), out(ends[1]);
    const bool stream = flags == 0;
    EXPECT_EQ(asked(in.get(), out.get(), 100), (Asked{.write = false, .read = stream}));
    if (stream) {
      EXPECT_EQ(asked(in.get(), out.get(), 8192), (Asked{.write = true, .read = true}));
    }
  }
}

TEST_F(ShortCounts, OfAStreamSocketAlone) {
  for (const int type : {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM}) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
    const Descriptor in(ends[0]), out(ends[1]);
    const bool stream = type == SOCK_STREAM;
    EXPECT_EQ(asked(in.get(), out.get(), 100), (Asked{.write = stream, .read = stream})) << type;
  }
}

}  // namespace
}  // namespace ipctorture::schedule
