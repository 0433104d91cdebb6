// Decodes UTF-8 by the letter (Unicode 15, table 3-7): an escape sequence must not get through in
// an overlong form, nor as a C1 control, which some terminals obey.
#include "harness/report/presentable.h"

#include <fmt/format.h>

#include <cstdint>

namespace ipctorture {
namespace {

constexpr std::size_t remark_bytes = 64;  // "[... 12345 bytes left out ...]"

// Bytes of the character that begins `text`, 0 when it is malformed or must not be shown.
std::size_t shown_bytes(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) {
    return (first >= 0x20 && first != 0x7f) || first == '\n' || first == '\t' ? 1 : 0;
  }
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) return 0;
  std::uint32_t point = first & (0x7fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    point = point << 6 | (byte(i) & 0x3fu);
  }
  constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool malformed =
      point < least[size] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff);
  const bool control = point < 0xa0;
  const bool turns = (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
  const bool no_character = (point & 0xfffe) == 0xfffe;
  return malformed || control || turns || no_character ? 0 : size;
}

}  // namespace

std::string presentable(std::string_view text, std::size_t bytes_max) {
  if (text.size() > bytes_max) {
    const std::size_t half = (bytes_max - remark_bytes) / 2;
    return presentable(text.substr(0, half), half) +
           fmt::format("\n[... {} bytes left out ...]\n", text.size() - 2 * half) +
           presentable(text.substr(text.size() - half), half);
  }
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    const std::size_t bytes = shown_bytes(text);
    if (bytes == 0) {
      shown += '?';
      text.remove_prefix(1);
    } else {
      shown += text.substr(0, bytes);
      text.remove_prefix(bytes);
    }
  }
  return shown;
}

}  // namespace ipctorture
