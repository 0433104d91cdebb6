#include "harness/launch/worker_output.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace ipctorture {
namespace {

std::string read_at(int fd, off_t from, std::size_t bytes) {
  std::string text(bytes, '\0');
  const ssize_t got = ::pread(fd, text.data(), text.size(), from);
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "file.cc:12:3: runtime error: ...": a program may well write "runtime error: " by itself.
std::size_t undefined_behaviour(std::string_view output) {
  constexpr std::string_view words = ": runtime error: ";
  std::size_t at = 0;
  while ((at = output.find(words, at)) != std::string_view::npos) {
    if (at > 0 && is_digit(output[at - 1])) return at;
    at += words.size();
  }
  return at;
}

// "==17==ERROR: AddressSanitizer: ...", "WARNING: ThreadSanitizer: ..."
std::size_t sanitizer_word(std::string_view output) {
  constexpr std::string_view ending = "Sanitizer: ";
  std::size_t at = 0;
  for (; (at = output.find(ending, at)) != std::string_view::npos; at += ending.size()) {
    const std::size_t blank = output.substr(0, at).rfind(' ');
    const std::string_view before = blank == std::string_view::npos ? "" : output.substr(0, blank);
    if (before.ends_with("ERROR:") || before.ends_with("WARNING:")) return blank;
  }
  return at;
}

}  // namespace

std::string read_output(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0 || status.st_size <= 0) return {};
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size <= 2 * output_part_max) return read_at(fd, 0, size);
  return read_at(fd, 0, output_part_max) + "\n[... " + std::to_string(size - 2 * output_part_max) +
         " bytes left out ...]\n" +
         read_at(fd, static_cast<off_t>(size - output_part_max), output_part_max);
}

std::string find_report(std::string_view output) {
  const std::size_t first = std::min(undefined_behaviour(output), sanitizer_word(output));
  if (first == std::string_view::npos) return {};
  const std::size_t before = output.rfind('\n', first);
  output.remove_prefix(before == std::string_view::npos ? 0 : before + 1);
  return std::string(output.substr(0, report_bytes_max));
}

}  // namespace ipctorture
