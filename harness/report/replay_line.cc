#include "harness/report/replay_line.h"

namespace ipctorture {

std::string shell_word(std::string_view text) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+=,";
  if (!text.empty() && text.find_first_not_of(plain) == std::string_view::npos) {
    return std::string(text);
  }
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";  // ends the quotes, a quote of its own, begins them again
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::string replay_line(std::string_view program, std::string_view bundle) {
  return shell_word(program) + " replay " + shell_word(bundle);
}

std::string rerun_line(std::string_view program, std::string_view flags) {
  return shell_word(program) + " run " + std::string(flags);
}

}  // namespace ipctorture
