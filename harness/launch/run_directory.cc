#include "harness/launch/run_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>

#include "harness/launch/active.h"
#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

constexpr unsigned tree_depth_max = 32;
constexpr unsigned create_attempts_max = 100;
constexpr const char* lock_name = "lock";

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using DirectoryStream = std::unique_ptr<DIR, CloseDirectory>;

// Entries of a directory but for . and ..; empty when it cannot be read.
std::vector<std::string> entries(int directory) {
  std::vector<std::string> names;
  const int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return names;
  const DirectoryStream stream(::fdopendir(copy));
  if (!stream) {
    ::close(copy);
    return names;
  }
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  return names;
}

bool remove_below(int parent, const char* name, unsigned depth) {
  if (::unlinkat(parent, name, 0) == 0 || errno == ENOENT) return true;
  if (errno != EISDIR && errno != EPERM) return false;
  if (depth == 0) return errno = ELOOP, false;
  const Descriptor directory(
      ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory.valid()) return errno == ENOENT;
  bool all = true;
  for (const std::string& entry : entries(directory.get())) {
    // The lock goes last: while it is there and locked, nobody else works on this run.
    if (entry != lock_name) all = remove_below(directory.get(), entry.c_str(), depth - 1) && all;
  }
  if (!all) return false;
  if (!remove_below(directory.get(), lock_name, depth - 1)) return false;
  return ::unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

// Opens BASE/ipctorture-UID after proving that it is ours alone. `make` creates it if it is
// missing.
enum class IfMissing { make, fail };
Descriptor open_parent(const std::string& path, IfMissing if_missing) {
  if (if_missing == IfMissing::make && ::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    throw_system_error("mkdir", path);
  }
  Descriptor directory = own_descriptor(
      ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), "open", path);
  struct stat status{};
  if (::fstat(directory.get(), &status) != 0) throw_system_error("fstat", path);
  if (status.st_uid != ::geteuid()) {
    throw std::runtime_error(path + " belongs to another user; set TMPDIR to a directory of yours");
  }
  if ((status.st_mode & 077) != 0) {
    throw std::runtime_error(path + " is open to others; mend it with: chmod 700 " + path);
  }
  return directory;
}

std::string parent_path(std::string_view base) {
  return std::string(base) + "/ipctorture-" + std::to_string(::geteuid());
}

std::string random_name() {
  std::uint32_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random) throw_system_error("getrandom", "");
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "run-%08x", random);
  return text.data();
}

bool lock_whole(int fd) {
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return ::fcntl(fd, F_SETLK, &lock) == 0;
}

// A base is safe when nobody else can rename what we make in it.
bool usable_base(const char* path) {
  if (path == nullptr || path[0] != '/') return false;
  if (parent_path(path).size() + sizeof "/run-12345678" - 1 > run_path_max) return false;
  struct stat status{};
  if (::stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) return false;
  if (::access(path, W_OK | X_OK) != 0) return false;
  const bool others_write = (status.st_mode & 022) != 0;
  if (others_write) return (status.st_mode & S_ISVTX) != 0;
  return status.st_uid == ::geteuid() || status.st_uid == 0;
}

// Only what lies in the dead run's own directory under a name as the engine makes them is
// destroyed: the record may be half written.
bool believable(const Options& options, const std::string& run_path) {
  if (options.name.empty() || options.name.size() > 48) return false;
  for (const char c : options.name) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
  }
  return options.directory.size() <= 64 && options.directory.starts_with(run_path + "/") &&
         options.directory.find("..") == std::string::npos;
}

bool is_active_record(std::string_view name) {
  return name.starts_with("engine-") && name.ends_with(".active");
}

// True when everything that the record names is gone.
bool destroy_active(const std::string& run_path, const ActiveRun& active, CleanReport& report) {
  if (!believable(active.options, run_path)) return true;  // half written: nothing existed yet
  const Registration* registration = find_registration(active.transport);
  if (registration == nullptr) {
    report.problems.push_back(run_path + " holds a transport that this program does not have (" +
                              active.transport + "): clean with the program that has it");
    return false;
  }
  registration->build(active.options, {})->destroy();
  ++report.transports_destroyed;
  return true;
}

bool destroy_all_active(int run, const std::string& run_path, CleanReport& report) {
  bool all = true;
  for (const std::string& entry : entries(run)) {
    if (!is_active_record(entry)) continue;
    for (unsigned channel = 0; channel < channels_max; ++channel) {
      const auto active = read_active(run_path + "/" + entry, channel);
      if (active) all = destroy_active(run_path, *active, report) && all;
    }
  }
  return all;
}

// Held while a run is made (shared) or claimed for cleaning (exclusive), so that no cleaning sees a
// directory that is not locked yet. It is flock(2) on the parent directory: dropped with its
// holder.
class Claim {
 public:
  Claim(int parent, int kind) : parent_(parent) {
    while (::flock(parent, kind) != 0 && errno == EINTR) {
    }
  }
  ~Claim() { ::flock(parent_, LOCK_UN); }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;

 private:
  int parent_;
};

// The lock of a run whose supervisor is dead; none when it lives or the directory is gone.
Descriptor claim_dead_run(int parent, int run, const std::string& path, CleanReport& report) {
  const Claim claim(parent, LOCK_EX);
  Descriptor lock(::openat(run, lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!lock.valid()) {
    if (errno == ENOENT) return {};  // another cleaning was faster
    report.problems.push_back(path +
                              " cannot be locked: " + std::generic_category().message(errno));
  } else if (!lock_whole(lock.get())) {
    ++report.runs_alive;
    lock.reset();
  }
  return lock;
}

// Throws what a transport's constructor throws.
void clean_run(int parent, const std::string& parent_text, const std::string& name,
               CleanReport& report) {
  const std::string path = parent_text + "/" + name;
  const Descriptor run(
      ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!run.valid()) return;  // gone meanwhile, or no directory of ours
  const Descriptor lock = claim_dead_run(parent, run.get(), path, report);
  if (!lock.valid()) return;
  if (!destroy_all_active(run.get(), path, report)) return;
  if (remove_tree(parent, name.c_str())) {
    ++report.runs_removed;
  } else {
    report.problems.push_back(path +
                              " cannot be removed: " + std::generic_category().message(errno));
  }
}

}  // namespace

std::string run_base_directory() {
  for (const char* variable : {"XDG_RUNTIME_DIR", "TMPDIR"}) {
    const char* value = std::getenv(variable);
    if (usable_base(value)) return value;
  }
  return "/tmp";
}

RunDirectory::RunDirectory(std::string_view base) : parent_(parent_path(base)), owner_(::getpid()) {
  const Descriptor parent = open_parent(parent_, IfMissing::make);
  for (unsigned attempt = 0; attempt < create_attempts_max; ++attempt) {
    name_ = random_name();
    path_ = parent_ + "/" + name_;
    if (path_.size() > run_path_max) {
      throw std::runtime_error(path_ + " is too long for a run; set TMPDIR to something shorter");
    }
    if (try_create(parent.get())) return;
  }
  throw std::runtime_error("no run directory could be made in " + parent_);
}

// False when the name is taken: another name, then.
bool RunDirectory::try_create(int parent) {
  const Claim claim(parent, LOCK_SH);
  if (::mkdirat(parent, name_.c_str(), 0700) != 0) {
    if (errno == EEXIST) return false;
    throw_system_error("mkdir", path_);
  }
  const Descriptor directory(
      ::openat(parent, name_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (directory.valid()) {
    lock_ = Descriptor(
        ::openat(directory.get(), lock_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (lock_.valid() && lock_whole(lock_.get())) return true;
  }
  const int error = errno;
  remove_tree(parent, name_.c_str());
  ::unlinkat(parent, name_.c_str(), AT_REMOVEDIR);  // where a descriptor to look inside is lacking
  throw_system_error("open", path_, error);
}

RunDirectory::~RunDirectory() {
  if (owner_ != ::getpid()) return;
  const Descriptor parent(::open(parent_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (parent.valid()) remove_tree(parent.get(), name_.c_str());
}

CleanReport clean_dead_runs(std::string_view base, const RunDirectory* own) noexcept {
  CleanReport report;
  const std::string path = parent_path(base);
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0 && errno == ENOENT) return report;
  try {
    const Descriptor parent = open_parent(path, IfMissing::fail);
    for (const std::string& name : entries(parent.get())) {
      if (!name.starts_with("run-") || (own != nullptr && name == own->name())) continue;
      try {
        clean_run(parent.get(), path, name, report);
      } catch (const std::exception& error) {
        report.problems.push_back(path + "/" + name + ": " + error.what());
      }
    }
  } catch (const std::exception& error) {
    report.problems.emplace_back(error.what());
  }
  return report;
}

bool remove_tree(int parent, const char* name) noexcept {
  return remove_below(parent, name, tree_depth_max);
}

}  // namespace ipctorture
