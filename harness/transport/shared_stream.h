// One pipe between many: endpoints that send and receive frames (frame.h) over the descriptors of a
// pipe or FIFO which several producers or several consumers share.
//
//  - Writers. A write(2) of up to PIPE_BUF bytes never mixes with others; a longer one does. So a
//    stream whose messages may be longer has a write lock, held for one frame.
//  - Readers. A frame must not be split between two of them. So competing readers hold a read lock
//    while they wait for a frame, and what one has read and not used (the rest of the frame when
//    its deadline passed, the frames behind it) stays in shared memory for the next.
//  - A lone writer or reader has its state to itself and takes no lock.
// The locks are robust mutexes: they die with their holder. If it dies in the middle of moving
// bytes (and only then) the stream is broken for good and every later operation says EOWNERDEAD.
#pragma once

#include <pthread.h>

#include <memory>

#include "harness/base/shared_mapping.h"
#include "harness/transport/frame.h"
#include "harness/transport/transport.h"

namespace ipctorture {

// What the peers of one stream share, at the start of a mapping; the read-ahead memory follows.
struct SharedStream {
  struct Side {
    pthread_mutex_t mutex;
    std::uint32_t moving;  // write: not 0 while a frame above PIPE_BUF is on its way
    std::uint32_t broken;  // a holder died in the middle
  };
  Side write;
  Side read;
  std::uint32_t owed;  // guarded by write
  FrameIntake intake;  // guarded by read

  // Does a stream with these options need shared state at all, and how much?
  static bool needed(const Options& options);
  static std::size_t bytes(const Options& options);
  // Puts a fresh one at the start of zeroed memory; throws std::system_error.
  static void create(std::byte* memory);
};

// The usual 64 KiB, more for larger frames as far as the kernel allows, and less when a small
// capacity was asked for. A refusal (this user has too many pipes) leaves it as it is.
void set_pipe_size(int fd, const Options& options);

// Keeps SIGPIPE blocked in this thread, so that writing to a pipe without readers is the error
// EPIPE and not the end of the process. Scopes of one thread may end in any order; what became
// pending meanwhile is discarded with the last.
class SigpipeBlocked {
 public:
  SigpipeBlocked();
  ~SigpipeBlocked();
  SigpipeBlocked(const SigpipeBlocked&) = delete;
  SigpipeBlocked& operator=(const SigpipeBlocked&) = delete;
};

// Both own their end (the write end O_NONBLOCK, the read end blocking) and keep `mapping` alive,
// which begins with the SharedStream (without data when none is needed).
class StreamProducer : public Endpoint {
 public:
  StreamProducer(const Options& options, Descriptor end, std::shared_ptr<SharedMapping> mapping);
  IoResult send(std::span<const std::byte> message, SendOptions options,
                Deadline deadline) override;
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override;
  IoResult close(Deadline deadline) override;  // what was accepted is in the pipe already

 protected:
  int end() const { return end_.get(); }

 private:
  SigpipeBlocked sigpipe_blocked_;
  Descriptor end_;
  std::shared_ptr<SharedMapping> mapping_;
  SharedStream* shared_;  // null: this producer needs no lock
  std::size_t message_max_;
  std::uint32_t owed_ = 0;
};

class StreamConsumer : public Endpoint {
 public:
  StreamConsumer(const Options& options, Descriptor end, std::shared_ptr<SharedMapping> mapping);
  IoResult send(std::span<const std::byte> message, SendOptions options,
                Deadline deadline) override;
  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override;
  IoResult close(Deadline deadline) override;

 protected:
  // Receives, with the intake to itself; what end of file means is for a FIFO to say.
  virtual IoResult receive_alone(std::span<std::byte> buffer, Deadline deadline);
  int end() const { return end_.get(); }

 private:
  Descriptor end_;
  std::shared_ptr<SharedMapping> mapping_;
  SharedStream* shared_;                 // null: the only consumer
  FrameIntake intake_;                   // used when it is the only one
  std::unique_ptr<std::byte[]> memory_;  // likewise
  FrameReader reader_;
};

}  // namespace ipctorture
