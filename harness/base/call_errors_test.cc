// What the table may never say: it would blame transports that are right.
#include "harness/base/call_errors.h"

#include <gtest/gtest.h>

namespace ipctorture {
namespace {

TEST(CallErrors, WhoWaitsIsNeverToldToComeAgain) {
  for (const auto& errors :
       {errors_of::send(true), errors_of::receive(true), errors_of::use_pipe(true)}) {
    for (unsigned i = 0; i < errors.count(); ++i) EXPECT_NE(errors.error[i], EAGAIN);
  }
  EXPECT_EQ(errors_of::send(false), (PossibleErrors{{ENOBUFS, EAGAIN}}));
  EXPECT_EQ(errors_of::receive(false), (PossibleErrors{{EAGAIN}}));
}

TEST(CallErrors, AreCounted) {
  EXPECT_EQ(errors_of::none.count(), 0u);
  EXPECT_EQ(errors_of::receive(true).count(), 0u);
  EXPECT_EQ(errors_of::send(true).count(), 1u);
  EXPECT_EQ(errors_of::new_descriptor.count(), 2u);
}

TEST(CallErrors, WhatHasUnitsIsNeverShort) {
  for (const Behind what : {Behind::file, Behind::packet_pipe, Behind::packets, Behind::other}) {
    EXPECT_FALSE(read_may_be_short(what));
    EXPECT_FALSE(write_may_be_short(what, 1 << 20));
  }
  EXPECT_TRUE(read_may_be_short(Behind::stream));
  EXPECT_TRUE(read_may_be_short(Behind::pipe));
  EXPECT_TRUE(write_may_be_short(Behind::stream, 2));
  EXPECT_TRUE(write_may_be_short(Behind::pipe, PIPE_BUF + 1));
  EXPECT_FALSE(write_may_be_short(Behind::pipe, PIPE_BUF)) << "all or nothing";
}

}  // namespace
}  // namespace ipctorture
