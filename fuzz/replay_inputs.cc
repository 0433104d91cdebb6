// main() for the fuzz targets where there is no libFuzzer: runs every file of the folders given, so
// that what fuzzing once found stays mended in every ordinary test run, with every compiler. A
// target that mutates by itself also gets a few inputs of its own making; real fuzzing is
// ci/fuzz's.
//
//   replay_scenario_reader fuzz/corpus/scenario_reader fuzz/regressions/scenario_reader
//   replay_schedule --transport=shm_ring fuzz/regressions/schedule/shm_ring
//
// Words that begin with '-' are the target's own. Folders in a folder are left out: they belong to
// one transport each.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" [[gnu::weak]] int LLVMFuzzerInitialize(int* argc, char*** argv);
extern "C" [[gnu::weak]] std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                                             std::size_t size_max, unsigned seed);

// What a custom mutator calls for the bytes themselves: the least that changes something.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size,
                                        std::size_t size_max) {
  static std::uint32_t calls = 0;
  ++calls;
  if (size == 0) return 0;
  data[calls * 7919u % size] ^= static_cast<std::uint8_t>(1u << calls % 8);
  return calls % 5 == 0 ? size / 2 : std::min(size, size_max);
}

namespace {

constexpr unsigned own_inputs = 64;
constexpr std::size_t input_bytes_max = 1u << 20;

std::size_t run_folder(const std::filesystem::path& folder) {
  std::size_t count = 0;
  if (!std::filesystem::is_directory(folder)) return 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
    std::printf("%s, %zu bytes\n", entry.path().c_str(), bytes.size());
    std::fflush(stdout);  // who aborts next shall be known
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    ++count;
  }
  return count;
}

std::size_t run_own_inputs() {
  if (LLVMFuzzerCustomMutator == nullptr) return 0;
  for (unsigned seed = 0; seed < own_inputs; ++seed) {
    std::vector<std::uint8_t> bytes(input_bytes_max);
    bytes.resize(LLVMFuzzerCustomMutator(bytes.data(), 0, bytes.size(), seed));
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  return own_inputs;
}

}  // namespace

int main(int argc, char** argv) {
  if (LLVMFuzzerInitialize != nullptr) LLVMFuzzerInitialize(&argc, &argv);
  std::size_t count = run_own_inputs();
  for (int i = 1; i < argc; ++i) {
    if (argv[i][0] != '-') count += run_folder(argv[i]);
  }
  std::printf("%zu inputs\n", count);
  return count > 0 ? 0 : 1;  // none at all: a wrong path
}
