#include "harness/transport/loopback.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "harness/transport/frame.h"

namespace ipctorture {
namespace {

sockaddr_in loopback_address(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

std::uint16_t port_of(int socket) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    throw_system_error("getsockname", "127.0.0.1");
  }
  return ntohs(address.sin_port);
}

std::uint16_t read_port(int file, const std::string& path) {
  std::array<char, 8> text{};
  const ssize_t count = ::pread(file, text.data(), text.size(), 0);
  if (count < 0) throw_system_error("read", path);
  std::uint16_t port = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + count, port);
  if (parsed.ec != std::errc() || port == 0) throw_system_error("read", path, EBADMSG);
  return port;
}

// True while the consumer that published the file lives and keeps the port.
bool lock_is_held(int file) {
  if (::flock(file, LOCK_SH | LOCK_NB) != 0) return errno == EWOULDBLOCK;
  ::flock(file, LOCK_UN);
  return false;
}

// connect(2) by the deadline. Connecting is a wait like any other: begun without blocking, awaited
// with poll(2), its result asked for with SO_ERROR. Returns the errno, 0 if connected.
int connect_by(int socket, const sockaddr_in& address, Deadline deadline) {
  const int flags = ::fcntl(socket, F_GETFL);
  ::fcntl(socket, F_SETFL, flags | O_NONBLOCK);
  int error = 0;
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    error = errno;
    if (error == EINPROGRESS || error == EINTR) {
      if (!wait_ready(socket, POLLOUT, deadline)) return ETIMEDOUT;
      socklen_t length = sizeof error;
      if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
    }
  }
  ::fcntl(socket, F_SETFL, flags);
  return error;
}

}  // namespace

Descriptor bind_loopback(int type) {
  Descriptor socket =
      own_descriptor(::socket(AF_INET, type | SOCK_CLOEXEC, 0), "socket", "127.0.0.1");
  const sockaddr_in address = loopback_address(0);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw_system_error("bind", "127.0.0.1");
  }
  return socket;
}

Descriptor publish_port(const Rendezvous& meeting, unsigned index, int socket) {
  const std::string path = meeting.staged_path(index);
  meeting.clear_staged(index);
  Descriptor file = own_descriptor(
      ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), "open", path);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) throw_system_error("flock", path);
  const std::string text = std::to_string(port_of(socket)) + "\n";
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    throw_system_error("write", path);
  }
  meeting.publish(index);
  return file;
}

Descriptor connect_loopback(const Rendezvous& meeting, unsigned index, int type,
                            Deadline deadline) {
  meeting.await(index, deadline);
  const std::string path = meeting.path(index);
  // O_NONBLOCK: a stranger's FIFO of this name must not hold the producer.
  const Descriptor file = own_descriptor(
      ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), "open", path);
  Descriptor socket =
      own_descriptor(::socket(AF_INET, type | SOCK_CLOEXEC, 0), "socket", "127.0.0.1");
  const int error =
      connect_by(socket.get(), loopback_address(read_port(file.get(), path)), deadline);
  if (error == ECONNREFUSED || error == ECONNRESET) return {};
  if (error != 0) throw_system_error("connect", "127.0.0.1", error);
  if (!lock_is_held(file.get())) return {};
  return socket;
}

std::string loopback_unsupported(int type) {
  try {
    bind_loopback(type);
    return {};
  } catch (const std::system_error& e) {
    return e.what();
  }
}

}  // namespace ipctorture
