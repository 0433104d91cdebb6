// The private directory of one run, and the removal of what dead runs left.
//
// Every run lives in BASE/ipctorture-UID/run-ID/ (BASE: $XDG_RUNTIME_DIR, else $TMPDIR, else /tmp).
// A write lock (fcntl F_SETLK) on the file `lock` in it says that its supervisor is alive: the
// kernel drops it when that process ends, however it ends, and forked children do not hold it.
// Such a lock is also dropped when *any* descriptor of the file is closed by the process that holds
// it: nobody but this file opens it, and a process never cleans beside a run of its own except
// through clean_dead_runs(own).
//
// Files `engine-N.active` (active.h) name what exists at this moment, so that a later run can
// remove queues, segments and sockets after a SIGKILL. Everything here trusts the directory only
// after it proved to belong to this user, with mode 0700 and not through a symbolic link.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/descriptor.h"

namespace ipctorture {

// A run's path is at most so long, so that a scenario's directory below it stays within the 64
// characters of Options::directory (and socket paths within the 108 of sun_path).
inline constexpr std::size_t run_path_max = 46;

// Where runs of this user go: the first of $XDG_RUNTIME_DIR, $TMPDIR, /tmp that is an absolute
// directory, writable, safe (ours alone, or sticky) and short enough. Creates nothing.
std::string run_base_directory();

// Owner of one run's directory; not copyable. The creating process removes it in the destructor; a
// forked copy does nothing.
class RunDirectory {
 public:
  // Makes and locks a fresh one under `base`. Throws std::system_error, or std::runtime_error when
  // BASE/ipctorture-UID is not private to this user.
  explicit RunDirectory(std::string_view base = run_base_directory());
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  const std::string& path() const { return path_; }      // absolute, no trailing slash
  const std::string& name() const { return name_; }      // "run-1f0c2b7a"
  const std::string& parent() const { return parent_; }  // BASE/ipctorture-UID

 private:
  bool try_create(int parent);

  std::string parent_;
  std::string name_;
  std::string path_;
  Descriptor lock_;
  pid_t owner_ = -1;
};

// What a cleaning found and did.
struct CleanReport {
  unsigned runs_removed = 0;
  unsigned transports_destroyed = 0;  // scenarios whose names were removed by Options
  unsigned runs_alive = 0;            // left alone: their lock is held
  std::vector<std::string> problems;  // one sentence each; such a run is left as it is
};

// Removes every run under BASE/ipctorture-UID whose lock is free: destroys what its active records
// name, then the tree. `own` is left alone (null: this process has no run there). Safe beside other
// runs and other cleanings; a missing directory is no error. Never throws.
CleanReport clean_dead_runs(std::string_view base, const RunDirectory* own) noexcept;

// Removes `name` below the directory `parent` and everything in it, never following a symbolic
// link, at most 32 levels deep. Returns false, with errno, when something stayed.
bool remove_tree(int parent, const char* name) noexcept;

}  // namespace ipctorture
