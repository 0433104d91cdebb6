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
  std::string_view process, value;  // into the line, or into memory
  std::uint64_t time = 0;
  std::int32_t priority = 0;
  Word word = Word::none;
  Kind kind = Kind::send;
  bool has_kind = false;
  bool timed = false;
  bool in_memory = false;        // points into the LineMemory
  std::uint32_t number = 0;      // for who reads it: of the line in its file,
  std::uint32_t value_hash = 0;  // of the value
};

// Owned by the caller, so that a line costs no allocation.
struct LineMemory {
  std::string process, value;  // of JSON, where a Line points into them
  std::string broken;          // the rule that the line breaks
};

// Fills a fresh Line; false when a rule is broken. A line of blanks and a comment alone has no
// word.
bool read_line(std::string_view text, Line& line, LineMemory& memory);

std::string_view to_string(Word word);

}  // namespace ipctorture::linear
