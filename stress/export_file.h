// Where --export writes a plain history: a file of mode 0600, or, as `-`, standard output, which
// then has the history alone: everything else that this process prints goes to standard error.
#pragma once

#include <string>
#include <string_view>

#include "harness/base/descriptor.h"

namespace ipctorture {

class ExportFile {
 public:
  // Before anything is printed and any other process is started. Throws UsageError when the file
  // cannot be written; leaves what it contains until write().
  explicit ExportFile(std::string file);
  // In place of what was there. A reader that left wanted no more; throws UsageError otherwise.
  void write(std::string_view text);
  // As `recheck` is told of it.
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  Descriptor output_;  // standard output as it was; of a file none
};

}  // namespace ipctorture
