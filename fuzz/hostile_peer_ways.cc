#include "fuzz/hostile_peer_ways.h"

#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

namespace ipctorture {
namespace {

constexpr long mqueue_magic = 0x19800202;
constexpr std::size_t along_max = 4;
constexpr off_t file_bytes_max = 4 << 20;

WayKind socket_kind(int fd) {
  int listens = 0, type = 0;
  socklen_t length = sizeof listens;
  ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length);
  length = sizeof type;
  ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length);
  if (listens != 0) return WayKind::listener;
  return type == SOCK_STREAM ? WayKind::stream : WayKind::packets;
}

bool is_event(int fd) {
  std::array<char, 64> target{};
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size() - 1);
  return size > 0 && std::strstr(target.data(), "eventfd") != nullptr;
}

std::optional<WayKind> kind_of(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return {};
  switch (status.st_mode & S_IFMT) {
    case S_IFSOCK:
      return socket_kind(fd);
    case S_IFIFO:
      return (::fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY ? WayKind::pipe_in : WayKind::pipe_out;
    case S_IFREG: {
      struct statfs system{};
      if (::fstatfs(fd, &system) == 0 && system.f_type == mqueue_magic) return WayKind::queue;
      return {};
    }
    case 0:
      if (is_event(fd)) return WayKind::event;
      return {};
    default:
      return {};
  }
}

bool send_packet(int fd, std::span<const std::byte> bytes, std::span<const int> along) {
  iovec part{.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
  msghdr packet{};
  packet.msg_iov = &part;
  packet.msg_iovlen = 1;
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(along_max * sizeof(int))> control{};
  if (!along.empty()) {
    packet.msg_control = control.data();
    packet.msg_controllen = CMSG_SPACE(along.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&packet);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(along.size_bytes());
    std::memcpy(CMSG_DATA(header), along.data(), along.size_bytes());
  }
  return ::sendmsg(fd, &packet, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

// Not without a reader: SIGPIPE would hit the honest side, which shares this process.
bool write_pipe(int fd, std::span<const std::byte> bytes) {
  pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
  if (::poll(&ready, 1, 0) != 1 || ready.revents != POLLOUT) return false;
  const iovec part{.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
  return ::pwritev2(fd, &part, 1, -1, RWF_NOWAIT) > 0;
}

bool ring(int fd, std::span<const std::byte> bytes) {
  const auto value = leading<std::uint64_t>(bytes, 1);
  if ((::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0) return false;
  return ::write(fd, &value, sizeof value) > 0;
}

bool enqueue(int queue, std::span<const std::byte> bytes) {
  const timespec past{};
  const unsigned priority = bytes.empty() ? 0 : std::to_integer<unsigned>(bytes[0]) * 128;
  const auto* data = reinterpret_cast<const char*>(bytes.data());
  return ::mq_timedsend(queue, data == nullptr ? "" : data, bytes.size(), priority, &past) == 0;
}

bool enqueue_by_key(int id, std::span<const std::byte> bytes) {
  constexpr std::size_t most = 8192;
  long memory[1 + most / sizeof(long)] = {1};
  const std::size_t size = std::min(bytes.size(), most);
  if (size > 0) {
    std::memcpy(&memory[1], bytes.data(), size);
    memory[0] = 1 + std::to_integer<int>(bytes[0]);
  }
  return ::msgsnd(id, memory, size, IPC_NOWAIT) == 0;
}

bool raise_signal(int number, std::span<const std::byte> bytes) {
  const auto word = leading<std::uint64_t>(bytes);
  siginfo_t info{};
  info.si_signo = number;
  info.si_code = bytes.size() > sizeof word ? -std::to_integer<int>(bytes[sizeof word]) : SI_QUEUE;
  info.si_pid = ::getpid();
  info.si_value.sival_ptr = reinterpret_cast<void*>(word);
  return ::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), ::syscall(SYS_gettid), number, &info) == 0;
}

}  // namespace

OpenDescriptors open_descriptors(std::size_t bound) {
  OpenDescriptors open;
  std::array<pollfd, open.size()> all;
  bound = std::min(bound, all.size());
  for (std::size_t fd = 0; fd < bound; ++fd) all[fd] = {static_cast<int>(fd), 0, 0};
  ::poll(all.data(), bound, 0);
  for (std::size_t fd = 0; fd < bound; ++fd) open[fd] = (all[fd].revents & POLLNVAL) == 0;
  return open;
}

std::optional<Way> way_of(int fd) {
  const std::optional<WayKind> kind = kind_of(fd);
  if (!kind) return {};
  return Way{.kind = *kind, .fd = Descriptor(::fcntl(fd, F_DUPFD_CLOEXEC, 0)), .number = 0};
}

std::size_t write_into(const Way& way, std::span<const std::byte> bytes,
                       std::span<const int> along) {
  along = along.first(std::min(along.size(), along_max));
  switch (way.kind) {
    case WayKind::stream:
      return send_packet(way.fd.get(), bytes, along) ? bytes.size() : 0;
    case WayKind::packets:
      return send_packet(way.fd.get(), bytes, along) ? 1 : 0;
    case WayKind::pipe_out:
      return write_pipe(way.fd.get(), bytes) ? bytes.size() : 0;
    case WayKind::event:
      return ring(way.fd.get(), bytes) ? 1 : 0;
    case WayKind::queue:
      return enqueue(way.fd.get(), bytes) ? 1 : 0;
    case WayKind::key_queue:
      return enqueue_by_key(way.number, bytes) ? 1 : 0;
    case WayKind::signal:
      return raise_signal(way.number, bytes) ? 1 : 0;
    case WayKind::listener:
    case WayKind::pipe_in:
      break;
  }
  return 0;
}

std::size_t read_from(const Way& way, std::span<std::byte> memory) {
  ssize_t size = 0;
  switch (way.kind) {
    case WayKind::stream:
    case WayKind::packets:
      size = ::recv(way.fd.get(), memory.data(), memory.size(), MSG_DONTWAIT);
      break;
    case WayKind::pipe_in:
    case WayKind::event: {
      const iovec part{.iov_base = memory.data(), .iov_len = memory.size()};
      size = ::preadv2(way.fd.get(), &part, 1, -1, RWF_NOWAIT);
      break;
    }
    case WayKind::queue: {
      const timespec past{};
      size = ::mq_timedreceive(way.fd.get(), reinterpret_cast<char*>(memory.data()), memory.size(),
                               nullptr, &past);
      break;
    }
    case WayKind::key_queue:
      size = ::msgrcv(way.number, memory.data(), memory.size() - sizeof(long), 0, IPC_NOWAIT);
      break;
    case WayKind::listener:
    case WayKind::pipe_out:
    case WayKind::signal:
      break;
  }
  return size > 0 ? static_cast<std::size_t>(size) : 0;
}

std::optional<Address> internet_address_of(int fd) {
  Address address{.size = sizeof address.bytes};
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address.bytes), &address.size) != 0) return {};
  if (address.bytes.ss_family != AF_INET) return {};
  socklen_t length = sizeof address.type;
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &address.type, &length) != 0) return {};
  return address;
}

std::optional<Address> unix_address_of(const std::string& path, int type) {
  sockaddr_un name{};
  if (path.size() >= sizeof name.sun_path) return {};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
  Address address{.size = sizeof name, .type = type};
  std::memcpy(&address.bytes, &name, sizeof name);
  return address;
}

std::optional<Way> connect_to(const Address& address) {
  const int type = address.type | SOCK_CLOEXEC | SOCK_NONBLOCK;
  Descriptor socket(::socket(address.bytes.ss_family, type, 0));
  const auto* to = reinterpret_cast<const sockaddr*>(&address.bytes);
  if (!socket.valid()) return {};
  if (::connect(socket.get(), to, address.size) != 0 && errno != EINPROGRESS) return {};
  return Way{.kind = address.type == SOCK_STREAM ? WayKind::stream : WayKind::packets,
             .fd = std::move(socket),
             .number = 0};
}

DescriptorsToPass::DescriptorsToPass() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0) {
    all_.emplace_back(ends[0]);
    all_.emplace_back(ends[1]);
  }
  Descriptor memory(::memfd_create("to pass", MFD_CLOEXEC));
  if (::ftruncate(memory.get(), 4096) == 0) all_.push_back(std::move(memory));
  all_.emplace_back(::memfd_create("empty", MFD_CLOEXEC));
  all_.emplace_back(::open("/dev/null", O_RDWR | O_CLOEXEC));
  all_.emplace_back(::open("/", O_PATH | O_CLOEXEC));
  all_.emplace_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  all_.emplace_back(::epoll_create1(EPOLL_CLOEXEC));
  std::erase_if(all_, [](const Descriptor& one) { return !one.valid(); });
  if (all_.empty()) throw_system_error("open", "descriptors to pass");
}

NamesSeen::NamesSeen(const std::string& directory)
    : directory_(directory),
      events_(own_descriptor(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC), "inotify_init1", "")) {
  const int number =
      ::inotify_add_watch(events_.get(), directory_.c_str(), IN_CREATE | IN_MOVED_TO);
  watched_.emplace_back(number, "");
}

void NamesSeen::look_below() {
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    if (!entry.is_directory()) continue;
    const int number =
        ::inotify_add_watch(events_.get(), entry.path().c_str(), IN_CREATE | IN_MOVED_TO);
    watched_.emplace_back(number, entry.path().filename().string() + "/");
  }
}

std::vector<std::string> NamesSeen::names() {
  std::set<std::string> names;
  alignas(inotify_event) std::array<char, 16384> events;
  const ssize_t size = ::read(events_.get(), events.data(), events.size());
  for (ssize_t at = 0; at < size;) {
    const auto* event = reinterpret_cast<const inotify_event*>(events.data() + at);
    for (const auto& [number, path] : watched_) {
      if (number == event->wd && event->len > 0) names.insert(path + event->name);
    }
    at += static_cast<ssize_t>(sizeof *event + event->len);
  }
  return {names.begin(), names.end()};
}

namespace {

void write_file(const std::string& path, std::span<const std::byte> bytes) {
  const Descriptor file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
  const auto offset = leading<std::uint16_t>(bytes);
  const auto content = bytes.subspan(std::min(bytes.size(), sizeof offset));
  if (::pwrite(file.get(), content.data(), content.size(), offset) < 0) return;
}

void cut_file(const std::string& path, std::span<const std::byte> bytes) {
  const auto length = leading<std::uint32_t>(bytes);
  if (::truncate(path.c_str(), static_cast<off_t>(length) % file_bytes_max) != 0) return;
}

void bind_socket(const std::string& path, std::span<const std::byte> bytes) {
  constexpr int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
  const unsigned choice = bytes.empty() ? 0 : std::to_integer<unsigned>(bytes[0]);
  const Descriptor socket(::socket(AF_UNIX, types[choice % 3] | SOCK_CLOEXEC, 0));
  const std::optional<Address> address = unix_address_of(path, 0);
  if (!address) return;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address->bytes), address->size) != 0)
    return;
}

}  // namespace

void meddle_with(const std::string& directory, const std::string& name, const std::string& other,
                 unsigned what, std::span<const std::byte> bytes, bool to_files) {
  const std::string path = directory + "/" + name, target = directory + "/" + other;
  std::error_code ignored;
  what %= 9;
  if (what >= 4 && what != 8) std::filesystem::remove_all(path, ignored);
  switch (what) {
    case 0:
      if (to_files) write_file(path, bytes);
      break;
    case 1:
      if (to_files) cut_file(path, bytes);
      break;
    case 2:
      std::filesystem::remove_all(path, ignored);
      break;
    case 3:
      std::filesystem::rename(path, target, ignored);
      break;
    case 4:
      if (::mkfifo(path.c_str(), 0600) != 0) return;
      break;
    case 5:
      std::filesystem::create_symlink(target, path, ignored);
      break;
    case 6:
      std::filesystem::create_directory(path, ignored);
      break;
    case 7:
      bind_socket(path, bytes);
      break;
    default:
      std::filesystem::create_hard_link(path, target, ignored);
  }
}

void empty_directory(const std::string& directory) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    std::filesystem::remove_all(entry.path(), ignored);
  }
}

}  // namespace ipctorture
