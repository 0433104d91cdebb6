#include "stress/explore/source_lines.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <set>
#include <sstream>

#include "stress/output_of.h"

namespace ipctorture {
namespace {

constexpr std::size_t addresses_max = 2000;

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

// addr2line -a -i: an address line, then the frames from the innermost outward.
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
    std::vector<std::string> command = {"addr2line", "-a", "-i", "-e", object};
    for (const auto& [offset, address] : asked) command.push_back(fmt::format("{:#x}", offset));
    read_places(output_of(command), asked, places);
  }
  return places;
}

}  // namespace ipctorture
