// Bounded JSON on top of nlohmann's parser, which is iterative: nesting costs heap, not stack, and
// the callback ends it early. The library keeps the last of equal keys without a word, so they are
// counted here.
#include "harness/scenario/strict_json.h"

#include <fmt/format.h>

#include <set>
#include <stdexcept>
#include <vector>

namespace ipctorture {
namespace {

using nlohmann::json;

// Follows the parser through the text; throws std::invalid_argument at what is refused.
class Guard {
 public:
  Guard(std::string_view what, int depth_max) : what_(what), depth_max_(depth_max) {}

  bool operator()(int depth, json::parse_event_t event, const json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start:
      case json::parse_event_t::array_start:
        if (depth >= depth_max_) refuse(fmt::format("nested deeper than {}", depth_max_));
        keys_.emplace_back();
        break;
      case json::parse_event_t::object_end:
      case json::parse_event_t::array_end:
        keys_.pop_back();
        break;
      case json::parse_event_t::key:
        if (!keys_.back().insert(parsed.get<std::string>()).second) {
          refuse(fmt::format("{}: given twice", printable(parsed.get<std::string>(), 64)));
        }
        break;
      case json::parse_event_t::value:
        break;
    }
    return true;
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw std::invalid_argument(fmt::format("{}: {}", what_, why));
  }
  std::string_view what_;
  int depth_max_;
  std::vector<std::set<std::string>> keys_;
};

}  // namespace

std::string printable(std::string_view text, std::size_t bytes_max) {
  std::string shown(text.substr(0, bytes_max));
  for (char& c : shown) {
    if (c < ' ' || c > '~') c = '?';
  }
  return shown;
}

json parse_strict_json(std::string_view text, std::string_view what, std::size_t bytes_max,
                       int depth_max) {
  if (text.size() > bytes_max) {
    throw std::invalid_argument(
        fmt::format("{}: {} bytes, at most {}", what, text.size(), bytes_max));
  }
  Guard guard(what, depth_max);
  try {
    return json::parse(text, [&guard](int depth, json::parse_event_t event, json& parsed) {
      return guard(depth, event, parsed);
    });
  } catch (const json::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
    std::string_view message = error.what();
    if (const auto bracket = message.find("] "); bracket != message.npos) {
      message.remove_prefix(bracket + 2);
    }
    throw std::invalid_argument(fmt::format("{}: {}", what, printable(message, 200)));
  }
}

JsonReader::JsonReader(json object, std::string what, std::string path)
    : object_(std::move(object)), what_(std::move(what)), path_(std::move(path)) {
  if (!object_.is_object()) refuse("", "must be an object");
}

json JsonReader::take(const std::string& key) {
  const auto found = object_.find(key);
  if (found == object_.end()) return nullptr;
  json value = std::move(*found);
  object_.erase(found);
  return value;
}

std::uint64_t JsonReader::number(const std::string& key, std::uint64_t min, std::uint64_t max) {
  return whole(key, take(key), min, max);
}

bool JsonReader::flag(const std::string& key) {
  const json value = take(key);
  if (!value.is_boolean()) refuse(key, "must be true or false");
  return value.get<bool>();
}

std::string JsonReader::text(const std::string& key, std::size_t bytes_max) {
  const json value = take(key);
  if (!value.is_string()) refuse(key, value.is_null() ? "is missing" : "must be a text");
  const std::string& text = value.get_ref<const std::string&>();
  if (text.size() > bytes_max) {
    refuse(key, fmt::format("{} bytes, at most {}", text.size(), bytes_max));
  }
  return text;
}

json JsonReader::list(const std::string& key, std::size_t size_max) {
  json value = take(key);
  if (!value.is_array()) refuse(key, value.is_null() ? "is missing" : "must be a list");
  if (value.size() > size_max) {
    refuse(key, fmt::format("{} entries, at most {}", value.size(), size_max));
  }
  return value;
}

JsonReader JsonReader::object(const std::string& key) {
  return JsonReader(take(key), what_, path_.empty() ? key : path_ + "." + key);
}

JsonReader JsonReader::entry(const std::string& key, std::size_t index, json value) const {
  const std::string step = fmt::format("{}[{}]", key, index);
  return JsonReader(std::move(value), what_, path_.empty() ? step : path_ + "." + step);
}

std::uint64_t JsonReader::whole(const std::string& key, const json& value, std::uint64_t min,
                                std::uint64_t max) const {
  if (!value.is_number_integer()) refuse(key, "must be a whole number below 2^64");
  if (!value.is_number_unsigned()) {
    refuse(key, fmt::format("{} is below {}", value.get<std::int64_t>(), min));
  }
  const auto given = value.get<std::uint64_t>();
  if (given < min) refuse(key, fmt::format("{} is below {}", given, min));
  if (given > max) refuse(key, fmt::format("{} is above {}", given, max));
  return given;
}

void JsonReader::end() const {
  if (!object_.empty()) refuse(printable(object_.begin().key(), 64), "unknown field");
}

void JsonReader::refuse(const std::string& key, const std::string& why) const {
  const std::string dot = path_.empty() || key.empty() ? "" : ".";
  const std::string where = path_ + dot + key;
  throw std::invalid_argument(
      fmt::format("{}: {}{}{}", what_, where, where.empty() ? "" : ": ", why));
}

}  // namespace ipctorture
