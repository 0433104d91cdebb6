// What a person may set, from four places: flag > IPCTORTURE_* > ipctorture.toml > default. Every
// setting is a text until it is read, so that one parser and one error message serve all places.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "harness/scenario/scenario.h"

namespace ipctorture {

// What the person asked for makes no sense: exit code 64. `what()` says where and what instead.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Every setting that has all four places: "fail-fast" is --fail-fast, IPCTORTURE_FAIL_FAST and
// fail-fast = true.
std::span<const std::string_view> setting_names();
std::string environment_name(std::string_view setting);

class Settings {
 public:
  struct Value {
    std::string text;
    std::string origin;  // "--time", "IPCTORTURE_TIME", "ipctorture.toml: time"
  };
  using Environment = std::function<const char*(const char*)>;  // as getenv(3)

  void set_flag(std::string_view setting, std::string text);
  // A list flag that is given several times: values join with commas.
  void add_flag(std::string_view setting, const std::string& text);
  void read_environment(const Environment& environment);
  // The text of a TOML file: flat keys, texts, numbers, true/false or lists of texts. Throws
  // UsageError naming file and line, and for a key that is no setting the nearest one.
  void read_toml(std::string_view text, const std::string& file);
  // Reads `file`, at most 64 KiB. A missing file is an error only when it was asked for.
  enum class IfMissing : std::uint8_t { ignore, refuse };
  void read_toml_file(const std::string& file, IfMissing if_missing);

  std::optional<Value> find(std::string_view setting) const;
  std::string text_or(std::string_view setting, std::string_view fallback) const;
  bool on(std::string_view setting) const;  // "1", "true", "yes", "on"; throws for other words
  std::vector<std::string> list(std::string_view setting) const;  // split at commas

 private:
  using Layer = std::map<std::string, Value, std::less<>>;
  Layer flags_, environment_, file_;
};

// The text of a file that a person wrote, at most 64 KiB; nothing when there is none. Throws
// UsageError that begins with its name.
std::optional<std::string> read_small_file(const std::string& file);

// A run's part of a campaign: cases k with (k - 1) % count == index - 1. "2/5".
struct Shard {
  std::uint32_t index = 1, count = 1;
  bool has(std::uint64_t k) const { return (k - 1) % count == index - 1; }
};

// Parsers. Each throws UsageError beginning with the value's origin.
std::int64_t parse_duration_ns(
    const Settings::Value& value);  // 500ms, 10s, 2m, 1.5h; up to 30 days
std::uint64_t parse_count(const Settings::Value& value, std::uint64_t low, std::uint64_t high);
std::uint64_t parse_seed(const Settings::Value& value);  // g1:HEX; another generator is refused
Shard parse_shard(const Settings::Value& value);
Launch parse_launch(const Settings::Value& value);

std::string seed_text(std::uint64_t seed);  // "g1:00c0ffee00c0ffee"

}  // namespace ipctorture
