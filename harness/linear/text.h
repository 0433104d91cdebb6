// Histories as files, which any program can write: one event a line.
//
//   PROCESS invoke send VALUE [priority=N]     PROCESS ok send       PROCESS full send
//   PROCESS invoke receive                     PROCESS ok receive VALUE    PROCESS empty receive
//   PROCESS timeout | closed | fail | info | join | leave       [t=NANOSECONDS at the end of a
//   line]
//
// Processes and values are words without blanks. `#` begins a comment. Either the lines of one file
// are in the order in which things happened; or each line ends in t=, and several files are merged,
// equal times counting as concurrent. `info` says that the outcome is unknown, and so does the end
// of the file; `fail`, that nothing happened. As JSON a line is an object with the fields
// "process", "event", "operation", "value", "priority", "t".
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "harness/linear/history.h"

namespace ipctorture::linear {

inline constexpr std::size_t line_bytes_max = 4096;
inline constexpr Index processes_max = 65536;

// "FILE:LINE: which rule is broken", or what could not be read.
class BadHistory : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Where an event stands.
struct Place {
  std::string file;
  std::uint32_t line = 0;
};

struct Recorded {
  History history;
  Names names;
  // "history.txt:12"; of an event that no line tells (the end of an unanswered operation) "".
  std::string place(Rank rank) const;

  std::vector<std::string> files;
  std::vector<std::uint32_t> line_of;  // by rank
  std::vector<std::uint16_t> file_of;  // by rank; empty when there is one file
};

enum class Values : std::uint8_t { sent_once, may_repeat };

// Reads files, or what a descriptor like /dev/stdin gives, in pieces of 256 KB: at most 40 bytes an
// event beside the names. Throws BadHistory and std::bad_alloc. Not for signal handlers.
Recorded read_history(const std::vector<std::string>& files, Values values);

// The same from memory; `name` stands for the file in errors.
Recorded parse_history(std::string_view text, Values values, const std::string& name = "history");

enum class Form : std::uint8_t { text, json };
// The lines of a history, in order and without times; what is read from them is equal.
std::string written(const History& history, const Names& names, Form form);

}  // namespace ipctorture::linear
