#include "stress/fuzz_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <system_error>

#include "harness/base/descriptor.h"
#include "harness/scenario/fuzz_input_header.h"
#include "stress/settings.h"

namespace ipctorture {

namespace {

// The first `most` bytes, all when there are fewer.
std::vector<std::byte> read_beginning(const std::string& path, std::size_t most) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  const auto refuse = [&](const std::string& why) { throw UsageError(path + ": " + why); };
  if (!fd.valid()) refuse(std::generic_category().message(errno));
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) refuse("is no fuzz input");
  std::vector<std::byte> bytes(most);
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t got = ::read(fd.get(), bytes.data() + size, bytes.size() - size);
    if (got < 0) refuse(std::generic_category().message(errno));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace

std::vector<std::byte> read_fuzz_file(const std::string& path) {
  std::vector<std::byte> bytes = read_beginning(path, fuzz_file_bytes_max + 1);
  if (bytes.size() > fuzz_file_bytes_max) {
    throw UsageError(path + ": is above 1 MiB: no fuzz input");
  }
  return bytes;
}

char fuzz_file_letter(const std::string& path) {
  try {
    return fuzz_input_letter(read_beginning(path, fuzz_input_header_bytes));
  } catch (const UsageError&) {
    return 0;
  }
}

}  // namespace ipctorture
