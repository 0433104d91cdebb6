// Aligned columns for people, in a given width: the least important columns go first when the
// terminal is narrow, then long first cells are cut. Pure text, so it is tested without a terminal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ipctorture {

enum class Colour : unsigned char { none, ansi };

enum class Align : unsigned char { left, right };

struct Column {
  std::string title;
  Align align = Align::left;
  unsigned importance = 0;  // the lowest is dropped first; 0 twice: the later one first
};

// How many terminal cells a UTF-8 text takes, taking every code point for one.
std::size_t text_width(std::string_view text);
// At most `width` cells; what is cut ends in '~'.
std::string cut_text(std::string_view text, std::size_t width);

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // As many cells as columns; throws std::logic_error otherwise.
  void add(std::vector<std::string> cells);
  // Lines ending in newline, no trailing blanks, none wider than `width` (at least 20). The first
  // column always stays.
  std::string text(std::size_t width) const;

 private:
  std::vector<std::size_t> widths() const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace ipctorture
