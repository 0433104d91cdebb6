#include "harness/transport/rendezvous.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "harness/transport/frame.h"

namespace ipctorture {
namespace {

std::string entry_name(const std::string& name, unsigned index) {
  return name + "." + std::to_string(index);
}
std::string staged_name(const std::string& name, unsigned index) {
  return entry_name(name, index) + ".new";
}

}  // namespace

Rendezvous::Rendezvous(const Options& options)
    : directory_path_(options.directory),
      name_(options.name),
      directory_(own_descriptor(
          ::open(options.directory.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), "open",
          options.directory)) {}

std::string Rendezvous::path(unsigned index) const {
  return "/proc/self/fd/" + std::to_string(directory_.get()) + "/" + entry_name(name_, index);
}

std::string Rendezvous::staged_path(unsigned index) const {
  return "/proc/self/fd/" + std::to_string(directory_.get()) + "/" + staged_name(name_, index);
}

void Rendezvous::clear_staged(unsigned index) const {
  const std::string staged = staged_name(name_, index);
  if (::unlinkat(directory_.get(), staged.c_str(), 0) != 0 && errno != ENOENT) {
    throw_system_error("unlink", staged);
  }
}

void Rendezvous::publish(unsigned index) const {
  const std::string entry = entry_name(name_, index);
  const std::string staged = staged_name(name_, index);
  if (::renameat(directory_.get(), staged.c_str(), directory_.get(), entry.c_str()) != 0) {
    throw_system_error("rename", staged);
  }
}

bool Rendezvous::present(unsigned index) const {
  return ::faccessat(directory_.get(), entry_name(name_, index).c_str(), F_OK, 0) == 0;
}

void Rendezvous::await(unsigned index, Deadline deadline) const {
  if (present(index)) return;
  const Descriptor watch =
      own_descriptor(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC), "inotify_init1", directory_path_);
  if (::inotify_add_watch(watch.get(), directory_path_.c_str(), IN_MOVED_TO) < 0) {
    throw_system_error("inotify_add_watch", directory_path_);
  }
  while (!present(index)) {
    if (!wait_ready(watch.get(), POLLIN, deadline)) {
      throw_system_error("wait for", entry_name(name_, index), ETIMEDOUT);
    }
    // Which entry came does not matter, it is looked for; the events only have to go.
    alignas(inotify_event) std::array<char, 4096> events;
    while (::read(watch.get(), events.data(), events.size()) > 0) {
    }
  }
}

void Rendezvous::withdraw(const Options& options, unsigned index) noexcept {
  ::unlink((options.directory + "/" + entry_name(options.name, index)).c_str());
}

void Rendezvous::remove(const Options& options) noexcept {
  for (unsigned index = 0; index < options.consumers; ++index) {
    const std::string path = options.directory + "/";
    ::unlink((path + entry_name(options.name, index)).c_str());
    ::unlink((path + staged_name(options.name, index)).c_str());
  }
}

}  // namespace ipctorture
