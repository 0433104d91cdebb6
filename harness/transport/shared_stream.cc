#include "harness/transport/shared_stream.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <new>

#include "harness/base/robust_mutex.h"

namespace ipctorture {
namespace {

constexpr std::size_t pipe_bytes_usual = 65536;
constexpr std::size_t pipe_bytes_least = 8192;     // one page: poll(2) may deny room that there is
constexpr std::size_t pipe_bytes_most = 1u << 20;  // what an ordinary user may ask for
constexpr std::uint32_t small_capacity = 64;       // messages; below it, the pipe shrinks too

// In one wait, not by slices (robust_mutex.h): a death is not survived here anyway, and a reader
// may hold its lock for as long as nobody sends.
int lock(pthread_mutex_t& mutex, Deadline deadline) {
  if (deadline.is_never()) return ::pthread_mutex_lock(&mutex);
  if (deadline.is_now()) return ::pthread_mutex_trylock(&mutex);
  const timespec until = deadline.monotonic_timespec();
  return ::pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &until);
}

// Holds one side's lock for a scope, if it could be had by the deadline.
class Turn {
 public:
  // `moving` says whether a holder that died left the side in disorder.
  Turn(SharedStream::Side& side, const std::uint32_t& moving, Deadline deadline) : side_(side) {
    error_ = lock(side.mutex, deadline);
    held_ = error_ == 0 || error_ == EOWNERDEAD;
    if (error_ == EOWNERDEAD) {
      if (moving != 0) side.broken = 1;
      ::pthread_mutex_consistent(&side.mutex);
      error_ = 0;
    }
    if (held_ && side.broken != 0) error_ = EOWNERDEAD;
  }
  ~Turn() {
    if (held_) ::pthread_mutex_unlock(&side_.mutex);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  bool mine() const { return error_ == 0; }
  // Why it is not: `refused` when someone has it now.
  IoResult refusal(Outcome refused) const {
    if (error_ == EBUSY) return IoResult::of(refused);
    if (error_ == ETIMEDOUT) return IoResult::of(Outcome::timed_out);
    return IoResult::failed(error_);
  }

 private:
  SharedStream::Side& side_;
  int error_ = 0;
  bool held_ = false;
};

bool writers_need_lock(const Options& options) {
  return options.producers > 1 && options.message_max + frame_overhead > PIPE_BUF;
}
bool readers_need_lock(const Options& options) { return options.consumers > 1; }

SharedStream* stream_of(const std::shared_ptr<SharedMapping>& mapping, bool needed) {
  if (!needed) return nullptr;
  return std::launder(reinterpret_cast<SharedStream*>(mapping->data()));
}

thread_local int sigpipe_scopes = 0;
thread_local bool sigpipe_was_blocked = false;

}  // namespace

bool SharedStream::needed(const Options& options) {
  return writers_need_lock(options) || readers_need_lock(options);
}

std::size_t SharedStream::bytes(const Options& options) {
  if (!readers_need_lock(options)) return sizeof(SharedStream);
  return sizeof(SharedStream) + FrameReader::memory_bytes(options.message_max);
}

void SharedStream::create(std::byte* memory) {
  auto* stream = new (memory) SharedStream{};
  create_robust_mutex(stream->write.mutex, "of a stream's writers");
  create_robust_mutex(stream->read.mutex, "of a stream's readers");
}

void set_pipe_size(int fd, const Options& options) {
  const std::size_t frame = options.message_max + frame_overhead;
  const std::size_t asked = options.capacity * frame;
  const std::size_t wanted =
      options.capacity < small_capacity ? asked : std::max({asked, frame, pipe_bytes_usual});
  const std::size_t bytes = std::clamp(wanted, pipe_bytes_least, pipe_bytes_most);
  if (bytes != pipe_bytes_usual) ::fcntl(fd, F_SETPIPE_SZ, static_cast<int>(bytes));
}

SigpipeBlocked::SigpipeBlocked() {
  if (sigpipe_scopes++ > 0) return;
  sigset_t sigpipe;
  sigset_t before;
  ::sigemptyset(&sigpipe);
  ::sigaddset(&sigpipe, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
  sigpipe_was_blocked = ::sigismember(&before, SIGPIPE) == 1;
}

SigpipeBlocked::~SigpipeBlocked() {
  if (--sigpipe_scopes > 0 || sigpipe_was_blocked) return;
  sigset_t sigpipe;
  ::sigemptyset(&sigpipe);
  ::sigaddset(&sigpipe, SIGPIPE);
  const timespec at_once{};
  while (::sigtimedwait(&sigpipe, nullptr, &at_once) < 0 && errno == EINTR) {
  }
  ::pthread_sigmask(SIG_UNBLOCK, &sigpipe, nullptr);
}

StreamProducer::StreamProducer(const Options& options, Descriptor end,
                               std::shared_ptr<SharedMapping> mapping)
    : end_(std::move(end)),
      mapping_(std::move(mapping)),
      shared_(stream_of(mapping_, writers_need_lock(options))),
      message_max_(options.message_max) {}

IoResult StreamProducer::send(std::span<const std::byte> message, SendOptions, Deadline deadline) {
  if (message.size() > message_max_) return IoResult::of(Outcome::too_large);
  if (shared_ == nullptr) {
    return write_frame(end_.get(), StreamKind::pipe, message, owed_, deadline);
  }
  const Turn turn(shared_->write, shared_->write.moving, deadline);
  if (!turn.mine()) return turn.refusal(Outcome::full);
  shared_->write.moving = message.size() + frame_overhead > PIPE_BUF || shared_->owed > 0;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  const IoResult result =
      write_frame(end_.get(), StreamKind::pipe, message, shared_->owed, deadline);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  shared_->write.moving = 0;
  return result;
}

IoResult StreamProducer::receive(std::span<std::byte>, Deadline) { return IoResult::failed(EBADF); }

IoResult StreamProducer::close(Deadline) {
  end_.reset();
  return IoResult::sent();
}

StreamConsumer::StreamConsumer(const Options& options, Descriptor end,
                               std::shared_ptr<SharedMapping> mapping)
    : end_(std::move(end)),
      mapping_(std::move(mapping)),
      shared_(stream_of(mapping_, readers_need_lock(options))),
      memory_(shared_ != nullptr ? nullptr
                                 : std::make_unique_for_overwrite<std::byte[]>(
                                       FrameReader::memory_bytes(options.message_max))),
      reader_(shared_ != nullptr ? shared_->intake : intake_,
              {shared_ != nullptr ? mapping_->data() + sizeof(SharedStream) : memory_.get(),
               FrameReader::memory_bytes(options.message_max)},
              options.message_max,
              shared_ != nullptr ? FrameReader::Readers::competing : FrameReader::Readers::one) {}

IoResult StreamConsumer::send(std::span<const std::byte>, SendOptions, Deadline) {
  return IoResult::failed(EBADF);
}

IoResult StreamConsumer::receive(std::span<std::byte> buffer, Deadline deadline) {
  if (shared_ == nullptr) return receive_alone(buffer, deadline);
  const Turn turn(shared_->read, shared_->intake.moving, deadline);
  if (!turn.mine()) return turn.refusal(Outcome::empty);
  return receive_alone(buffer, deadline);
}

IoResult StreamConsumer::receive_alone(std::span<std::byte> buffer, Deadline deadline) {
  return reader_.read(end_.get(), buffer, deadline);
}

IoResult StreamConsumer::close(Deadline) {
  end_.reset();
  return IoResult::sent();
}

}  // namespace ipctorture
