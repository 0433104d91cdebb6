// libFuzzer: an honest endpoint against a peer that writes what it likes, into streams, datagrams,
// queues and names, with descriptors along (hostile_peer_trial.h). An input is a list of acts
// (harness/scenario/hostile_input.h). The honest side must answer with messages and errors alone.
//
//   build/fuzz/fuzz_hostile_peer --transport=unix_stream CORPUS -max_total_time=60
//
// Without --transport (or IPCTORTURE_FUZZ_TRANSPORT): every transport whose contract promises to
// withstand (Hostile::only_errors), each input its own. A find ends the fuzzer with one line. An
// input of another transport is left out, one of another version with a word. What is mapped is
// not written here: the controlled engine does that (`ipctorture explore`). Run: ci/fuzz
// hostile_peer
#include <malloc.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "fuzz/hostile_peer_mutator.h"
#include "fuzz/hostile_peer_trial.h"

// Fresh memory for each connection must not push the caches out. AddressSanitizer asks at start.
extern "C" [[gnu::used]] const char* __asan_default_options() { return "quarantine_size_mb=8"; }

namespace {

using namespace ipctorture;

constexpr std::string_view prefix = "ipctorture-hostile-";

// PREFIX + PID in TMPDIR, and those of dead processes go.
class Directory {
 public:
  Directory() : base_(std::filesystem::temp_directory_path()) {
    sweep();
    path_ = base_ / (std::string(prefix) + std::to_string(::getpid()));
    if (::mkdir(path_.c_str(), 0700) != 0) throw_system_error("mkdir", path_.string());
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  // For one transport.
  std::string make(std::string_view name) const {
    const std::filesystem::path below = path_ / name;
    if (::mkdir(below.c_str(), 0700) != 0) throw_system_error("mkdir", below.string());
    return below.string();
  }

 private:
  void sweep() const {
    for (const auto& entry : std::filesystem::directory_iterator(base_)) {
      const std::string name = entry.path().filename();
      if (!name.starts_with(prefix)) continue;
      pid_t process = 0;
      std::from_chars(name.data() + prefix.size(), name.data() + name.size(), process);
      struct stat status{};
      const bool mine = ::lstat(entry.path().c_str(), &status) == 0 && S_ISDIR(status.st_mode) &&
                        status.st_uid == ::getuid();
      if (!mine || process <= 0 || ::kill(process, 0) == 0 || errno != ESRCH) continue;
      std::error_code ignored;
      std::filesystem::remove_all(entry.path(), ignored);
    }
  }

  const std::filesystem::path base_;
  std::filesystem::path path_;
};

struct Candidate {
  std::unique_ptr<HostileTrial> trial;
  HostileMaterial material;
};

class Targets {
 public:
  // `only`: empty for all that promise to withstand.
  explicit Targets(std::string only) : only_(std::move(only)) {
    for (const Registration& one : registrations()) {
      const bool chosen =
          only_.empty() ? one.kind == Kind::shipped && one.contract.hostile == Hostile::only_errors
                        : one.name == only_;
      if (chosen) names_.emplace_back(one.name);
    }
    if (names_.empty()) leave(64, "no transport '" + only_ + "'");
    if (!only_.empty()) {
      const Candidate& candidate = of(only_);
      const std::string& why = candidate.trial->unfit();
      if (!why.empty()) leave(69, only_ + " cannot be tried: " + why);
      if (candidate.trial->registration().contract.hostile != Hostile::only_errors) {
        std::fprintf(stderr, "hostile_peer_fuzzer: %s promises nothing of a hostile peer\n",
                     only_.c_str());
      }
    }
  }

  Candidate& of(const std::string& name) {
    Candidate& candidate = candidates_[name];
    if (!candidate.trial) {
      rest();
      const Registration& registration = *find_registration(name);
      candidate.trial =
          std::make_unique<HostileTrial>(registration, directory_.make(name), to_pass_);
      candidate.material = {.transport = name,
                            .wire = candidate.trial->wire(),
                            .message_max = registration.contract.message_max};
    }
    return candidate;
  }
  // The one whose turn it is: only one may have a channel.
  HostileTrial& turn_of(const std::string& name) {
    HostileTrial& trial = *of(name).trial;
    if (current_ != &trial) rest();
    current_ = &trial;
    return trial;
  }
  const std::string& some(unsigned seed) const { return names_[seed % names_.size()]; }
  bool knows(const std::string& name) const {
    return only_.empty() ? find_registration(name) != nullptr : name == only_;
  }

 private:
  void rest() {
    if (current_ != nullptr) current_->rest();
  }
  [[noreturn]] static void leave(int code, const std::string& why) {
    std::fprintf(stderr, "hostile_peer_fuzzer: %s\n", why.c_str());
    std::exit(code);
  }

  const std::string only_;
  const Directory directory_;
  const DescriptorsToPass to_pass_;
  std::vector<std::string> names_;
  std::map<std::string, Candidate> candidates_;
  HostileTrial* current_ = nullptr;
};

std::unique_ptr<Targets> all_targets;

Targets& targets(std::string only = {}) {
  if (!all_targets) {
    all_targets = std::make_unique<Targets>(std::move(only));
    std::atexit([] { all_targets.reset(); });
  }
  return *all_targets;
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  constexpr std::string_view flag = "--transport=";
  std::string transport;
  if (const char* set = std::getenv("IPCTORTURE_FUZZ_TRANSPORT"); set != nullptr) transport = set;
  static std::vector<char*> words;
  for (int i = 0; i < *argc; ++i) {
    const std::string_view word = (*argv)[i];
    if (word.starts_with(flag)) {
      transport = word.substr(flag.size());
    } else {
      words.push_back((*argv)[i]);
    }
  }
  static char no_names[] = "-print_funcs=0";  // a symbolizer's pipes would look like a leak
  words.insert(words.begin() + 1, no_names);
  *argc = static_cast<int>(words.size());
  words.push_back(nullptr);
  *argv = words.data();
  // A megabyte for each connection, for which the kernel would be asked each time.
  ::mallopt(M_MMAP_THRESHOLD, 1 << 26);
  ::mallopt(M_TRIM_THRESHOLD, 1 << 28);
  targets(transport);
  return 0;
}

// 0: taken into the corpus when it is new; -1: never.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  HostileInput input;
  try {
    input = hostile_input_from_bytes(std::as_bytes(std::span(data, size)));
  } catch (const std::invalid_argument& refused) {
    static bool told = false;
    if (!told && std::string_view(refused.what()).find("version") != std::string_view::npos) {
      std::fprintf(stderr, "hostile_peer_fuzzer: left out: %s\n", refused.what());
      told = true;
    }
    return -1;
  }
  if (!targets().knows(input.transport)) return -1;
  HostileTrial& trial = targets().turn_of(input.transport);
  if (!trial.unfit().empty()) return -1;
  const std::optional<std::string> find = trial.run(input);
  if (!find) return 0;
  std::fprintf(stderr, "hostile_peer_fuzzer: %s: %s\n", input.transport.c_str(), find->c_str());
  all_targets.reset();  // leaves nothing behind
  std::abort();
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned seed) {
  std::string transport;
  try {
    transport = hostile_input_from_bytes(std::as_bytes(std::span(data, size))).transport;
  } catch (const std::invalid_argument&) {
  }
  if (!targets().knows(transport)) transport = targets().some(seed);
  return mutate_hostile({data, size_max}, size, targets().of(transport).material, seed);
}
