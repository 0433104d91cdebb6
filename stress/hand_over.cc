#include "stress/hand_over.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <system_error>

#include "stress/terminal.h"

namespace ipctorture {

std::string own_path() {
  std::array<char, 4096> path{};
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  return std::string(path.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
}

std::string explorer_path() { return own_path() + "-explore"; }

ExitCode hand_over(char** argv) {
  const std::string program = explorer_path();
  ::execv(program.c_str(), argv);
  print_note(fmt::format("ipctorture: cannot start {}: {}; it belongs beside ipctorture\n", program,
                         std::generic_category().message(errno)));
  return ExitCode::unsupported;
}

}  // namespace ipctorture
