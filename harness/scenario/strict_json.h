// JSON from outside, read with care: bounded text, bounded nesting, no key twice, no field unknown,
// every number in its range, and errors that name the place and are fit to show. Used for scenarios
// and for everything in a bundle. All errors are std::invalid_argument:
// "scenario: sizes[2]: 4294967296 is above 1048576".
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace ipctorture {

// `what` begins the message of an error.
nlohmann::json parse_strict_json(std::string_view text, std::string_view what,
                                 std::size_t bytes_max, int depth_max);

// At most `bytes_max` characters of `text`, every byte that is not printable ASCII as '?'.
std::string printable(std::string_view text, std::size_t bytes_max);

// One object. Each field is taken out as it is read, so that what is left at end() is unknown.
class JsonReader {
 public:
  // `path` leads to the object ("send_deadlines", "lanes[3]"); empty for the outermost.
  JsonReader(nlohmann::json object, std::string what, std::string path = {});

  bool has(const std::string& key) const { return object_.contains(key); }
  // The value itself; null when it is missing. Whoever takes one checks its type.
  nlohmann::json take(const std::string& key);

  // These refuse a field that is missing.
  std::uint64_t number(const std::string& key, std::uint64_t min, std::uint64_t max);
  bool flag(const std::string& key);
  std::string text(const std::string& key, std::size_t bytes_max);
  nlohmann::json list(const std::string& key, std::size_t size_max);
  JsonReader object(const std::string& key);
  // A list's entry that is an object: `index` for the path.
  JsonReader entry(const std::string& key, std::size_t index, nlohmann::json value) const;

  // For values already taken; `key` for the path.
  std::uint64_t whole(const std::string& key, const nlohmann::json& value, std::uint64_t min,
                      std::uint64_t max) const;

  void end() const;  // refuses what nobody asked for
  [[noreturn]] void refuse(const std::string& key, const std::string& why) const;

 private:
  nlohmann::json object_;
  std::string what_;
  std::string path_;
};

}  // namespace ipctorture
