// What destroy() removes and what it spares, called by Options alone, as after the creator's death.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <unistd.h>

#include "harness/base/clock.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

Options fresh_options() {
  Options options;
  options.token = mix64(static_cast<std::uint64_t>(monotonic_now()) ^
                        static_cast<std::uint64_t>(::getpid()) << 40);
  options.name = "ipct-test-" + std::to_string(options.token);
  options.capacity = 4;
  options.message_max = 64;
  return options;
}

std::unique_ptr<Transport> make(const char* name, const Options& options) {
  return find_registration(name)->make(options, {});
}

TEST(Destroy, SparesTheSysvQueueThatHadTheKeyBefore) {
  const Options options = fresh_options();
  const int stranger = ::msgget(system_v_key(options), IPC_CREAT | IPC_EXCL | 0600);
  if (stranger < 0 && (errno == ENOSYS || errno == ENOSPC)) GTEST_SKIP() << "no queue to be had";
  ASSERT_GE(stranger, 0);
  const auto transport = make("sysv_msg", options);
  EXPECT_THROW(transport->create(), std::system_error);
  transport->destroy();
  EXPECT_EQ(::msgctl(stranger, IPC_RMID, nullptr), 0) << "destroyed a stranger's queue";
}

TEST(Destroy, SparesASysvQueueOfAnotherKind) {
  const Options options = fresh_options();
  const int stranger = ::msgget(system_v_key(options), IPC_CREAT | IPC_EXCL | 0644);
  if (stranger < 0 && (errno == ENOSYS || errno == ENOSPC)) GTEST_SKIP() << "no queue to be had";
  ASSERT_GE(stranger, 0);
  make("sysv_msg", options)->destroy();
  EXPECT_EQ(::msgctl(stranger, IPC_RMID, nullptr), 0) << "destroyed a stranger's queue";
}

TEST(Destroy, RemovesTheSysvQueueOfTheRun) {
  const Options options = fresh_options();
  const auto creator = make("sysv_msg", options);
  if (!creator->unsupported().empty()) GTEST_SKIP() << creator->unsupported();
  creator->create();
  make("sysv_msg", options)->destroy();
  EXPECT_EQ(::msgget(system_v_key(options), 0), -1);
}

// A creator may be killed in unsupported(), which tries what create() would do.
TEST(Destroy, RemovesTheProbeOfPosixMq) {
  const Options options = fresh_options();
  const std::string probe = "/" + options.name + "-probe";
  const mqd_t queue = ::mq_open(probe.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600, nullptr);
  if (queue < 0 && (errno == ENOSYS || errno == ENOSPC)) GTEST_SKIP() << "no queue to be had";
  ASSERT_GE(queue, 0);
  ::mq_close(queue);
  make("posix_mq", options)->destroy();
  EXPECT_EQ(::mq_unlink(probe.c_str()), -1);
}

}  // namespace
}  // namespace ipctorture
