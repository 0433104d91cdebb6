// Scenarios as JSON. Reader and writer walk the table of fields.h; the reader takes each field out
// of the object as it goes, so that what is left over is unknown. Fields that are missing keep
// their defaults (a person may write five lines by hand); `schema` and `transport` may not be
// missing.
#include "harness/scenario/codec.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <stdexcept>

#include "harness/scenario/fields.h"
#include "harness/scenario/strict_json.h"

namespace ipctorture {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view schema = "ipctorture-scenario/1";
constexpr std::size_t text_bytes_max = 64 << 10;
constexpr int depth_max = 4;

class Writer {
 public:
  explicit Writer(ordered_json& to) : to_(to) {}

  void name(const char* key, const std::array<char, 48>& text) {
    const auto end = std::find(text.begin(), text.end(), '\0');
    to_[key] = printable(
        std::string_view(text.data(), static_cast<std::size_t>(end - text.begin())), text.size());
  }
  // As text: most readers of JSON keep 53 bits of a number.
  void seed(const char* key, std::uint64_t value) { to_[key] = std::to_string(value); }
  template <typename T>
  void number(const char* key, T value, std::uint64_t, std::uint64_t) {
    to_[key] = value;
  }
  void flag(const char* key, bool value) { to_[key] = value; }
  template <typename Enum>
  void words(const char* key, Enum value, unsigned) {
    to_[key] = to_string(value);
  }
  void list(const char* key, const std::array<std::uint32_t, sizes_max>& sizes, std::uint32_t count,
            std::uint64_t) {
    to_[key] = ordered_json::array();
    for (std::uint32_t i = 0; i < std::min(count, sizes_max); ++i) to_[key].push_back(sizes[i]);
  }
  template <typename Function>
  void object(const char* key, Function visit) {
    Writer inner(to_[key] = ordered_json::object());
    visit(inner);
  }

 private:
  ordered_json& to_;
};

class Reader {
 public:
  explicit Reader(JsonReader& from) : from_(from) {}

  void name(const char* key, std::array<char, 48>& to) {
    const std::string text = from_.text(key, text_bytes_max);
    if (text.empty() || text.size() >= to.size() ||
        text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != text.npos) {
      from_.refuse(key, "must be 1 to 47 of a-z, 0-9 and _");
    }
    to.fill('\0');
    std::copy(text.begin(), text.end(), to.begin());
  }
  void seed(const char* key, std::uint64_t& to) {
    if (!from_.has(key)) return;
    const json value = from_.take(key);
    if (!value.is_string()) {
      to = from_.whole(key, value, 0, std::numeric_limits<std::uint64_t>::max());
      return;
    }
    const std::string& text = value.get_ref<const std::string&>();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), to);
    if (error != std::errc() || end != text.data() + text.size()) {
      from_.refuse(key, "must be a decimal number below 2^64");
    }
  }
  template <typename T>
  void number(const char* key, T& to, std::uint64_t min, std::uint64_t max) {
    if (from_.has(key)) to = static_cast<T>(from_.number(key, min, max));
  }
  void flag(const char* key, bool& to) {
    if (from_.has(key)) to = from_.flag(key);
  }
  template <typename Enum>
  void words(const char* key, Enum& to, unsigned count) {
    if (!from_.has(key)) return;
    const std::string given = from_.text(key, text_bytes_max);
    std::string choices;
    for (unsigned i = 0; i < count; ++i) {
      const std::string_view word = to_string(static_cast<Enum>(i));
      if (given == word) {
        to = static_cast<Enum>(i);
        return;
      }
      choices.append(i == 0 ? "" : ", ").append(word);
    }
    from_.refuse(key, fmt::format("must be one of {}", choices));
  }
  void list(const char* key, std::array<std::uint32_t, sizes_max>& sizes, std::uint32_t& count,
            std::uint64_t max) {
    if (!from_.has(key)) return;
    const json value = from_.list(key, sizes_max);
    if (value.empty()) from_.refuse(key, "must not be empty");
    sizes.fill(0);
    count = static_cast<std::uint32_t>(value.size());
    for (std::size_t i = 0; i < value.size(); ++i) {
      const auto size = from_.whole(fmt::format("{}[{}]", key, i), value[i], 0, max);
      sizes[i] = static_cast<std::uint32_t>(size);
    }
  }
  template <typename Function>
  void object(const char* key, Function visit) {
    if (!from_.has(key)) return;
    JsonReader inner = from_.object(key);
    Reader reader(inner);
    visit(reader);
    inner.end();
  }

 private:
  JsonReader& from_;
};

}  // namespace

std::string scenario_to_json(const Scenario& scenario) {
  ordered_json object;
  object["schema"] = schema;
  Writer writer(object);
  visit_fields(writer, scenario);
  return object.dump(2) + "\n";
}

Scenario scenario_from_json(std::string_view text) {
  JsonReader object(parse_strict_json(text, "scenario", text_bytes_max, depth_max), "scenario");
  if (object.take("schema") != schema) {
    object.refuse("schema", fmt::format("must be \"{}\"", schema));
  }
  Scenario scenario;
  Reader reader(object);
  visit_fields(reader, scenario);
  object.end();
  return scenario;
}

}  // namespace ipctorture
