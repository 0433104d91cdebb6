#include "harness/transport/unix_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ipctorture {
namespace {

// More than connect at once, so that connect(2) never waits for an accept(2).
constexpr int listen_backlog = 128;
// What the kernel adds to a packet in its own count: the bookkeeping and unused ends of pages.
constexpr std::size_t packet_overhead_bytes = 8192;

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw_system_error("bind", path, ENAMETOOLONG);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

// How long connect(2) may wait for a peer that does not accept: no other call can, poll(2) does not
// know of it.
void limit_connect(int socket, Deadline deadline) {
  timeval limit{};  // for ever
  if (!deadline.is_never()) {
    const timespec left = deadline.is_timed() ? deadline.remaining_timespec() : timespec{};
    limit = {.tv_sec = left.tv_sec, .tv_usec = left.tv_nsec / 1000};
    if (limit.tv_sec == 0 && limit.tv_usec == 0) limit.tv_usec = 1;
  }
  if (::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0) {
    throw_system_error("setsockopt", "SO_SNDTIMEO");
  }
}

}  // namespace

Descriptor publish_unix_socket(const Rendezvous& meeting, unsigned index, int type) {
  const std::string path = meeting.staged_path(index);
  Descriptor socket = own_descriptor(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0), "socket", path);
  // On Linux the name gets the mode of the socket's own inode: no moment in which it is wider.
  if (::fchmod(socket.get(), 0600) != 0) throw_system_error("fchmod", path);
  meeting.clear_staged(index);
  const sockaddr_un address = address_of(path);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw_system_error("bind", path);
  }
  if (type != SOCK_DGRAM && ::listen(socket.get(), listen_backlog) != 0) {
    throw_system_error("listen", path);
  }
  meeting.publish(index);
  return socket;
}

Descriptor connect_unix_socket(const Rendezvous& meeting, unsigned index, int type,
                               Deadline deadline) {
  meeting.await(index, deadline);
  const std::string path = meeting.path(index);
  Descriptor socket = own_descriptor(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0), "socket", path);
  const sockaddr_un address = address_of(path);
  for (;;) {
    // A peer that is no good may let its backlog fill: no reason to wait beyond the deadline.
    limit_connect(socket.get(), deadline);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      if (!deadline.is_never()) limit_connect(socket.get(), Deadline::never());
      return socket;
    }
    if (errno == ECONNREFUSED) return {};
    if (errno != EINTR && errno != EAGAIN) throw_system_error("connect", path);
    if (deadline.passed()) throw_system_error("connect", path, ETIMEDOUT);
  }
}

std::size_t grow_send_buffer(int fd, std::size_t bytes) {
  const int wanted = static_cast<int>(std::min<std::size_t>(bytes, 1u << 30));
  ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
  int granted = 0;
  socklen_t length = sizeof granted;
  if (::getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &granted, &length) != 0 || granted < 0) return 0;
  return static_cast<std::size_t>(granted);
}

std::string unix_packets_unsupported(int type, std::size_t bytes) {
  const Descriptor probe(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return std::string("socket: ") + std::strerror(errno);
  const std::size_t granted = grow_send_buffer(probe.get(), bytes + packet_overhead_bytes);
  if (granted >= bytes + packet_overhead_bytes) return {};
  return "net.core.wmem_max allows a send buffer of " + std::to_string(granted) +
         " bytes, a message of " + std::to_string(bytes) + " needs " +
         std::to_string(bytes + packet_overhead_bytes);
}

}  // namespace ipctorture
