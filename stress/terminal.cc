#include "stress/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "stress/nearest.h"

namespace ipctorture {
namespace {

constexpr std::size_t default_width = 80;
constexpr std::size_t widest = 120;

std::size_t width_of(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return default_width;
  return std::min<std::size_t>(size.ws_col, widest);
}

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != 0;
}

bool is_dumb() {
  const char* term = std::getenv("TERM");
  return term == nullptr || std::string_view(term) == "dumb";
}

Colour colour_of(const Settings& settings) {
  const std::string wish = settings.text_or("color", "auto");
  if (wish == "always") return Colour::ansi;
  if (wish == "never") return Colour::none;
  if (wish != "auto") {
    throw UsageError("--color: '" + wish + "' is neither auto, always nor never" +
                     did_you_mean(wish, {"auto", "always", "never"}));
  }
  if (is_set("NO_COLOR") || is_dumb()) return Colour::none;
  return ::isatty(STDOUT_FILENO) == 1 ? Colour::ansi : Colour::none;
}

void print(std::FILE* stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

}  // namespace

std::string program_as_started() {
  std::string name;
  std::getline(std::ifstream("/proc/self/cmdline"), name, '\0');
  return name.empty() ? "ipctorture" : name;
}

Terminal this_terminal(const Settings& settings) {
  const bool bar = ::isatty(STDERR_FILENO) == 1 && !is_dumb();
  Terminal terminal{
      .results = {.width = default_width,
                  .colour = colour_of(settings),
                  .program = program_as_started()},
      .progress = bar ? ProgressForm::bar : ProgressForm::lines,
      .progress_width = width_of(STDERR_FILENO),
  };
  if (::isatty(STDOUT_FILENO) == 1) terminal.results.width = width_of(STDOUT_FILENO);
  if (settings.on("quiet")) terminal.progress = ProgressForm::none;
  return terminal;
}

void print_result(std::string_view text) { print(stdout, text); }

void print_note(std::string_view text) { print(stderr, text); }

}  // namespace ipctorture
