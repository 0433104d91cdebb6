#include "stress/export_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "stress/settings.h"

namespace ipctorture {
namespace {

[[noreturn]] void refuse(const std::string& file) {
  throw UsageError(file + ": cannot be written: " + std::generic_category().message(errno));
}

// A file that is there stays as it is; another is made, and goes again. What is no regular file is
// left for later: to open a pipe may wait for its reader.
void try_to_write(const std::string& file) {
  struct stat status{};
  const bool exists = ::stat(file.c_str(), &status) == 0;
  if (exists && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) return;
  const int make = exists ? 0 : O_CREAT | O_EXCL;
  const Descriptor out(::open(file.c_str(), O_WRONLY | make | O_CLOEXEC, 0600));
  if (!out.valid()) refuse(file);
  if (!exists) ::unlink(file.c_str());
}

}  // namespace

ExportFile::ExportFile(std::string file) : path_(std::move(file)) {
  if (path_ != "-") {
    try_to_write(path_);
    return;
  }
  path_ = "/dev/stdin";  // what the reader of our output calls it
  output_ = Descriptor(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
  if (!output_.valid() || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) refuse("standard output");
}

void ExportFile::write(std::string_view text) {
  const bool standard = output_.valid();
  if (!standard) {
    output_ = Descriptor(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!output_.valid()) refuse(path_);
  }
  while (!text.empty()) {
    const ssize_t count = ::write(output_.get(), text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EPIPE) break;
    if (count < 0) refuse(standard ? "standard output" : path_);
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  output_ = Descriptor();
}

}  // namespace ipctorture
