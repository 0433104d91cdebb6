// What is read here is for people to compare; no check depends on it.
#include "harness/report/environment.h"

#include <elf.h>
#include <fmt/format.h>
#include <link.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <set>

namespace ipctorture {
namespace {

std::string compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "gcc " __VERSION__;
#endif
}

std::string build_flags() {
  std::string flags;
#if defined(__OPTIMIZE__)
  flags += "optimised";
#else
  flags += "not optimised";
#endif
#if defined(NDEBUG)
  flags += ", NDEBUG";
#endif
#if defined(__SANITIZE_ADDRESS__)
  flags += ", address sanitizer";
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
  flags += ", address sanitizer";
#endif
#if __has_feature(thread_sanitizer)
  flags += ", thread sanitizer";
#endif
#endif
  return flags;
}

// Looks for the note NT_GNU_BUILD_ID in the first object, which is the executable itself.
int find_build_id(dl_phdr_info* object, std::size_t, void* to) {
  for (unsigned i = 0; i < object->dlpi_phnum; ++i) {
    const auto& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    const char* at = reinterpret_cast<const char*>(object->dlpi_addr + segment.p_vaddr);
    const char* const end = at + segment.p_memsz;
    while (at + sizeof(ElfW(Nhdr)) <= end) {
      const auto* note = reinterpret_cast<const ElfW(Nhdr)*>(at);
      const char* name = at + sizeof *note;
      const auto* bytes =
          reinterpret_cast<const unsigned char*>(name + ((note->n_namesz + 3u) & ~3u));
      if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == sizeof "GNU" &&
          std::memcmp(name, "GNU", sizeof "GNU") == 0) {
        for (unsigned k = 0; k < note->n_descsz; ++k) {
          *static_cast<std::string*>(to) += fmt::format("{:02x}", bytes[k]);
        }
        return 1;
      }
      at = reinterpret_cast<const char*>(bytes) + ((note->n_descsz + 3u) & ~3u);
    }
  }
  return 1;
}

void put_file(Environment& to, const std::string& key, const char* path) {
  std::ifstream file(path);
  std::string line;
  if (std::getline(file, line)) to[key] = line.substr(0, 200);
}

void put_limit(Environment& to, const std::string& key, int resource) {
  rlimit limit{};
  if (::getrlimit(static_cast<decltype(RLIMIT_NOFILE)>(resource), &limit) != 0) return;
  to[key] = limit.rlim_cur == RLIM_INFINITY ? "unlimited" : std::to_string(limit.rlim_cur);
}

}  // namespace

Environment this_environment() {
  Environment found;
  found["compiler"] = compiler();
  found["build"] = build_flags();
#if defined(IPCTORTURE_FLAGS)
  found["flags"] = IPCTORTURE_FLAGS;
#endif
#if defined(IPCTORTURE_COMMIT)
  if (*IPCTORTURE_COMMIT != 0) found["commit"] = IPCTORTURE_COMMIT;
#endif
  std::string build_id;
  ::dl_iterate_phdr(find_build_id, &build_id);
  if (!build_id.empty()) found["build id"] = build_id;
  utsname system{};
  if (::uname(&system) == 0) {
    found["kernel"] = fmt::format("{} {}", system.sysname, system.release);
    found["machine"] = system.machine;
  }
  found["cores"] = std::to_string(::sysconf(_SC_NPROCESSORS_ONLN));
  found["page size"] = std::to_string(::sysconf(_SC_PAGESIZE));
  found["user"] = ::geteuid() == 0 ? "root" : "ordinary";
  struct statvfs shm{};
  if (::statvfs("/dev/shm", &shm) == 0) {
    found["shared memory"] =
        fmt::format("{} MiB", std::uint64_t{shm.f_blocks} * shm.f_frsize / (1 << 20));
  }
  put_file(found, "clock source",
           "/sys/devices/system/clocksource/clocksource0/current_clocksource");
  put_file(found, "mqueue msg_max", "/proc/sys/fs/mqueue/msg_max");
  put_file(found, "mqueue msgsize_max", "/proc/sys/fs/mqueue/msgsize_max");
  put_file(found, "msgmnb", "/proc/sys/kernel/msgmnb");
  put_file(found, "pipe-max-size", "/proc/sys/fs/pipe-max-size");
  put_file(found, "max_dgram_qlen", "/proc/sys/net/unix/max_dgram_qlen");
  put_limit(found, "limit descriptors", RLIMIT_NOFILE);
  put_limit(found, "limit processes", RLIMIT_NPROC);
  put_limit(found, "limit mqueue bytes", RLIMIT_MSGQUEUE);
  put_limit(found, "limit signals", RLIMIT_SIGPENDING);
  return found;
}

std::vector<std::string> environment_differences(const Environment& then, const Environment& here) {
  std::set<std::string> keys;
  for (const auto* side : {&then, &here}) {
    for (const auto& [key, value] : *side) keys.insert(key);
  }
  const auto value_in = [](const Environment& side, const std::string& key) {
    const auto found = side.find(key);
    return found == side.end() ? std::string("unknown") : found->second;
  };
  std::vector<std::string> lines;
  for (const std::string& key : keys) {
    const std::string before = value_in(then, key), now = value_in(here, key);
    if (before != now) lines.push_back(fmt::format("{}: {} then, {} here", key, before, now));
  }
  return lines;
}

}  // namespace ipctorture
