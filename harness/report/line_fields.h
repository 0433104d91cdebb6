// One object of a line of results, read as hostile input: what is missing is empty or 0, what is
// of another type, too long or out of range is refused with the place. Unlike JsonReader's, fields
// that nobody asks for are skipped: later versions add some.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ipctorture {

// Keeps a pointer into the value, which must outlive it. All errors are std::invalid_argument:
// "FILE:17: promises[2]: occasions: must be a whole number below 2^53".
class LineFields {
 public:
  LineFields(const nlohmann::json& object, std::string what);

  bool has(const std::string& key) const;  // and is not null
  // Below 2^53, so that the sums of 1000 such stay below 2^63.
  std::uint64_t number(const std::string& key) const;
  double real(const std::string& key) const;  // not negative, at most 1e15
  bool flag(const std::string& key) const;
  std::string text(const std::string& key) const;  // at most 16 KiB, presentable
  // A transport's name: letters, digits and _, at most 100, not empty.
  std::string name(const std::string& key) const;
  std::vector<std::string> texts(const std::string& key, std::size_t size_max) const;
  LineFields object(const std::string& key) const;  // an empty one when it is missing
  std::vector<LineFields> objects(const std::string& key, std::size_t size_max) const;
  // [[1, 2], [3, 4]]
  std::vector<std::pair<std::uint64_t, std::uint64_t>> pairs(const std::string& key,
                                                             std::size_t size_max) const;
  [[noreturn]] void refuse(const std::string& key, const std::string& why) const;

 private:
  const nlohmann::json* find(const std::string& key) const;
  const nlohmann::json& list(const std::string& key, std::size_t size_max) const;
  std::string checked_text(const std::string& key, const nlohmann::json& value) const;
  std::uint64_t checked_number(const std::string& key, const nlohmann::json& value) const;

  const nlohmann::json* object_;
  std::string what_;
};

}  // namespace ipctorture
