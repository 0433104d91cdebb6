#include "stress/nearest.h"

#include <gtest/gtest.h>

namespace ipctorture {
namespace {

const std::vector<std::string> transports{"fifo",     "pipe",        "posix_mq", "shm_queue",
                                          "shm_ring", "unix_stream", "udp"};

TEST(EditDistance, CountsInsertionsDeletionsReplacementsAndSwaps) {
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("pipe", "pipe"), 0u);
  EXPECT_EQ(edit_distance("pip", "pipe"), 1u);
  EXPECT_EQ(edit_distance("ppie", "pipe"), 1u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(Nearest, FindsWhatWasMeant) {
  EXPECT_EQ(nearest("ppie", transports), "pipe");
  EXPECT_EQ(nearest("shm_rnig", transports), "shm_ring");
  EXPECT_EQ(nearest("unix_steam", transports), "unix_stream");
  EXPECT_EQ(nearest("posix", transports), "posix_mq");  // its beginning
}

TEST(Nearest, SaysNothingRatherThanNonsense) {
  EXPECT_EQ(nearest("zeromq", transports), "");
  EXPECT_EQ(nearest("", transports), "");
  EXPECT_EQ(nearest(std::string(100'000, 'p'), transports), "");
  EXPECT_EQ(did_you_mean("zeromq", transports), "");
  EXPECT_EQ(did_you_mean("pip", transports), ", did you mean 'pipe'?");
}

}  // namespace
}  // namespace ipctorture
