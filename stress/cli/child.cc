#include "stress/cli/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "harness/launch/run_directory.h"

namespace ipctorture {
namespace {

namespace fs = std::filesystem;

constexpr int look_every_ms = 20;

// Wait statuses of children that were reaped while another was awaited.
std::map<pid_t, int>& reaped() {
  static std::map<pid_t, int> statuses;
  return statuses;
}

sigset_t only_sigchld() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGCHLD);
  return set;
}

void adopt_orphans() {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const sigset_t set = only_sigchld();
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
}

struct ProcessEntry {
  pid_t pid = 0, parent = 0, session = 0;
  char state = '?';
  std::string name;
};

std::optional<ProcessEntry> process_entry(const std::string& number) {
  std::ifstream file("/proc/" + number + "/stat");
  std::string text;
  std::getline(file, text);
  const auto open = text.find('('), close = text.rfind(')');
  if (open == std::string::npos || close == std::string::npos) return std::nullopt;
  ProcessEntry entry{.name = text.substr(open + 1, close - open - 1)};
  pid_t group = 0;
  std::istringstream rest(text.substr(close + 1));
  if (!(rest >> entry.state >> entry.parent >> group >> entry.session)) return std::nullopt;
  std::from_chars(number.data(), number.data() + number.size(), entry.pid);
  return entry;
}

// All processes that live: neither dead nor waiting to be reaped.
std::vector<ProcessEntry> living_processes() {
  std::vector<ProcessEntry> all;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (auto found = process_entry(name); found && found->state != 'Z' && found->state != 'X') {
      all.push_back(*found);
    }
  }
  return all;
}

std::vector<ProcessEntry> living_of_session(pid_t session) {
  std::vector<ProcessEntry> members = living_processes();
  std::erase_if(members, [&](const ProcessEntry& entry) { return entry.session != session; });
  return members;
}

void reap_all() {
  int status = 0;
  for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) reaped()[pid] = status;
}

// True once `leader` is reaped and nobody of its session lives.
bool await_session_end(pid_t leader, Deadline deadline) {
  const sigset_t set = only_sigchld();
  for (;;) {
    reap_all();
    if (reaped().contains(leader) && living_of_session(leader).empty()) return true;
    if (deadline.passed()) return false;
    // An orphan's end is told like a child's; the second is for a session member that is neither.
    const timespec pause = to_timespec(std::min<Instant>(deadline.remaining(), 1'000'000'000));
    ::sigtimedwait(&set, nullptr, &pause);
  }
}

std::string description(const std::vector<ProcessEntry>& processes) {
  std::string text;
  for (const ProcessEntry& one : processes) {
    text += " " + std::to_string(one.pid) + " (" + one.name + ", " + one.state + ")";
  }
  return text;
}

// What the child needs, gathered before the fork.
struct Start {
  std::vector<std::string> arguments, environment;
  std::string directory;
  Descriptor program, input, output, errors, terminal;
  std::string terminal_name;
  std::function<const char*()> prepare;
};

struct StartFailure {
  int error = 0;
  std::array<char, 60> call{};
};

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> all;
  all.reserve(words.size() + 1);
  for (std::string& word : words) all.push_back(word.data());
  all.push_back(nullptr);
  return all;
}

// Answers the call that failed.
const char* take_streams(const Start& start) {
  if (start.terminal_name.empty()) {
    const int from[] = {start.input.get(), start.output.get(), start.errors.get()};
    for (int to = 0; to < 3; ++to) {
      if (::dup2(from[to], to) != to) return "dup2";
    }
    return nullptr;
  }
  const int slave = ::open(start.terminal_name.c_str(), O_RDWR);  // becomes the session's own
  if (slave < 0) return "open of the terminal";
  for (int to = 0; to < 3; ++to) {
    if (::dup2(slave, to) != to) return "dup2";
  }
  if (slave > 2) ::close(slave);
  return nullptr;
}

const char* become(Start& start, pid_t parent) {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (::setsid() < 0) return "setsid";
  if (const char* failed = take_streams(start)) return failed;
  if (::chdir(start.directory.c_str()) != 0) return "chdir";
  std::vector<char*> arguments = pointers(start.arguments);
  std::vector<char*> environment = pointers(start.environment);
  if (start.prepare) {
    if (const char* failed = start.prepare()) return failed;
  }
  // After `prepare`: a change of user clears it.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(0);
  // By descriptor: another user may not be able to reach its path.
  ::fexecve(start.program.get(), arguments.data(), environment.data());
  return "exec";
}

std::pair<Descriptor, Descriptor> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw_system_error("pipe2", "");
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

// The master's side; `start` gets the other one's name.
Descriptor make_terminal(unsigned short columns, Start& start) {
  Descriptor master = own_descriptor(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), "openpt", "");
  std::array<char, 64> name{};
  if (::grantpt(master.get()) != 0 || ::unlockpt(master.get()) != 0 ||
      ::ptsname_r(master.get(), name.data(), name.size()) != 0) {
    throw_system_error("ptsname", "");
  }
  const winsize size{.ws_row = 24, .ws_col = columns};
  if (::ioctl(master.get(), TIOCSWINSZ, &size) != 0) throw_system_error("TIOCSWINSZ", "");
  start.terminal_name = name.data();
  // Held until the child has its own: a master without a slave answers with an error.
  start.terminal =
      own_descriptor(::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC), "open", name.data());
  return master;
}

std::vector<std::string> environment_of(const Scratch& scratch, const Surroundings& surroundings) {
  std::vector<std::string> all{"HOME=" + scratch.path(), "TMPDIR=" + scratch.path(), "TERM=xterm"};
  for (const char* kept : {"PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) {
    if (const char* value = ::getenv(kept)) all.push_back(std::string(kept) + "=" + value);
  }
  // The first of a name counts for getenv(3).
  all.emplace_back("IPCTORTURE_CONTROL=0");
  all.emplace_back("IPCTORTURE_HAND_OVER=0s");  // a test asks for it where it wants it
  all.insert(all.begin(), surroundings.environment.begin(), surroundings.environment.end());
  return all;
}

}  // namespace

Scratch::Scratch() : path_("/tmp/ict-XXXXXX") {
  if (::mkdtemp(path_.data()) == nullptr) throw_system_error("mkdtemp", path_);
}

// With the directory goes the record of what a killed run left in the whole system: that first.
Scratch::~Scratch() {
  clean_dead_runs(path_, nullptr);
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

Child::Child(const Scratch& scratch, const std::vector<std::string>& arguments,
             const Surroundings& surroundings) {
  adopt_orphans();
  const std::string program =
      surroundings.program.empty() ? IPCTORTURE_PROGRAM : surroundings.program;
  Start start{
      .arguments = {program},
      .environment = environment_of(scratch, surroundings),
      .directory = surroundings.directory.empty() ? scratch.path() : surroundings.directory,
      .program = own_descriptor(::open(program.c_str(), O_RDONLY | O_CLOEXEC), "open", program),
      .prepare = surroundings.prepare};
  start.arguments.insert(start.arguments.end(), arguments.begin(), arguments.end());
  if (surroundings.before == Before::terminal) {
    out_from_ = make_terminal(surroundings.columns, start);
    terminal_ = own_descriptor(::fcntl(out_from_.get(), F_DUPFD_CLOEXEC, 0), "fcntl", "terminal");
  } else {
    start.input = own_descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC), "open", "/dev/null");
    std::tie(out_from_, start.output) = make_pipe();
    std::tie(err_from_, start.errors) = make_pipe();
  }
  auto [failure_from, failure_to] = make_pipe();
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw_system_error("fork", "");
  if (pid_ == 0) {
    const char* call = become(start, parent);
    StartFailure failure{.error = errno};
    std::strncpy(failure.call.data(), call, failure.call.size() - 1);
    [[maybe_unused]] const auto told = ::write(failure_to.get(), &failure, sizeof failure);
    ::_exit(127);
  }
  failure_to.reset();
  StartFailure failure;
  if (::read(failure_from.get(), &failure, sizeof failure) == sizeof failure) {
    await_session_end(pid_, Deadline::in(std::chrono::seconds(patience_s)));
    pid_ = -1;
    throw_system_error(failure.call.data(), "", failure.error);
  }
}

Child::~Child() {
  if (pid_ < 0) return;
  const Deadline deadline = Deadline::in(std::chrono::seconds(patience_s));
  do {
    for (const ProcessEntry& one : living_of_session(pid_)) ::kill(one.pid, SIGKILL);
  } while (!await_session_end(pid_, Deadline::in(std::chrono::seconds(1))) && !deadline.passed());
}

void Child::signal(int signal) const { ::kill(pid_, signal); }

void Child::type(std::string_view keys) const {
  [[maybe_unused]] const auto typed = ::write(out_from_.get(), keys.data(), keys.size());
}

bool Child::echoes() const {
  termios modes{};  // both sides have the same
  return ::tcgetattr(terminal_.get(), &modes) == 0 && (modes.c_lflag & ECHO) != 0;
}

bool Child::waits_for_keys() const {
  termios modes{};
  return ::tcgetattr(terminal_.get(), &modes) != 0 || modes.c_cc[VMIN] != 0;
}

// False when patience ended, or everything is read.
bool Child::read_some(int timeout_ms) {
  std::array<pollfd, 2> waits{pollfd{out_from_.get(), POLLIN, 0},
                              pollfd{err_from_.get(), POLLIN, 0}};
  if (::poll(waits.data(), waits.size(), timeout_ms) <= 0) return false;
  std::array<char, 4096> chunk;
  for (const bool first : {true, false}) {
    if (waits[first ? 0 : 1].revents == 0) continue;
    Descriptor& from = first ? out_from_ : err_from_;
    const ssize_t got = ::read(from.get(), chunk.data(), chunk.size());
    if (got > 0) {
      (first ? out_ : err_).append(chunk.data(), static_cast<std::size_t>(got));
    } else if (got == 0 || errno != EINTR) {
      from.reset();  // a terminal answers EIO when everyone has left it
    }
  }
  return reading();
}

bool Child::says(const Enough& enough) {
  const Deadline deadline = Deadline::in(std::chrono::seconds(patience_s));
  while (!enough(out_ + err_)) {
    if (!read_some(deadline.poll_ms())) return enough(out_ + err_);
  }
  return true;
}

bool Child::says(std::string_view text) {
  return says([&](const std::string& said) { return said.find(text) != std::string::npos; });
}

bool Child::until(const std::function<bool()>& condition) {
  const Deadline deadline = Deadline::in(std::chrono::seconds(patience_s));
  while (!condition()) {
    if (deadline.passed()) return false;
    read_some(look_every_ms);
  }
  return true;
}

bool Child::freeze() const {
  ::kill(pid_, SIGSTOP);
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WEXITED | WNOWAIT) == 0 &&
         info.si_code == CLD_STOPPED;
}

Ended Child::end() {
  const Deadline deadline = Deadline::in(std::chrono::seconds(patience_s));
  while (reading() && !deadline.passed()) read_some(deadline.poll_ms());
  Ended ended;
  if (!await_session_end(pid_, deadline)) {
    const bool hangs = !reaped().contains(pid_);
    ended.problem = (hangs ? "it hangs:" : "it left:") + description(living_of_session(pid_));
    for (const ProcessEntry& one : living_of_session(pid_)) ::kill(one.pid, SIGKILL);
    await_session_end(pid_, Deadline::in(std::chrono::seconds(patience_s)));
    while (reading() && read_some(look_every_ms)) {
    }
  }
  const int status = reaped()[pid_];
  ended.exit_code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  ended.out = std::move(out_);
  ended.err = std::move(err_);
  pid_ = -1;
  return ended;
}

Ended run_program(const Scratch& scratch, const std::vector<std::string>& arguments,
                  const Surroundings& surroundings) {
  return Child(scratch, arguments, surroundings).end();
}

std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> children;
  for (const ProcessEntry& entry : living_processes()) {
    if (entry.parent == parent) children.push_back(entry.pid);
  }
  return children;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string without_escapes(const std::string& text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r') continue;
    if (text[i] != '\x1b') {
      plain += text[i];
      continue;
    }
    // ESC [ parameters letter
    i = text.find_first_not_of("0123456789;", std::min(i + 2, text.size()));
    if (i == std::string::npos) break;
  }
  return plain;
}

}  // namespace ipctorture
