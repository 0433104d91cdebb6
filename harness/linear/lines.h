// One line of a recorded history, as text or JSON, taken apart; what it means in its place is
// text.cc's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "harness/linear/history.h"

namespace ipctorture::linear {

enum class Word : std::uint8_t {
  none,  // an empty line
  invoke,
  ok,
  full,
  empty,
  timeout,
  closed,
  fail,
  info,
  join,
  leave,
};

struct Line {
  std::string_view process, value;  // into the line, or into `kept`
  std::uint64_t time = 0;
  std::int32_t priority = 0;
  Word word = Word::none;
  Kind kind = Kind::send;
  bool has_kind = false;
  bool timed = false;
  std::string kept[2];  // of JSON
};

bool is_json(std::string_view line);

// False with the rule that the line breaks. A line of blanks alone has no word.
bool read_line(std::string_view text, Line& line, std::string& broken);

std::string_view to_string(Word word);

}  // namespace ipctorture::linear
