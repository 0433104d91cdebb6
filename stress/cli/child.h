// Runs the built `ipctorture` as a user would: in a directory and with a TMPDIR of its own, before
// pipes or a pseudo terminal, in whatever surroundings a test makes before the exec.
//
// A child leads a session of its own, and the test program adopts what the child leaves behind
// (PR_SET_CHILD_SUBREAPER): that everything is gone can be awaited and need not be guessed. Every
// wait has the patience of patience_s, which only catches hangs; no test that works depends on it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/clock.h"
#include "harness/base/descriptor.h"

namespace ipctorture {

inline constexpr int patience_s = 90;

// A new directory under /tmp, short enough to be a TMPDIR; removed with all that is in it, and
// with what dead runs below it left elsewhere.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::string& path() const { return path_; }
  std::string path(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

enum class Before { pipes, terminal };

struct Surroundings {
  Before before = Before::pipes;           // standard input is /dev/null before pipes
  unsigned short columns = 80;             // of the terminal
  std::string directory;                   // where it starts; empty: the scratch directory
  std::string program{};                   // empty: the built one
  std::vector<std::string> environment{};  // beside PATH, HOME, TMPDIR, TERM: "NO_COLOR=1"
  // Called in the child right before the exec. Answers the call that failed (errno says why), or
  // null.
  std::function<const char*()> prepare{};
};

struct Ended {
  int exit_code = 0;     // minus the signal when one killed it
  std::string out, err;  // before a terminal both are in `out`
  std::string problem;   // why it had to be ended, or what it left behind; empty: nothing of both
  std::string all() const { return out + err; }
};

// One run of a program. Not thread-safe; several may live at once.
class Child {
 public:
  // Throws std::system_error when the surroundings cannot be made (`prepare`) or nothing starts.
  Child(const Scratch& scratch, const std::vector<std::string>& arguments,
        const Surroundings& surroundings = {});
  ~Child();  // kills what is left of the session
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  std::string said() const { return out_ + err_; }  // until now, of both streams
  void signal(int signal) const;
  void type(std::string_view keys) const;  // at the terminal
  bool echoes() const;                     // does the terminal show what is typed?
  bool waits_for_keys() const;  // may a read of the terminal wait, see VMIN in termios(3)?
  // Reads until `enough` likes what was said so far; false when the output ended or patience did.
  using Enough = std::function<bool(const std::string& said)>;
  bool says(const Enough& enough);
  bool says(std::string_view text);
  // Looks again and again, reading meanwhile, until `condition` holds.
  bool until(const std::function<bool()>& condition);
  // Stops it, and returns once it stands. SIGCONT continues.
  bool freeze() const;
  Ended end();  // waits until it and all of its session are gone

 private:
  bool read_some(int timeout_ms);
  bool reading() const { return out_from_.valid() || err_from_.valid(); }

  pid_t pid_ = -1;
  Descriptor out_from_, err_from_;  // before a terminal only the first
  Descriptor terminal_;             // the same as out_from_, held longer
  std::string out_, err_;
};

// Starts and ends one.
Ended run_program(const Scratch& scratch, const std::vector<std::string>& arguments,
                  const Surroundings& surroundings = {});

std::vector<pid_t> children_of(pid_t parent);  // living ones
std::vector<std::string> lines_of(const std::string& text);
std::string text_of(const std::string& path);  // of a file; empty when it cannot be read
// What a terminal would show of it: without escape sequences and carriage returns.
std::string without_escapes(const std::string& text);

}  // namespace ipctorture
