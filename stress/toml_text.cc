#include "stress/toml_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "stress/settings.h"

namespace ipctorture {
namespace {

constexpr std::string_view blanks = " \t", line_starts = " \t\v\f\r";
constexpr std::string_view key_starts =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-\"'";

// The character at the front of `text`, which it is cut from; nothing: that is no UTF-8.
std::optional<char32_t> take_character(std::string_view* text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>((*text)[i]); };
  const unsigned first = byte(0);
  const std::size_t size = first < 0xc2   ? 0
                           : first < 0xe0 ? 2
                           : first < 0xf0 ? 3
                           : first < 0xf5 ? 4
                                          : 0;
  if (size == 0 || size > text->size()) return std::nullopt;
  char32_t character = first & (0x7fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0u) != 0x80u) return std::nullopt;
    character = character << 6 | (byte(i) & 0x3fu);
  }
  constexpr char32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = character >= 0xd800 && character < 0xe000;
  if (character < least[size] || surrogate || character > 0x10ffff) return std::nullopt;
  text->remove_prefix(size);
  return character;
}

// toml++ 3.3 takes for granted that a key follows '[' at the beginning of a line, and that what is
// not ASCII is within a text, or one of few blanks: anything else is undefined behaviour there. So
// it gets ASCII alone. Arrays within arrays and texts over several lines go with it; no file of
// ours has some.
class Line {
 public:
  Line(std::string_view line, bool is_last) : rest_(line), is_last_(is_last) {}

  // Null, or why it is refused; `to` gets the line as ASCII.
  const char* translate(std::string* to) {
    if (names_no_table()) return "a name is wanted behind '['";
    while (!rest_.empty()) {
      const char* const why = step(to);
      if (why != nullptr) return why;
    }
    return nullptr;
  }

 private:
  enum class Place : char { outside = 0, comment = '#', text = '"', literal = '\'' };

  bool names_no_table() const {
    std::string_view rest =
        rest_.substr(std::min(rest_.find_first_not_of(line_starts), rest_.size()));
    if (!rest.starts_with('[')) return false;
    rest.remove_prefix(rest.starts_with("[[") ? 2 : 1);
    rest.remove_prefix(std::min(rest.find_first_not_of(blanks), rest.size()));
    if (rest.empty()) return !is_last_;
    return key_starts.find(rest[0]) == std::string_view::npos;
  }

  const char* step(std::string* to) {
    const char c = rest_[0];
    if (static_cast<unsigned char>(c) >= 0x80) return foreign(to);
    if (place_ == Place::outside && rest_.starts_with(c == '"' ? "\"\"\"" : "'''")) {
      return "a text must stand in one line";
    }
    const bool escape = place_ == Place::text && c == '\\' && rest_.size() > 1 &&
                        static_cast<unsigned char>(rest_[1]) < 0x80;
    const std::size_t size = escape ? 2 : 1;
    to->append(rest_.substr(0, size));
    rest_.remove_prefix(size);
    if (place_ == Place::outside && (c == '#' || c == '"' || c == '\'')) {
      place_ = static_cast<Place>(c);
    } else if (place_ != Place::outside && place_ != Place::comment &&
               c == static_cast<char>(place_)) {
      place_ = Place::outside;
    }
    return nullptr;
  }

  const char* foreign(std::string* to) {
    const auto character = take_character(&rest_);
    if (!character) return "is no UTF-8";
    if (place_ == Place::comment) {
      *to += '?';
    } else if (place_ == Place::text) {
      *to += fmt::format("\\U{:08x}", static_cast<unsigned>(*character));
    } else {
      return "what is not ASCII must stand between double quotes";
    }
    return nullptr;
  }

  std::string_view rest_;
  const bool is_last_;
  Place place_ = Place::outside;
};

std::string as_ascii(std::string_view text, const std::string& file) {
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  std::string ascii;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    const bool is_last = end == std::string_view::npos;
    const char* const why = Line(text.substr(0, end), is_last).translate(&ascii);
    if (why != nullptr) throw UsageError(fmt::format("{}:{}: {}", file, number, why));
    if (!is_last) ascii += '\n';
    text.remove_prefix(is_last ? text.size() : end + 1);
  }
  return ascii;
}

}  // namespace

void throw_taken_for_granted(const char* fact) { throw TomlTakenForGranted(fact); }

toml::table read_toml_text(std::string_view text, const std::string& file) {
  const std::string ascii = as_ascii(text, file);
  try {
    return toml::parse(ascii, file);
  } catch (const toml::parse_error& error) {
    throw UsageError(
        fmt::format("{}:{}: {}", file, error.source().begin.line, error.description()));
  } catch (const TomlTakenForGranted&) {
    throw UsageError(file + ": is no TOML");
  }
}

}  // namespace ipctorture
