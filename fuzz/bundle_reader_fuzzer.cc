// libFuzzer: the reader of bundles (harness/report/bundle.h) against any folder, and the checkers
// against any history that it lets through.
//
// An input is the files of one bundle, packed (fuzz/bundle_pack.h). The reader must answer with a
// bundle or with std::runtime_error; what it accepts is written again and must read the same, and
// judging its history must not crash. The mutator edits one file at a time, and starts from a real
// bundle, so that no corpus can go stale. The hash in history.bin is mended before each try, or
// nothing would ever pass it (one input in 16 keeps its own). Run: ci/fuzz bundle_reader
#include <unistd.h>
#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/broken.h"
#include "fuzz/bundle_pack.h"
#include "harness/check/check.h"
#include "harness/report/bundle.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t size_max);

namespace ipctorture {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t history_file = 2;
// A private folder for this process, removed when it ends well.
class Workshop {
 public:
  Workshop() {
    std::string name = (fs::temp_directory_path() / "ipctorture-fuzz-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) broken("mkdtemp " + name);
    path_ = name;
  }
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;
  ~Workshop() { fs::remove_all(path_); }

  std::string put(const BundlePack& files) const {
    const fs::path folder = path_ / "in";
    fs::create_directory(folder);
    for (std::size_t i = 0; i < files.size(); ++i) {
      std::ofstream(folder / bundle_file_names[i], std::ios::binary) << files[i];
    }
    return folder.string();
  }
  std::string fresh() const {  // a path where nothing is
    fs::remove_all(path_ / "out");
    return (path_ / "out").string();
  }

 private:
  fs::path path_;
};

const Workshop& workshop() {
  static const Workshop one;
  return one;
}

constexpr Contract contract{
    .ordering = Ordering::total,
    .late_consumer = LateConsumer::backlog,
    .late_producer = true,
    .exact_empty = true,
    .exact_full = true,
    .capacity_max = 1024,
    .message_min = 0,
    .message_max = 1u << 20,
    .producers_max = 8,
    .consumers_max = 8,
    .accepted_survives_close = true,
};

// One producer sends two messages, one consumer receives them.
BundlePack real_bundle() {
  BundleContent content;
  content.scenario.set_transport("pipe");
  content.scenario.messages = 2;
  content.seed = "g1:7";
  content.replay = "ipctorture replay";
  const auto records = std::make_shared<std::vector<Record>>();
  Stamp stamp = 1000;
  for (const Op op : {Op::send, Op::receive}) {
    for (std::uint64_t i = 0; i < 2; ++i, stamp += 200) {
      records->push_back({.invoked = stamp,
                          .returned = stamp + 100,
                          .message = MessageId{.sequence = i}.packed(),
                          .size = 64,
                          .what = Record::encode(op, 0, DeadlineMode::never),
                          .outcome = static_cast<std::uint8_t>(Outcome::ok)});
    }
  }
  const std::span<const Record> all(*records);
  content.history.lanes = {
      {.worker = 0, .producer_on = {0}, .consumer_on = {-1}, .records = all.first(2)},
      {.worker = 1, .producer_on = {-1}, .consumer_on = {0}, .records = all.last(2)}};
  content.history.evidence = {
      {.fact = Fact::asleep, .lane = 1, .from = 1000, .to = 1200, .value = 1}};
  content.history.storage = {records};
  content.history.continues = true;
  content.history.unreceived = {{.producer = 0, .sequence = 7, .accepted = true}};
  content.judgement = check({content.history, contract, content.scenario});
  const std::string folder = workshop().fresh();
  write_bundle(folder, content);
  return bundle_files(folder);
}

void mend_hash(std::string& history) {
  constexpr std::size_t header_bytes = 32, hash_at = 24;
  if (history.size() < header_bytes) return;
  const std::uint64_t hash =
      XXH3_64bits(history.data() + header_bytes, history.size() - header_bytes);
  std::memcpy(history.data() + hash_at, &hash, sizeof hash);
}

bool same_records(const History& a, const History& b) {
  if (a.lanes.size() != b.lanes.size() || a.evidence.size() != b.evidence.size()) return false;
  for (std::size_t i = 0; i < a.lanes.size(); ++i) {
    const auto bytes_a = std::as_bytes(a.lanes[i].records);
    const auto bytes_b = std::as_bytes(b.lanes[i].records);
    if (bytes_a.size() != bytes_b.size()) return false;
    if (!bytes_a.empty() && std::memcmp(bytes_a.data(), bytes_b.data(), bytes_a.size()) != 0) {
      return false;
    }
  }
  return true;
}

// The checkers answer, or say that no producer does what this history tells.
void judge(const BundleContent& content) {
  try {
    (void)check({content.history, contract, content.scenario});
  } catch (const std::logic_error& refused) {
    if (!std::string_view(refused.what()).starts_with("history: ")) throw;
  }
}

void load_write_load(std::string_view bytes) {
  BundlePack files = unpack_bundle(bytes);
  if (bytes.size() % 16 != 0) mend_hash(files[history_file]);
  BundleContent content;
  try {
    content = load_bundle(workshop().put(files));
  } catch (const std::runtime_error& refused) {
    if (std::string_view(refused.what()).empty()) broken("refused without a reason");
    return;
  }
  if (scenario_faults(content.scenario, contract).empty()) judge(content);
  if (!content.truncated.empty()) return;
  const std::string folder = workshop().fresh();
  write_bundle(folder, content);
  const BundleContent again = load_bundle(folder);
  if (again.scenario != content.scenario) broken("another scenario when written and read");
  if (!same_records(again.history, content.history))
    broken("another history when written and read");
  if (again.judgement.verdict() != content.judgement.verdict()) broken("another verdict");
}

}  // namespace
}  // namespace ipctorture

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ipctorture::load_write_load({reinterpret_cast<const char*>(data), size});
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t size_max, unsigned seed) {
  using namespace ipctorture;
  const std::string_view given(reinterpret_cast<const char*>(data), size);
  BundlePack files;
  if (given.starts_with(bundle_pack_magic)) {
    files = unpack_bundle(given);
  } else {
    static const BundlePack real = real_bundle();
    files = real;
  }
  std::minstd_rand random(seed);
  std::string& file = files[random() % files.size()];
  const std::size_t room = file.size() + 64;
  const std::size_t before = file.size();
  file.resize(room);
  file.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(file.data()), before, room));
  const std::string packed = pack_bundle(files);
  if (packed.size() > size_max) return size;
  std::memcpy(data, packed.data(), packed.size());
  return packed.size();
}
