// libFuzzer: what `replay` and `shrink` are given (stress/failure_file.h), as a file; a folder is
// bundle_reader's.
//
// It must answer with a failure, or with UsageError that begins with the path; the scenario is that
// of the text. Run: ci/fuzz failure_reader
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "fuzz/broken.h"
#include "harness/base/descriptor.h"
#include "harness/scenario/codec.h"
#include "stress/failure_file.h"
#include "stress/settings.h"

namespace ipctorture {
namespace {

void read_both_ways(std::string_view text) {
  static const Descriptor file(::memfd_create("failure", MFD_CLOEXEC));
  static const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  const auto size = static_cast<ssize_t>(text.size());
  if (::ftruncate(file.get(), size) != 0 ||
      ::pwrite(file.get(), text.data(), text.size(), 0) != size) {
    broken("no memory for a file");
  }
  FailureFile read;
  try {
    read = load_failure(path);
  } catch (const UsageError& refused) {
    if (!std::string_view(refused.what()).starts_with(path + ": ")) {
      broken("an error without its path", refused.what());
    }
    return;
  }
  if (read.scenario != scenario_from_json(text)) broken("another scenario than the text's", text);
  if (!read.fingerprints.empty() || !read.named.empty()) broken("fingerprints from nowhere", text);
}

}  // namespace
}  // namespace ipctorture

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ipctorture::read_both_ways({reinterpret_cast<const char*>(data), size});
  return 0;
}
