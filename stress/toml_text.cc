#include "stress/toml_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "stress/settings.h"

namespace ipctorture {
namespace {

constexpr std::string_view blanks = " \t", line_starts = " \t\v\f\r";
constexpr std::string_view key_starts =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-\"'";

[[noreturn]] void refuse(const std::string& file, std::size_t line, const char* why) {
  throw UsageError(fmt::format("{}:{}: {}", file, line, why));
}

// Why the library must not see this line; null: it may. toml++ 3.3 takes for granted that a key
// follows '[' at the beginning of a line, and that what is not ASCII and stands outside of texts is
// one of few blanks: anything else is undefined behaviour there. Arrays within arrays and texts
// over several lines go with it; no file of ours has some.
const char* unbearable(std::string_view line, bool is_last) {
  std::string_view rest = line.substr(std::min(line.find_first_not_of(line_starts), line.size()));
  if (rest.starts_with('[')) {
    rest.remove_prefix(rest.starts_with("[[") ? 2 : 1);
    rest.remove_prefix(std::min(rest.find_first_not_of(blanks), rest.size()));
    const bool is_key = !rest.empty() && key_starts.find(rest[0]) != std::string_view::npos;
    if (!is_key && !(rest.empty() && is_last)) return "a name is wanted behind '['";
  }
  char quote = 0;
  for (std::size_t i = 0; i < line.size() && (quote != 0 || line[i] != '#'); ++i) {
    const char c = line[i];
    if (quote != 0) {
      if (quote == '"' && c == '\\') ++i;
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      if (line.substr(i).starts_with(std::string(3, c))) return "a text must stand in one line";
      quote = c;
    } else if (static_cast<unsigned char>(c) >= 0x80) {
      return "only texts and comments may hold what is not ASCII";
    }
  }
  return nullptr;
}

void refuse_the_unbearable(std::string_view text, const std::string& file) {
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    const bool is_last = end == std::string_view::npos;
    const char* const why = unbearable(text.substr(0, end), is_last);
    if (why != nullptr) refuse(file, number, why);
    text.remove_prefix(is_last ? text.size() : end + 1);
  }
}

}  // namespace

toml::table read_toml_text(std::string_view text, const std::string& file) {
  refuse_the_unbearable(text, file);
  try {
    return toml::parse(text, file);
  } catch (const toml::parse_error& error) {
    throw UsageError(
        fmt::format("{}:{}: {}", file, error.source().begin.line, error.description()));
  }
}

}  // namespace ipctorture
