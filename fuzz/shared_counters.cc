#include "fuzz/shared_counters.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include "harness/base/descriptor.h"

// libFuzzer's; where it is not linked, inputs are replayed (replay_inputs.cc) and nobody counts.
extern "C" [[gnu::weak]] int LLVMFuzzerRunDriver(int* argc, char*** argv,
                                                 int (*run)(const std::uint8_t*, std::size_t));

namespace ipctorture {
namespace {

constexpr std::size_t sections_max = 1024, names_bytes_max = 1u << 16;

// A file of which little is wanted, read without trust.
class ObjectFile {
 public:
  explicit ObjectFile(const std::string& path)
      : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), path_(path) {
    if (!fd_.valid()) throw_system_error("open", path);
    read(0, &header_, sizeof header_);
    const bool fits = std::memcmp(header_.e_ident, ELFMAG, SELFMAG) == 0 &&
                      header_.e_ident[EI_CLASS] == ELFCLASS64 &&
                      header_.e_shentsize == sizeof(ElfW(Shdr)) &&
                      header_.e_shnum <= sections_max && header_.e_shstrndx < header_.e_shnum;
    if (!fits) throw std::runtime_error(path + ": no section headers; was it stripped of them?");
    sections_.resize(header_.e_shnum);
    read(header_.e_shoff, sections_.data(), sections_.size() * sizeof sections_[0]);
    const ElfW(Shdr)& names = sections_[header_.e_shstrndx];
    names_.resize(std::min<std::size_t>(names.sh_size, names_bytes_max));
    read(names.sh_offset, names_.data(), names_.size());
  }

  // Where the section will be, relative to where the object is loaded; null: there is none.
  const ElfW(Shdr) * find(std::string_view name) const {
    for (const ElfW(Shdr) & section : sections_) {
      if (section.sh_name >= names_.size() || section.sh_size == 0) continue;
      const char* own = names_.data() + section.sh_name;
      if (name == std::string_view(own, ::strnlen(own, names_.size() - section.sh_name))) {
        return &section;
      }
    }
    return nullptr;
  }

 private:
  void read(std::size_t at, void* to, std::size_t bytes) const {
    const ssize_t got = ::pread(fd_.get(), to, bytes, static_cast<off_t>(at));
    if (got != static_cast<ssize_t>(bytes)) throw std::runtime_error(path_ + ": cut short");
  }

  Descriptor fd_;
  std::string path_;
  ElfW(Ehdr) header_ {};
  std::vector<ElfW(Shdr)> sections_;
  std::string names_;
};

struct Object {
  std::string path;
  std::uintptr_t base;
};

std::span<std::uint8_t> find(const ObjectFile& file, const Object& object, std::string_view name) {
  const ElfW(Shdr)* section = file.find(name);
  if (section == nullptr) return {};
  auto* const at = reinterpret_cast<std::uint8_t*>(object.base + section->sh_addr);
  const std::size_t bytes = section->sh_size;
  const auto page_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  if ((object.base + section->sh_addr) % page_bytes != 0 || bytes % page_bytes != 0) {
    throw std::runtime_error(object.path + ": " + std::string(name) +
                             " has no pages of its own: link it with fuzz/counters.ld");
  }
  return {at, bytes};
}

void share_bytes(std::span<std::uint8_t> bytes) {
  if (bytes.empty()) return;
  const std::vector<std::uint8_t> kept(bytes.begin(), bytes.end());
  void* mapped = ::mmap(bytes.data(), bytes.size(), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (mapped == MAP_FAILED) throw_system_error("mmap", "coverage counters");
  std::copy(kept.begin(), kept.end(), bytes.begin());
}

std::size_t counted(const std::vector<Counters>& all) {
  std::ptrdiff_t count = 0;
  for (const Counters& counters : all) {
    const auto& coverage = counters.coverage;
    count += std::count_if(coverage.begin(), coverage.end(), [](std::uint8_t c) { return c != 0; });
  }
  return static_cast<std::size_t>(count);
}

// As libFuzzer does it before each input.
void clear(const std::vector<Counters>& all) {
  for (const Counters& counters : all) {
    std::fill(counters.coverage.begin(), counters.coverage.end(), std::uint8_t{0});
    std::fill(counters.extra.begin(), counters.extra.end(), std::uint8_t{0});
  }
}

// dl_iterate_phdr(3). What may throw comes later: the loader is locked here.
int note_object(dl_phdr_info* info, std::size_t, void* data) {
  const std::string_view name = info->dlpi_name;
  if (name.starts_with("linux-vdso")) return 0;
  static_cast<std::vector<Object>*>(data)->push_back(
      {std::string(name.empty() ? "/proc/self/exe" : name), info->dlpi_addr});
  return 0;
}

}  // namespace

std::vector<Counters> find_counters() {
  if (LLVMFuzzerRunDriver == nullptr) return {};
  std::vector<Object> objects;
  ::dl_iterate_phdr(note_object, &objects);
  std::vector<Counters> all;
  for (const Object& object : objects) {
    const ObjectFile file(object.path);
    const Counters counters{.coverage = find(file, object, "__sancov_cntrs"),
                            .extra = find(file, object, "__libfuzzer_extra_counters")};
    if (!counters.coverage.empty() || !counters.extra.empty()) all.push_back(counters);
  }
  return all;
}

void share(const std::vector<Counters>& all) {
  for (const Counters& counters : all) {
    share_bytes(counters.coverage);
    share_bytes(counters.extra);
  }
}

void share_and_try(const std::vector<Counters>& all, Workers workers,
                   const std::function<void()>& run, std::size_t least) {
  if (LLVMFuzzerRunDriver == nullptr) return run();
  const auto coverage = [&] {
    clear(all);
    run();
    return counted(all);
  };
  const std::size_t alone = workers == Workers::forked ? coverage() : 0;
  share(all);
  const std::size_t together = coverage();
  std::fprintf(stderr, "INFO: %zu counters of this process, %zu with its workers\n", alone,
               together);
  if (together >= alone + least) return;
  std::fprintf(stderr, "the coverage %s is lost\n",
               workers == Workers::forked ? "of the workers" : "of what is under test");
  std::exit(70);
}

}  // namespace ipctorture
