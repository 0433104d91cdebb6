// A folder of a few plain files, written all or nothing, and read without trust: nothing outside it
// is touched, whatever its entries are (links, devices, pipes, folders).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "harness/base/descriptor.h"

namespace ipctorture {

// Reads files of one folder. Errors are std::runtime_error: "/tmp/b: history.bin: 9 bytes, at most
// 8".
class FolderReader {
 public:
  explicit FolderReader(std::string path);  // the folder itself may be reached through a link
  bool has(const std::string& name) const;  // something of that name
  // The whole of a regular file of that name, which is no link.
  std::string read(const std::string& name, std::size_t bytes_max) const;

 private:
  std::string path_;
  Descriptor folder_;
};

// Collects files in a temporary folder beside `path` (0700, files 0600); commit() gives it its
// name. Destroyed without commit, it leaves nothing. Throws std::system_error.
class FolderWriter {
 public:
  explicit FolderWriter(std::string path);
  FolderWriter(const FolderWriter&) = delete;
  FolderWriter& operator=(const FolderWriter&) = delete;
  ~FolderWriter();
  void write(const std::string& name, std::string_view bytes);
  void commit();  // EEXIST when something of that name is there

 private:
  std::string path_;
  std::string temporary_;  // empty once committed
  Descriptor folder_;
};

}  // namespace ipctorture
