// How processes that know nothing of each other but Options meet: each consumer puts an entry (a
// socket, or a file that names a port) into the run's private directory, and producers wait for it.
//
// An entry is made under a staged name and renamed when it is ready to be used (a socket: when it
// listens), so whoever sees it can use it, and attaches may run in any order. Waiting is by
// inotify(7): the watch is set before the entry is looked for again, so it cannot be missed.
#pragma once

#include <string>

#include "harness/base/clock.h"
#include "harness/base/descriptor.h"
#include "harness/transport/transport.h"

namespace ipctorture {

// Not thread-safe; every endpoint makes its own.
class Rendezvous {
 public:
  // Opens Options::directory; throws std::system_error.
  explicit Rendezvous(const Options& options);

  // Paths of the entry of consumer `index` and of the one not yet published. They lead through a
  // descriptor of the directory ("/proc/self/fd/7/..."): always short enough for sockaddr_un, and
  // valid in this process while this object lives.
  std::string path(unsigned index) const;
  std::string staged_path(unsigned index) const;

  // Removes what an earlier consumer of this index, now dead, left half done.
  void clear_staged(unsigned index) const;
  // The staged entry takes its name, replacing that of a dead predecessor. Throws.
  void publish(unsigned index) const;
  // Returns when the entry is there. Throws std::system_error, ETIMEDOUT at the deadline.
  void await(unsigned index, Deadline deadline) const;

  // Removes the entry of consumer `index`, once nobody can still be waiting for it: a producer that
  // comes later would wait in vain.
  static void withdraw(const Options& options, unsigned index) noexcept;
  // Removes every entry of these Options; idempotent.
  static void remove(const Options& options) noexcept;

 private:
  bool present(unsigned index) const;

  std::string directory_path_;
  std::string name_;
  Descriptor directory_;
};

}  // namespace ipctorture
