#include "harness/report/line_fields.h"

#include <fmt/format.h>

#include <stdexcept>

#include "harness/report/presentable.h"
#include "harness/scenario/strict_json.h"

namespace ipctorture {
namespace {

constexpr std::uint64_t number_max = (std::uint64_t{1} << 53) - 1;
constexpr double real_max = 1e15;
constexpr std::size_t text_max = 16 * 1024, name_max = 100;

const nlohmann::json& nothing() {
  static const nlohmann::json empty = nlohmann::json::object();
  return empty;
}
const nlohmann::json& no_entries() {
  static const nlohmann::json empty = nlohmann::json::array();
  return empty;
}

}  // namespace

LineFields::LineFields(const nlohmann::json& object, std::string what)
    : object_(&object), what_(std::move(what)) {
  if (!object.is_object()) throw std::invalid_argument(what_ + ": must be an object");
}

const nlohmann::json* LineFields::find(const std::string& key) const {
  const auto found = object_->find(key);
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

bool LineFields::has(const std::string& key) const { return find(key) != nullptr; }

void LineFields::refuse(const std::string& key, const std::string& why) const {
  throw std::invalid_argument(fmt::format("{}: {}: {}", what_, printable(key, 64), why));
}

std::uint64_t LineFields::checked_number(const std::string& key,
                                         const nlohmann::json& value) const {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > number_max) {
    refuse(key, "must be a whole number below 2^53");
  }
  return value.get<std::uint64_t>();
}

std::uint64_t LineFields::number(const std::string& key) const {
  const nlohmann::json* value = find(key);
  return value == nullptr ? 0 : checked_number(key, *value);
}

double LineFields::real(const std::string& key) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return 0;
  if (!value->is_number()) refuse(key, "must be a number");
  const auto number = value->get<double>();
  if (!(number >= 0 && number <= real_max)) refuse(key, "must be from 0 to 1e15");
  return number;
}

bool LineFields::flag(const std::string& key) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return false;
  if (!value->is_boolean()) refuse(key, "must be true or false");
  return value->get<bool>();
}

std::string LineFields::checked_text(const std::string& key, const nlohmann::json& value) const {
  if (!value.is_string()) refuse(key, "must be a text");
  const auto& text = value.get_ref<const std::string&>();
  if (text.size() > text_max) refuse(key, fmt::format("is above {} bytes", text_max));
  return presentable(text, text_max);
}

std::string LineFields::text(const std::string& key) const {
  const nlohmann::json* value = find(key);
  return value == nullptr ? std::string() : checked_text(key, *value);
}

std::string LineFields::name(const std::string& key) const {
  std::string text = this->text(key);
  constexpr std::string_view letters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
  if (text.empty() || text.size() > name_max ||
      text.find_first_not_of(letters) != std::string::npos) {
    refuse(key, "must be a name of letters, digits and _");
  }
  return text;
}

const nlohmann::json& LineFields::list(const std::string& key, std::size_t size_max) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return no_entries();
  if (!value->is_array()) refuse(key, "must be a list");
  if (value->size() > size_max) refuse(key, fmt::format("has more than {} entries", size_max));
  return *value;
}

std::vector<std::string> LineFields::texts(const std::string& key, std::size_t size_max) const {
  std::vector<std::string> texts;
  for (const nlohmann::json& value : list(key, size_max)) {
    texts.push_back(checked_text(key, value));
  }
  return texts;
}

LineFields LineFields::object(const std::string& key) const {
  const nlohmann::json* value = find(key);
  return LineFields(value == nullptr ? nothing() : *value, what_ + ": " + key);
}

std::vector<LineFields> LineFields::objects(const std::string& key, std::size_t size_max) const {
  std::vector<LineFields> objects;
  const nlohmann::json& values = list(key, size_max);
  for (std::size_t i = 0; i < values.size(); ++i) {
    objects.emplace_back(values[i], fmt::format("{}: {}[{}]", what_, key, i));
  }
  return objects;
}

std::vector<std::pair<std::uint64_t, std::uint64_t>> LineFields::pairs(const std::string& key,
                                                                       std::size_t size_max) const {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> pairs;
  for (const nlohmann::json& value : list(key, size_max)) {
    if (!value.is_array() || value.size() != 2) refuse(key, "must be a list of pairs");
    pairs.emplace_back(checked_number(key, value[0]), checked_number(key, value[1]));
  }
  return pairs;
}

}  // namespace ipctorture
