// Frames over a FIFO, where a hang-up is not for ever: what happens between poll(2) and read(2) is
// staged by a poll(2) of our own.
#include "harness/transport/frame.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "harness/base/descriptor.h"

namespace {
std::function<void(short& revents)> after_poll;  // what happens next, once; may change the answer
}

// Takes the place of the C library's in this program.
extern "C" int poll(pollfd* polled, nfds_t count, int timeout_ms) {
  const timespec wait{.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1'000'000L};
  const long ready =
      ::syscall(SYS_ppoll, polled, count, timeout_ms < 0 ? nullptr : &wait, nullptr, 0);
  if (!after_poll) return static_cast<int>(ready);
  std::exchange(after_poll, nullptr)(polled[0].revents);
  return polled[0].revents != 0 ? 1 : 0;
}

namespace ipctorture {
namespace {

constexpr std::size_t message_max = 64;

class FrameOverFifo : public ::testing::Test {
 protected:
  FrameOverFifo() {
    std::string path = ::testing::TempDir() + "frameXXXXXX";
    if (::mkdtemp(path.data()) == nullptr) throw_system_error("mkdtemp", path);
    directory_ = path;
    path_ = path + "/fifo";
    if (::mkfifo(path_.c_str(), 0600) != 0) throw_system_error("mkfifo", path_);
    reading_ = own_descriptor(::open(path_.c_str(), O_RDONLY | O_NONBLOCK), "open", path_);
    writing_ = open_for_writing();
    if (::fcntl(reading_.get(), F_SETFL, 0) != 0) throw_system_error("fcntl", path_);
    ::alarm(20);  // a read(2) that sleeps is the failure
  }
  ~FrameOverFifo() override {
    ::alarm(0);
    after_poll = nullptr;
    ::unlink(path_.c_str());
    ::rmdir(directory_.c_str());
  }

  Descriptor open_for_writing() const {
    return own_descriptor(::open(path_.c_str(), O_WRONLY | O_NONBLOCK), "open", path_);
  }
  IoResult read(Deadline deadline) {
    return FrameReader(intake_, memory_, message_max).read(reading_.get(), buffer_, deadline);
  }
  void send(const char* text) {
    std::uint32_t owed = 0;
    const auto bytes = std::as_bytes(std::span(text, std::strlen(text)));
    const IoResult sent =
        write_frame(writing_.get(), StreamKind::pipe, bytes, owed, Deadline::now());
    ASSERT_EQ(sent.outcome, Outcome::ok);
  }

  std::string directory_, path_;
  Descriptor reading_, writing_;
  FrameIntake intake_;
  std::array<std::byte, FrameReader::memory_bytes(message_max)> memory_;
  std::array<std::byte, message_max> buffer_;
};

TEST_F(FrameOverFifo, AHangUpThatGoesAwayDoesNotOutlastTheDeadline) {
  for (const Deadline deadline : {Deadline::now(), Deadline::in(std::chrono::hours(1))}) {
    writing_.reset();
    after_poll = [&](short& revents) {
      EXPECT_EQ(revents, POLLHUP);
      writing_ = open_for_writing();
    };
    EXPECT_EQ(read(deadline).outcome, Outcome::closed);
    EXPECT_TRUE(writing_.valid());
  }
  EXPECT_EQ(read(Deadline::now()).outcome, Outcome::empty);
}

TEST_F(FrameOverFifo, BytesThatPollOverlookedComeBeforeTheEnd) {
  after_poll = [&](short& revents) {
    EXPECT_EQ(revents, 0);
    send("last words");
    writing_.reset();
    revents = POLLHUP;  // looked for bytes before they came, for writers after they left
  };
  const IoResult result = read(Deadline::now());
  EXPECT_EQ(result.outcome, Outcome::ok);
  EXPECT_EQ(result.size, std::strlen("last words"));
  EXPECT_EQ(read(Deadline::now()).outcome, Outcome::closed);
}

// A pipe of one page takes what fits into the rest of that page: a frame can be cut anywhere, in
// its length too.
TEST(FrameOverPipe, ACutWithinTheLengthKeepsTheStreamInStep) {
  constexpr std::size_t page = 4096, most = 3 * page;
  for (std::size_t room = 1; room <= 6; ++room) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    const Descriptor reading(ends[0]), writing(ends[1]);
    if (::fcntl(writing.get(), F_SETPIPE_SZ, page) != static_cast<int>(page)) {
      GTEST_SKIP() << "pages are larger here";
    }
    std::vector<std::byte> filler(page - room - frame_overhead);
    const std::vector<std::byte> given_up(2 * page + room - frame_overhead, std::byte{7});
    const std::array last{std::byte{1}, std::byte{2}, std::byte{3}};
    std::uint32_t owed = 0;
    const auto send = [&](std::span<const std::byte> message) {
      const Deadline soon = Deadline::in(std::chrono::milliseconds(1));
      return write_frame(writing.get(), StreamKind::pipe, message, owed, soon).outcome;
    };
    FrameIntake intake;
    std::vector<std::byte> memory(FrameReader::memory_bytes(most)), buffer(most);
    FrameReader reader(intake, memory, most);
    ASSERT_EQ(send(filler), Outcome::ok);
    ASSERT_EQ(send(given_up), Outcome::timed_out);
    ASSERT_GT(owed, 0u) << "the kernel cut it after " << room;
    EXPECT_EQ(reader.fill(reading.get()).outcome, Outcome::ok);
    EXPECT_EQ(reader.take(buffer).size, filler.size());
    while (send(last) != Outcome::ok) {  // first come the zeroes
      ASSERT_EQ(reader.fill(reading.get()).outcome, Outcome::ok);
    }
    reader.fill(reading.get());
    const IoResult taken = reader.take(buffer);
    EXPECT_EQ(taken.outcome, Outcome::ok) << room;
    EXPECT_EQ(taken.size, last.size()) << room;
  }
}

}  // namespace
}  // namespace ipctorture
