// Process ids under control: the same in every run, understood by every call that takes one, and
// nobody else's.
#include "harness/schedule/calls/virtual_pid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <cstring>
#include <set>

#include "harness/schedule/by_hand.h"
#include "harness/schedule/planted.h"

namespace ipctorture::schedule {
namespace {

constexpr int signal_number = 41;

class VirtualPid : public testing::Test {
 protected:
  ByHand by_hand_{2};
  const AsLane lane_{0};
};

TEST_F(VirtualPid, IsTheSameInEveryRun) {
  EXPECT_EQ(::getpid(), first_virtual_pid);
  EXPECT_EQ(::syscall(SYS_getpid), first_virtual_pid);
  EXPECT_EQ(::getppid(), virtual_parent_pid);
  EXPECT_EQ(::gettid(), ::getpid()) << "of the first lane";
  current_lane = 1;
  EXPECT_EQ(::getpid(), first_virtual_pid) << "in one process";
  EXPECT_NE(::gettid(), ::getpid());
}

TEST_F(VirtualPid, SignalsReachItAndSayIt) {
  sigset_t one, before;
  sigemptyset(&one);
  sigaddset(&one, signal_number);
  ::sigprocmask(SIG_BLOCK, &one, &before);
  EXPECT_EQ(::kill(::getpid(), 0), 0);
  siginfo_t info{};
  const auto take = [&] {
    info = {};
    EXPECT_EQ(::sigwaitinfo(&one, &info), signal_number);
    return info.si_pid;
  };
  EXPECT_EQ(::kill(::getpid(), signal_number), 0);
  EXPECT_EQ(take(), ::getpid());
  EXPECT_EQ(::sigqueue(::getpid(), signal_number, {.sival_int = 3}), 0);
  EXPECT_EQ(take(), ::getpid());
  EXPECT_EQ(::syscall(SYS_tgkill, ::getpid(), ::gettid(), signal_number), 0);
  EXPECT_EQ(take(), ::getpid());
  const int fd = ::signalfd(-1, &one, SFD_CLOEXEC);
  EXPECT_EQ(::kill(::getpid(), signal_number), 0);
  signalfd_siginfo read_info{};
  EXPECT_EQ(::read(fd, &read_info, sizeof read_info), ssize_t{sizeof read_info});
  EXPECT_EQ(static_cast<pid_t>(read_info.ssi_pid), ::getpid());
  ::close(fd);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

pid_t handler_saw = 0;

TEST_F(VirtualPid, AHandlerSeesIt) {
  struct sigaction action{}, old{};
  action.sa_sigaction = [](int, siginfo_t* info, void*) { handler_saw = info->si_pid; };
  action.sa_flags = SA_SIGINFO;
  ASSERT_EQ(::sigaction(signal_number, &action, nullptr), 0);
  EXPECT_EQ(::kill(::getpid(), signal_number), 0);
  EXPECT_EQ(handler_saw, ::getpid());
  action.sa_flags = 0;
  action.sa_handler = SIG_IGN;
  ASSERT_EQ(::sigaction(signal_number, &action, &old), 0);
  EXPECT_NE(old.sa_sigaction, nullptr);
  EXPECT_EQ(old.sa_flags & SA_SIGINFO, SA_SIGINFO);
}

TEST_F(VirtualPid, AStrangerIsUnknown) {
  EXPECT_EQ(::kill(first_virtual_pid + 7, 0), -1);
  EXPECT_EQ(errno, ESRCH);
  EXPECT_EQ(to_real(1), 1);
  EXPECT_EQ(to_virtual(1), 1);
}

TEST_F(VirtualPid, CredentialsOfSockets) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
  ucred peer{};
  socklen_t bytes = sizeof peer;
  ASSERT_EQ(::getsockopt(ends[0], SOL_SOCKET, SO_PEERCRED, &peer, &bytes), 0);
  EXPECT_EQ(peer.pid, ::getpid());
  const int yes = 1;
  ::setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes);
  char byte = 'x';
  iovec part{.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(ucred))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_CREDENTIALS;
  header->cmsg_len = CMSG_LEN(sizeof(ucred));
  const ucred own{.pid = ::getpid(), .uid = ::getuid(), .gid = ::getgid()};
  std::memcpy(CMSG_DATA(header), &own, sizeof own);
  ASSERT_EQ(::sendmsg(ends[0], &message, 0), 1) << "the kernel knows the id";
  std::memset(space, 0, sizeof space);
  ASSERT_EQ(::recvmsg(ends[1], &message, 0), 1);
  ucred came{};
  std::memcpy(&came, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof came);
  EXPECT_EQ(came.pid, ::getpid());
  ::close(ends[0]), ::close(ends[1]);
}

TEST_F(VirtualPid, UsersOfAMessageQueue) {
  const int queue = ::msgget(IPC_PRIVATE, 0600);
  ASSERT_GE(queue, 0);
  const struct {
    long type;
    char text[4];
  } message{1, "abc"};
  ASSERT_EQ(::msgsnd(queue, &message, sizeof message.text, 0), 0);
  msqid_ds status{};
  ASSERT_EQ(::msgctl(queue, IPC_STAT, &status), 0);
  EXPECT_EQ(status.msg_lspid, ::getpid());
  ::msgctl(queue, IPC_RMID, nullptr);
}

// --- beside them: what moves bytes between descriptors (calls/transfer.cc)

using Transfer = VirtualPid;

std::set<Point> kinds(const std::vector<Step>& steps) {
  std::set<Point> kinds;
  for (const Step& step : steps) kinds.insert(step.point);
  return kinds;
}

TEST_F(Transfer, FilesToPipesAndBack) {
  const int file = ::memfd_create("from", 0), copy = ::memfd_create("to", 0);
  ASSERT_EQ(::pwrite(file, "hello", 5, 0), 5);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  char to[16] = {};
  const auto expect_hello = [&](ssize_t count) {
    EXPECT_EQ(count, 5);
    EXPECT_STREQ(to, "hello");
    std::memset(to, 0, sizeof to);
  };
  off_t offset = 0;
  EXPECT_EQ(::sendfile(ends[1], file, &offset, 5), 5);
  EXPECT_EQ(offset, 5);
  expect_hello(::read(ends[0], to, sizeof to));
  loff_t from = 0;
  EXPECT_EQ(::copy_file_range(file, &from, copy, nullptr, 5, 0), 5);
  iovec part{.iov_base = to, .iov_len = sizeof to};
  expect_hello(::preadv2(copy, &part, 1, 0, 0));
  char word[] = "hello";
  const iovec lent{.iov_base = word, .iov_len = 5};
  EXPECT_EQ(::vmsplice(ends[1], &lent, 1, 0), 5);
  expect_hello(::preadv2(ends[0], &part, 1, -1, 0));
  EXPECT_EQ(::process_vm_readv(::getpid(), &part, 1, &lent, 1, 0), 5);
  expect_hello(5);
  EXPECT_THAT(kinds(by_hand_.trace()),
              testing::IsSupersetOf({Point::read_call, Point::write_call}));
  ::close(ends[0]), ::close(ends[1]), ::close(file), ::close(copy);
}

int drained = -1;
std::size_t drained_bytes = 0;

TEST_F(Transfer, SendfileWaitsForRoom) {
  const int file = ::memfd_create("from", 0);
  const std::vector<char> bytes(1u << 17, 'x');
  ASSERT_EQ(::write(file, bytes.data(), bytes.size()), ssize_t{1 << 17});
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  drained = ends[0];
  drained_bytes = 0;
  // The other lane, when its turn comes.
  handover.to_lane = [](int from, int to) {
    static char room[1u << 16];
    current_lane = to;
    drained_bytes += static_cast<std::size_t>(::read(drained, room, sizeof room));
    current_lane = from;
  };
  off_t offset = 0;
  EXPECT_EQ(::sendfile(ends[1], file, &offset, bytes.size()), ssize_t{1 << 17});
  EXPECT_GE(drained_bytes, std::size_t{1 << 16});
  ::close(ends[0]), ::close(ends[1]), ::close(file);
}

// --- in a schedule

// How it waits depends on its process id; and it tells its reader by which it is tagged.
class TaggingProducer : public PlainProducer {
 public:
  explicit TaggingProducer(Descriptor end) : PlainProducer(Descriptor()), end_(std::move(end)) {}
  IoResult send(std::span<const std::byte> message, SendOptions, Deadline) override {
    const auto tag = static_cast<unsigned>(::getpid()) * 2654435761u;
    const std::size_t first = 1 + tag % (planted_bytes - 1);
    (void)!::write(end_.get(), message.data(), first);
    for (unsigned i = 0; i < tag % 5; ++i) ::sched_yield();
    (void)!::write(end_.get(), message.data() + first, planted_bytes - first);
    return IoResult::sent();
  }

 private:
  Descriptor end_;
};

TEST(VirtualPidInASchedule, AProcessThatIsForkedAnewTakesTheSameSteps) {
  const Registration tagging = planted<TaggingProducer, PlainConsumer>();
  const Scenario scenario = planted_scenario(tagging, 3);
  std::vector<std::uint64_t> hashes;
  for (int round = 0; round < 6; ++round) {
    Room room(tagging, scenario, Backend::processes);
    ASSERT_EQ(room.session().run({.source = Source::walk, .seed = 5}), Ending::complete);
    hashes.push_back(room.session().state().hash);
  }
  EXPECT_EQ(std::set(hashes.begin(), hashes.end()).size(), 1u);
}

// Says when the process of a known id is gone.
class WatchingConsumer : public PlainConsumer {
 public:
  using PlainConsumer::PlainConsumer;
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    const IoResult result = PlainConsumer::receive(buffer, deadline);
    if (result.outcome != Outcome::closed) return result;
    errno = 0;
    ::kill(first_virtual_pid, 0);
    return errno == ESRCH ? IoResult::failed(EOWNERDEAD) : IoResult::failed(EIO);
  }
};

TEST(VirtualPidInASchedule, ThatOfADeadProcessIsUnknown) {
  const Registration watching = planted<PlainProducer, WatchingConsumer>();
  Room room(watching, planted_scenario(watching, 3), Backend::processes);
  Session& session = room.session();
  ASSERT_EQ(session.run({}), Ending::complete);
  session.run(keyed_plan({{.step = 3, .lane = 0, .change = Change::kill}}));
  ASSERT_EQ(session.state().killed_lanes, 1u);
  const History history = session.history();
  const auto records = history.lanes[1].records;
  EXPECT_TRUE(std::any_of(records.begin(), records.end(), [](const Record& one) {
    return one.op() == Op::receive && one.result() == Outcome::error && one.detail == EOWNERDEAD;
  }));
}

}  // namespace
}  // namespace ipctorture::schedule
