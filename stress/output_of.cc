#include "stress/output_of.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/base/descriptor.h"

namespace ipctorture {
namespace {

constexpr std::size_t output_max = 4u << 20;
constexpr std::size_t line_max = 1u << 20;
constexpr int look_every_ms = 100;

// Between fork and exec: nothing that is not async-signal-safe.
[[noreturn]] void become(char* const* arguments, char* const* variables, int output, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  ::setpgid(0, 0);  // a ^C comes by way of `stop`, once: of two, ours end at once and clear nothing
  if (::getppid() != parent) ::_exit(127);
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(nowhere, STDERR_FILENO);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execvpe(arguments[0], arguments, variables);
  ::_exit(127);
}

// Hands on what it says, piece by piece; false from `take`: no more is wanted.
void read_all(const std::vector<std::string>& command,
              const std::function<bool(std::string_view)>& take, const std::atomic<bool>* stop,
              Variables which) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return;
  Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::vector<char*> variables;
  for (char** one = environ; *one != nullptr; ++one) {
    const bool ours = std::string_view(*one).starts_with("IPCTORTURE_");
    if (which == Variables::inherited || !ours) variables.push_back(*one);
  }
  variables.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return;
  if (child == 0) become(arguments.data(), variables.data(), writing.get(), parent);
  writing.reset();
  std::string piece(64u << 10, 0);
  for (bool told = false;;) {
    pollfd more{.fd = reading.get(), .events = POLLIN, .revents = 0};
    ::poll(&more, 1, look_every_ms);
    if (stop != nullptr && stop->load() && !told) told = ::kill(child, SIGINT) == 0;
    if (more.revents == 0) continue;
    const ssize_t got = ::read(reading.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || !take({piece.data(), static_cast<std::size_t>(got)})) break;
  }
  reading.reset();  // who has more to say would wait for its reader
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

std::string output_of(const std::vector<std::string>& command, const std::atomic<bool>* stop) {
  std::string text;
  const auto take = [&](std::string_view piece) {
    text += piece.substr(0, output_max - text.size());
    return text.size() < output_max;
  };
  read_all(command, take, stop, Variables::inherited);
  return text;
}

void for_each_line(const std::vector<std::string>& command,
                   const std::function<void(std::string_view)>& hear, const std::atomic<bool>* stop,
                   Variables variables) {
  std::string line;
  const auto take = [&](std::string_view piece) {
    for (std::size_t end; (end = piece.find('\n')) != std::string_view::npos;) {
      line += piece.substr(0, end);
      if (line.size() <= line_max) hear(line);
      line.clear();
      piece.remove_prefix(end + 1);
    }
    if (line.size() <= line_max) line += piece;
    return true;
  };
  read_all(command, take, stop, variables);
}

}  // namespace ipctorture
