#include "stress/explore/source_lines.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <sstream>

#include "harness/base/descriptor.h"

namespace ipctorture {
namespace {

constexpr std::size_t output_max = 4u << 20;
constexpr std::size_t addresses_max = 2000;

// What a program prints; empty when it cannot be started.
std::string output_of(const std::vector<std::string>& command) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {};
  const Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, writing.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = -1;
  const int error =
      ::posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return {};
  writing.reset();
  std::string text(output_max, 0);
  std::size_t size = 0;
  for (;;) {
    const ssize_t got = ::read(reading.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return text;
}

std::string short_place(const std::string& line) {
  // "/path/file.h:141:23 (inlined by) ..." -> "file.h:141"
  const std::string place = line.substr(0, line.find(' '));
  const std::string name = place.substr(place.rfind('/') + 1);
  const std::size_t column = name.find(':', name.find(':') + 1);
  return name.substr(0, column);
}

bool is_library(const std::string& line) {
  return line.find("/include/c++/") != std::string::npos || line.starts_with("/usr/include") ||
         line.starts_with("??");
}

// eu-addr2line -a -i: an address line, then the frames from the innermost outward.
void read_places(const std::string& output, const std::map<std::uintptr_t, const void*>& asked,
                 std::map<const void*, std::string>& places) {
  std::istringstream lines(output);
  const void* current = nullptr;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("0x")) {
      const auto found = asked.find(std::strtoull(line.c_str(), nullptr, 16));
      current = found == asked.end() ? nullptr : found->second;
      continue;
    }
    while (line.starts_with(" ")) line.erase(0, 1);
    if (line.starts_with("(inlined by) ")) line.erase(0, 13);
    if (current == nullptr || is_library(line) || places.contains(current)) continue;
    places[current] = short_place(line);
  }
}

}  // namespace

std::map<const void*, std::string> source_lines(const std::vector<const void*>& addresses) {
  std::map<std::string, std::map<std::uintptr_t, const void*>> by_object;
  for (const void* address : std::set<const void*>(addresses.begin(), addresses.end())) {
    Dl_info info{};
    if (address == nullptr || ::dladdr(address, &info) == 0 || info.dli_fname == nullptr) continue;
    // A return address: the call is before it.
    const auto offset = reinterpret_cast<std::uintptr_t>(address) -
                        reinterpret_cast<std::uintptr_t>(info.dli_fbase) - 1;
    auto& asked = by_object[info.dli_fname];
    if (asked.size() < addresses_max) asked[offset] = address;
  }
  std::map<const void*, std::string> places;
  for (const auto& [object, asked] : by_object) {
    std::vector<std::string> command = {"eu-addr2line", "-a", "-i", "-e", object};
    for (const auto& [offset, address] : asked) command.push_back(fmt::format("{:#x}", offset));
    read_places(output_of(command), asked, places);
  }
  return places;
}

}  // namespace ipctorture
