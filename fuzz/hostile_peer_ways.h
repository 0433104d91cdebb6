// The ways by which a hostile peer reaches the other side, found from outside: descriptors that its
// attach opened, addresses that the other side listens on, System V queues, real-time signals, and
// names in the run's directory. Mapped memory is none of them: the controlled engine writes there
// (`ipctorture explore`, harness/schedule).
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "harness/base/descriptor.h"
#include "harness/transport/transport.h"

namespace ipctorture {

// The number at the beginning, as far as there are bytes; little endian.
template <typename Number>
Number leading(std::span<const std::byte> bytes, Number otherwise = 0) {
  for (std::size_t i = 0; i < std::min(bytes.size(), sizeof(Number)); ++i) {
    const auto shift = static_cast<unsigned>(8 * i);
    const Number mask = static_cast<Number>(Number{0xff} << shift);
    otherwise = static_cast<Number>(
        (otherwise & static_cast<Number>(~mask)) |
        static_cast<Number>(Number{std::to_integer<std::uint8_t>(bytes[i])} << shift));
  }
  return otherwise;
}

using OpenDescriptors = std::bitset<256>;
// Which descriptors below `bound` are open now: one system call, the dearer the more it asks for.
OpenDescriptors open_descriptors(std::size_t bound);

enum class WayKind : std::uint8_t {
  stream,     // a connected stream socket
  packets,    // a socket that keeps boundaries
  listener,   // a listening socket
  pipe_out,   // the writing end of a pipe
  pipe_in,    // the reading end
  event,      // an eventfd
  queue,      // of POSIX
  key_queue,  // of System V: `number` is its id
  signal,     // `number` is a signal that the other side's thread waits for
};

struct Way {
  WayKind kind{};
  Descriptor fd;  // a duplicate, close-on-exec; none for key_queue and signal
  int number = 0;
};

// What `fd` is a way to; nothing: a file, mapped memory, an inotify instance ...
std::optional<Way> way_of(int fd);

// Writes the bytes in one call, with descriptors along (sockets only); never waits. How many
// messages these may be taken for: each byte of a stream, one otherwise; 0: nothing was written.
std::size_t write_into(const Way& way, std::span<const std::byte> bytes,
                       std::span<const int> along);
// Takes what is there, as far as it fits; never waits. How many bytes.
std::size_t read_from(const Way& way, std::span<std::byte> memory);

struct Address {
  sockaddr_storage bytes{};
  socklen_t size = 0;
  int type = 0;
};
// Where to connect to the process that holds `fd`: a bound internet socket's; nothing otherwise.
std::optional<Address> internet_address_of(int fd);
// Of a socket with this path; nothing when it is too long.
std::optional<Address> unix_address_of(const std::string& path, int type);
// A way to it, if it takes connections now. Never waits.
std::optional<Way> connect_to(const Address& address);

// Descriptors of every sort to pass along. They stay open as long as this lives.
class DescriptorsToPass {
 public:
  DescriptorsToPass();
  int pick(unsigned which) const { return all_[which % all_.size()].get(); }

 private:
  std::vector<Descriptor> all_;
};

// The names that appear in a directory, and one level below it, while this lives.
class NamesSeen {
 public:
  explicit NamesSeen(const std::string& directory);
  void look_below();                 // watches the directories in it too
  std::vector<std::string> names();  // relative paths, sorted, each once

 private:
  const std::string directory_;
  Descriptor events_;
  std::vector<std::pair<int, std::string>> watched_;  // inotify's number, its path with "/"
};

// Does something to `name` in `directory` (what % 9): writes, cuts, unlinks, renames to `other`,
// replaces by a FIFO, a symbolic link to `other`, a directory, a socket, a hard link. `to_files`
// false: contents stay as they are, for what is mapped.
void meddle_with(const std::string& directory, const std::string& name, const std::string& other,
                 unsigned what, std::span<const std::byte> bytes, bool to_files);
// Removes all that is in it.
void empty_directory(const std::string& directory);

}  // namespace ipctorture
