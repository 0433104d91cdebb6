#include "harness/linear/lines.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

namespace ipctorture::linear {
namespace {

constexpr std::array<std::string_view, 11> words{
    "", "invoke", "ok", "full", "empty", "timeout", "closed", "fail", "info", "join", "leave"};

constexpr bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

enum class Sort : std::uint8_t { of_word, blank, comment };
constexpr std::array<Sort, 256> make_sorts() {
  std::array<Sort, 256> sorts{};
  for (const char c : {' ', '\t', '\r'}) sorts[static_cast<unsigned char>(c)] = Sort::blank;
  sorts['#'] = Sort::comment;
  return sorts;
}
constexpr std::array<Sort, 256> sorts = make_sorts();
constexpr Sort sort_of(char c) { return sorts[static_cast<unsigned char>(c)]; }

// At most this many words, one of which is too many. Answers how many there are.
using Words = std::array<std::string_view, 7>;
std::size_t split(std::string_view text, Words& words_of_line) {
  const char* at = text.data();
  const char* const end = at + text.size();
  std::size_t count = 0;
  while (count < words_of_line.size()) {
    while (at < end && sort_of(*at) == Sort::blank) ++at;
    if (at == end || sort_of(*at) == Sort::comment) break;
    const char* const begin = at;
    while (at < end && sort_of(*at) == Sort::of_word) ++at;
    words_of_line[count++] = {begin, static_cast<std::size_t>(at - begin)};
  }
  return count;
}

// With a length that the compiler knows, this takes no call.
template <std::size_t size>
bool is(std::string_view text, const char (&word)[size]) {
  return text.size() == size - 1 && std::memcmp(text.data(), word, size - 1) == 0;
}

std::optional<Word> word_of(std::string_view text) {
  if (is(text, "invoke")) return Word::invoke;
  if (is(text, "ok")) return Word::ok;
  for (std::size_t i = 3; i < words.size(); ++i) {
    if (words[i] == text) return static_cast<Word>(i);
  }
  return std::nullopt;
}

std::optional<Kind> kind_of(std::string_view text) {
  if (is(text, "send")) return Kind::send;
  if (is(text, "receive")) return Kind::receive;
  return std::nullopt;
}

template <class Number>
bool number_of(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

// A broken rule, and false.
bool wrong(std::string& broken, std::string rule) {
  broken = std::move(rule);
  return false;
}

// Holds for text and JSON: what each event must say.
bool complete(const Line& line, bool has_value, bool has_priority, std::string& broken) {
  const bool send = line.has_kind && line.kind == Kind::send;
  const bool receive = line.has_kind && line.kind == Kind::receive;
  const bool wants_value =
      (line.word == Word::invoke && send) || (line.word == Word::ok && receive);
  if (line.word == Word::invoke && !line.has_kind)
    return wrong(broken, "invoke what: send or receive?");
  if (line.word == Word::ok && !line.has_kind) return wrong(broken, "ok what: send or receive?");
  if (line.word == Word::full && receive) return wrong(broken, "full is an answer to a send");
  if (line.word == Word::empty && send) return wrong(broken, "empty is an answer to a receive");
  if (wants_value && !has_value) return wrong(broken, "the value is missing");
  if (!wants_value && has_value) return wrong(broken, "a value has no place here");
  if (has_priority && !(line.word == Word::invoke && send)) {
    return wrong(broken, "a priority belongs to the invocation of a send");
  }
  return true;
}

bool read_text(std::string_view text, Line& line, std::string& broken) {
  Words parts;
  std::size_t count = split(text, parts);
  if (count == 0) return true;
  if (count == parts.size()) return wrong(broken, "too many words");
  if (parts[count - 1].starts_with("t=")) {
    const std::string_view stamp = parts[--count];
    if (!number_of(stamp.substr(2), line.time)) {
      return wrong(broken, fmt::format("'{}' is no time: t=<nanoseconds>", stamp));
    }
    line.timed = true;
  }
  if (count < 2) return wrong(broken, "a process and what happened: PROCESS invoke send VALUE");
  const auto word = word_of(parts[1]);
  if (!word) {
    return wrong(broken, fmt::format("unknown word '{}': invoke, ok, full, empty, timeout, closed, "
                                     "fail, info, join or leave",
                                     parts[1]));
  }
  line.process = parts[0];
  line.word = *word;
  std::size_t next = 2;
  if (next < count) {
    const auto kind = kind_of(parts[next]);
    if (!kind || line.word == Word::join || line.word == Word::leave) {
      return wrong(broken, fmt::format("unknown word '{}'", parts[next]));
    }
    line.kind = *kind;
    line.has_kind = true;
    ++next;
  }
  bool has_priority = false;
  const bool has_value = next < count;
  if (has_value) line.value = parts[next++];
  if (next < count) {
    const std::string_view option = parts[next++];
    has_priority = option.starts_with("priority=");
    if (!has_priority) return wrong(broken, fmt::format("unknown word '{}'", option));
    if (!number_of(option.substr(9), line.priority)) {
      return wrong(broken, fmt::format("'{}' is no priority: a number of 32 bits", option));
    }
  }
  if (next < count) return wrong(broken, fmt::format("unknown word '{}'", parts[next]));
  return complete(line, has_value, has_priority, broken);
}

// A name or a value: text, or a number, which then is its digits.
bool take_name(const nlohmann::json& json, std::string& name) {
  if (json.is_string()) {
    name = json.get<std::string>();
  } else if (json.is_number_integer()) {
    name = json.dump();
  }
  if (name.empty()) return false;
  for (const char c : name) {
    if (is_blank(c) || c == '\n' || c == '#') return false;
  }
  return true;
}

bool read_json(std::string_view text, Line& line, LineMemory& memory) {
  std::string& broken = memory.broken;
  line.in_memory = true;
  const auto json = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (!json.is_object()) return wrong(broken, "no JSON object");
  bool has_value = false, has_priority = false;
  for (const auto& [key, field] : json.items()) {
    bool right = true;
    if (key == "process") {
      right = take_name(field, memory.process);
      line.process = memory.process;
    } else if (key == "value") {
      right = has_value = take_name(field, memory.value);
      line.value = memory.value;
    } else if (key == "event") {
      const auto word = field.is_string() ? word_of(field.get<std::string>()) : std::nullopt;
      right = word.has_value();
      line.word = word.value_or(Word::none);
    } else if (key == "operation") {
      const auto kind = field.is_string() ? kind_of(field.get<std::string>()) : std::nullopt;
      right = line.has_kind = kind.has_value();
      line.kind = kind.value_or(Kind::send);
    } else if (key == "priority") {
      right = has_priority = field.is_number_integer() && number_of(field.dump(), line.priority);
    } else if (key == "t") {
      right = line.timed = field.is_number_integer() && number_of(field.dump(), line.time);
    } else {
      return wrong(broken, fmt::format("unknown field '{}'", key));
    }
    if (!right)
      return wrong(
          broken, fmt::format("the field '{}' cannot be {}", key,
                              field.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)));
  }
  if (line.process.empty() || line.word == Word::none) {
    return wrong(broken, "the fields 'process' and 'event' are needed");
  }
  return complete(line, has_value, has_priority, broken);
}

bool is_json(std::string_view line) {
  for (const char c : line) {
    if (!is_blank(c)) return c == '{';
  }
  return false;
}

}  // namespace

bool read_line(std::string_view text, Line& line, LineMemory& memory) {
  return is_json(text) ? read_json(text, line, memory) : read_text(text, line, memory.broken);
}

std::string_view to_string(Word word) { return words.at(static_cast<std::size_t>(word)); }

}  // namespace ipctorture::linear
