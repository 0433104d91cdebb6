#include "stress/bench/bare_loop.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "harness/base/adaptive_spin.h"
#include "harness/base/clock.h"
#include "harness/base/shared_mapping.h"

namespace ipctorture {
namespace {

constexpr int send_buffer_bytes = 128 * 1024;
constexpr long queue_messages = 10;  // what an ordinary user may have
constexpr std::size_t pipe_bytes_usual = 65536;
constexpr std::size_t pipe_bytes_most = 1u << 20;

// --- descriptors ---------------------------------------------------------------------------------

void close_descriptors(const BareEnds& ends) {
  ::close(ends.sending);
  ::close(ends.receiving);
}

bool write_message(int end, std::byte* message, std::size_t size) {
  while (size > 0) {
    const ssize_t count = ::write(end, message, size);
    if (count <= 0) return false;
    message += count;
    size -= static_cast<std::size_t>(count);
  }
  return true;
}

bool read_message(int end, std::byte* buffer, std::size_t size) {
  while (size > 0) {
    const ssize_t count = ::read(end, buffer, size);
    if (count <= 0) return false;
    buffer += count;
    size -= static_cast<std::size_t>(count);
  }
  return true;
}

BareEnds open_pipe(std::size_t size) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw_system_error("pipe2", "");
  const std::size_t bytes = std::clamp(bench_capacity * size, pipe_bytes_usual, pipe_bytes_most);
  ::fcntl(ends[1], F_SETPIPE_SZ, static_cast<int>(bytes));
  return {.sending = ends[1], .receiving = ends[0]};
}

void set_send_buffer(int socket) {
  ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes, sizeof send_buffer_bytes);
}

BareEnds open_socket_pair(int type) {
  int ends[2];
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0)
    throw_system_error("socketpair", "");
  set_send_buffer(ends[0]);
  return {.sending = ends[0], .receiving = ends[1]};
}

// A pair of datagram sockets would escape net.unix.max_dgram_qlen: one must have an address.
BareEnds open_datagrams(std::size_t) {
  Descriptor receiver =
      own_descriptor(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket", "");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // An address of the family alone: the kernel finds a free one (unix(7), autobind).
  if (::bind(receiver.get(), reinterpret_cast<sockaddr*>(&address), sizeof address.sun_family) != 0)
    throw_system_error("bind", "");
  socklen_t length = sizeof address;
  ::getsockname(receiver.get(), reinterpret_cast<sockaddr*>(&address), &length);
  Descriptor sender = own_descriptor(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket", "");
  if (::connect(sender.get(), reinterpret_cast<sockaddr*>(&address), length) != 0)
    throw_system_error("connect", "");
  set_send_buffer(sender.get());
  return {.sending = sender.release(), .receiving = receiver.release()};
}

BareEnds open_tcp(std::size_t) {
  const Descriptor listener =
      own_descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket", "");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      ::listen(listener.get(), 1) != 0 ||
      ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    throw_system_error("listen", "127.0.0.1");
  }
  Descriptor sender =
      own_descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket", "");
  if (::connect(sender.get(), reinterpret_cast<sockaddr*>(&address), length) != 0)
    throw_system_error("connect", "127.0.0.1");
  const int on = 1;
  ::setsockopt(sender.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  set_send_buffer(sender.get());
  Descriptor receiver =
      own_descriptor(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept4", "");
  return {.sending = sender.release(), .receiving = receiver.release()};
}

// --- queues --------------------------------------------------------------------------------------

BareEnds open_posix_queue(std::size_t size) {
  std::uint64_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != sizeof number) throw_system_error("getrandom", "");
  const std::string name = "/ipct-bench-" + std::to_string(number);
  mq_attr attributes{};
  attributes.mq_maxmsg = queue_messages;
  attributes.mq_msgsize = static_cast<long>(size);
  Descriptor sender = own_descriptor(
      ::mq_open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600, &attributes), "mq_open", name);
  Descriptor receiver(::mq_open(name.c_str(), O_RDONLY));
  ::mq_unlink(name.c_str());
  if (!receiver.valid()) throw_system_error("mq_open", name);
  return {.sending = sender.release(), .receiving = receiver.release()};
}

bool send_posix(int end, std::byte* message, std::size_t size) {
  return ::mq_send(end, reinterpret_cast<const char*>(message), size, 0) == 0;
}

bool receive_posix(int end, std::byte* buffer, std::size_t size) {
  return ::mq_receive(end, reinterpret_cast<char*>(buffer), size, nullptr) >= 0;
}

BareEnds open_system_v_queue(std::size_t) {
  const int queue = ::msgget(IPC_PRIVATE, 0600);
  if (queue < 0) throw_system_error("msgget", "");
  return {.sending = queue, .receiving = queue};
}

void close_system_v_queue(const BareEnds& ends) { ::msgctl(ends.sending, IPC_RMID, nullptr); }

// The type stands in front of the message: buffers have room for it there.
bool send_system_v(int end, std::byte* message, std::size_t size) {
  std::byte* with_type = message - sizeof(long);
  new (with_type) long{1};
  return ::msgsnd(end, with_type, size, 0) == 0;
}

bool receive_system_v(int end, std::byte* buffer, std::size_t size) {
  return ::msgrcv(end, buffer - sizeof(long), size, 0, 0) >= 0;
}

constexpr BareLoop loops[] = {
    {"pipe", open_pipe, close_descriptors, write_message, read_message},
    {"unix_stream", [](std::size_t) { return open_socket_pair(SOCK_STREAM); }, close_descriptors,
     write_message, read_message},
    {"unix_seqpacket", [](std::size_t) { return open_socket_pair(SOCK_SEQPACKET); },
     close_descriptors, write_message, read_message},
    {"unix_dgram", open_datagrams, close_descriptors, write_message, read_message},
    {"tcp", open_tcp, close_descriptors, write_message, read_message},
    {"posix_mq", open_posix_queue, close_descriptors, send_posix, receive_posix},
    {"sysv_msg", open_system_v_queue, close_system_v_queue, send_system_v, receive_system_v},
};

// --- two processes -------------------------------------------------------------------------------

struct Meeting {
  std::atomic<bool> consumer_is_here{false};
  std::atomic<Instant> first_send{0};
  std::atomic<Instant> last_receive{0};
};

using Body = bool (*)(const BareLoop&, int end, std::span<std::byte> message, std::uint64_t count,
                      Meeting& meeting);

bool produce(const BareLoop& loop, int end, std::span<std::byte> message, std::uint64_t count,
             Meeting& meeting) {
  while (!meeting.consumer_is_here.load(std::memory_order_acquire)) cpu_relax();
  meeting.first_send.store(monotonic_now());
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!loop.send(end, message.data(), message.size())) return false;
  }
  return true;
}

bool consume(const BareLoop& loop, int end, std::span<std::byte> message, std::uint64_t count,
             Meeting& meeting) {
  meeting.consumer_is_here.store(true, std::memory_order_release);
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!loop.receive(end, message.data(), message.size())) return false;
  }
  meeting.last_receive.store(monotonic_now());
  return true;
}

// What needs memory was made before: this process has threads.
pid_t fork_side(const BareLoop& loop, Body body, int end, std::span<std::byte> message,
                std::uint64_t count, Meeting& meeting) {
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  ::_exit(body(loop, end, message, count, meeting) ? 0 : 1);
}

bool ended_well(pid_t pid) {
  int status = -1;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status == 0;
}

}  // namespace

std::span<const BareLoop> bare_loops() { return loops; }

double messages_per_second(const BareLoop& loop, std::size_t size, std::uint64_t count) {
  const Descriptor memory =
      create_unnamed_memory("ipctorture-bench", sizeof(Meeting), Backing::reserved);
  const SharedMapping mapping(memory.get(), sizeof(Meeting), "bench");
  Meeting& meeting = *new (mapping.data()) Meeting;
  // Aligned, with room for a System V message's type in front.
  std::vector<long> words(1 + (size + sizeof(long) - 1) / sizeof(long));
  const std::span<std::byte> message(reinterpret_cast<std::byte*>(&words[1]), size);
  const BareEnds ends = loop.open(size);
  const pid_t producer = fork_side(loop, produce, ends.sending, message, count, meeting);
  const pid_t consumer =
      producer < 0 ? -1 : fork_side(loop, consume, ends.receiving, message, count, meeting);
  if (consumer < 0) {
    const int error = errno;
    if (producer > 0) ::kill(producer, SIGKILL);
    if (producer > 0) ended_well(producer);
    loop.close(ends);
    throw_system_error("fork", "bare loop", error);
  }
  const bool sent = ended_well(producer);
  if (!sent) ::kill(consumer, SIGKILL);
  const bool received = ended_well(consumer);
  loop.close(ends);
  if (!sent || !received) {
    throw std::runtime_error("the bare loop over " + std::string(loop.transport) + " failed");
  }
  return static_cast<double>(count) * 1e9 /
         static_cast<double>(meeting.last_receive.load() - meeting.first_send.load());
}

}  // namespace ipctorture
