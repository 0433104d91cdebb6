#include "harness/base/packet_pipe.h"

#include <gtest/gtest.h>

namespace ipctorture {
namespace {

TEST(PacketPipe, IsToldFromWhatIsThere) {
  for (const int flags : {0, O_DIRECT}) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK | flags), 0);
    const Descriptor in(ends[0]), out(ends[1]);
    EXPECT_TRUE(next_is_packet(in.get())) << "nothing is there: it cannot be told";
    ASSERT_EQ(::write(out.get(), "abc", 3), 3);
    EXPECT_EQ(next_is_packet(in.get()), flags != 0);
    char got[4] = {};
    EXPECT_EQ(::read(in.get(), got, sizeof got), 3) << "nothing was taken";
    EXPECT_STREQ(got, "abc");
  }
}

}  // namespace
}  // namespace ipctorture
