#include "harness/launch/active.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <span>

namespace ipctorture {
namespace {

// One channel's slot in the file. Plain bytes: a reader copies it out and then looks.
struct Slot {
  std::uint32_t set = 0;  // 1: the rest is complete
  std::uint32_t producers = 0, consumers = 0, capacity = 0, message_max = 0;
  std::uint64_t token = 0, counter_start = 0;
  char transport[48] = {};
  char name[64] = {};
  char directory[128] = {};
};
constexpr std::size_t file_bytes = channels_max * sizeof(Slot);

void put(std::span<char> to, const std::string& text) {
  const std::size_t size = std::min(text.size(), to.size() - 1);
  std::memcpy(to.data(), text.data(), size);
  to[size] = 0;
}

std::optional<std::string> get(std::span<const char> from) {
  const auto end = std::find(from.begin(), from.end(), '\0');
  if (end == from.end()) return std::nullopt;
  return std::string(from.begin(), end);
}

}  // namespace

ActiveFile::ActiveFile(const std::string& path) : path_(path) {
  const Descriptor fd = own_descriptor(
      ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), "open", path);
  reserve_backing(fd.get(), file_bytes, path);
  mapping_ = SharedMapping(fd.get(), file_bytes, path);
}

ActiveFile::~ActiveFile() { ::unlink(path_.c_str()); }

void ActiveFile::set(unsigned channel, const std::string& transport,
                     const Options& options) noexcept {
  auto& slot = reinterpret_cast<Slot*>(mapping_.data())[channel];
  slot.producers = options.producers;
  slot.consumers = options.consumers;
  slot.capacity = options.capacity;
  slot.message_max = options.message_max;
  slot.token = options.token;
  slot.counter_start = options.counter_start;
  put(slot.transport, transport);
  put(slot.name, options.name);
  put(slot.directory, options.directory);
  std::atomic_ref(slot.set).store(1, std::memory_order_release);
}

void ActiveFile::clear(unsigned channel) noexcept {
  auto& slot = reinterpret_cast<Slot*>(mapping_.data())[channel];
  std::atomic_ref(slot.set).store(0, std::memory_order_release);
}

std::optional<ActiveRun> read_active(const std::string& path, unsigned channel) {
  if (channel >= channels_max) return std::nullopt;
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd.valid()) return std::nullopt;
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  Slot slot;
  const auto wanted = static_cast<ssize_t>(sizeof slot);
  if (::pread(fd.get(), &slot, sizeof slot, static_cast<off_t>(channel * sizeof slot)) != wanted) {
    return std::nullopt;
  }
  const auto transport = get(slot.transport);
  const auto name = get(slot.name);
  const auto directory = get(slot.directory);
  if (slot.set != 1 || !transport || !name || !directory) return std::nullopt;
  return ActiveRun{.transport = *transport,
                   .options = {.name = *name,
                               .directory = *directory,
                               .token = slot.token,
                               .producers = slot.producers,
                               .consumers = slot.consumers,
                               .capacity = slot.capacity,
                               .message_max = slot.message_max,
                               .counter_start = slot.counter_start}};
}

}  // namespace ipctorture
