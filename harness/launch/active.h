// What exists now because of a run: one small mapped file per engine, `engine-N.active` in the
// run's directory. Written before anything is created and cleared after it was destroyed, so that
// whoever finds it after a SIGKILL can destroy what is left (run_directory.h). Read as hostile
// input.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "harness/base/shared_mapping.h"
#include "harness/transport/transport.h"

namespace ipctorture {

struct ActiveRun {
  std::string transport;
  Options options;
};

inline constexpr unsigned channels_max = 2;

// Owner and only writer of one active file; the file is removed on destruction.
class ActiveFile {
 public:
  explicit ActiveFile(
      const std::string& path);  // creates it, 0600, O_EXCL; throws std::system_error
  ~ActiveFile();
  ActiveFile(const ActiveFile&) = delete;
  ActiveFile& operator=(const ActiveFile&) = delete;
  void set(unsigned channel, const std::string& transport, const Options& options) noexcept;
  void clear(unsigned channel) noexcept;

 private:
  std::string path_;
  SharedMapping mapping_;
};

// What the file says of one channel; nothing when it is clear, torn, too short or out of bounds.
std::optional<ActiveRun> read_active(const std::string& path, unsigned channel);

}  // namespace ipctorture
