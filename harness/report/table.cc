#include "harness/report/table.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace ipctorture {
namespace {

constexpr std::size_t gap_width = 2;
constexpr std::size_t first_width_min = 8;

bool continues_code_point(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

void append_cell(std::string& line, const std::string& cell, std::size_t width, Align align) {
  const std::string blanks(width - std::min(width, text_width(cell)), ' ');
  line += align == Align::right ? blanks + cell : cell + blanks;
}

std::size_t total_width(const std::vector<std::size_t>& widths,
                        const std::vector<std::size_t>& shown) {
  std::size_t total = gap_width * (shown.size() - 1);
  for (const std::size_t column : shown) total += widths[column];
  return total;
}

}  // namespace

std::size_t text_width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !continues_code_point(c); }));
}

std::string cut_text(std::string_view text, std::size_t width) {
  if (text_width(text) <= width) return std::string(text);
  if (width == 0) return {};
  std::size_t end = 0;
  for (std::size_t cells = 0; end < text.size(); ++end) {
    if (!continues_code_point(text[end]) && cells++ == width - 1) break;
  }
  return std::string(text.substr(0, end)) + "~";
}

void Table::add(std::vector<std::string> cells) {
  if (cells.size() != columns_.size()) throw std::logic_error("a table's row has too few cells");
  rows_.push_back(std::move(cells));
}

std::vector<std::size_t> Table::widths() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = text_width(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, text_width(row[i]));
    widths.push_back(width);
  }
  return widths;
}

std::string Table::text(std::size_t width) const {
  width = std::max<std::size_t>(width, 20);
  std::vector<std::size_t> widths = this->widths();
  std::vector<std::size_t> shown(columns_.size());
  std::iota(shown.begin(), shown.end(), 0u);
  // The first column may shrink before another is dropped, but not below what tells rows apart.
  while (shown.size() > 1) {
    const std::size_t total = total_width(widths, shown);
    const std::size_t spare =
        widths[0] - std::min(widths[0], std::max(first_width_min, widths[0] / 2));
    if (total <= width + spare) break;
    const auto least = std::min_element(shown.rbegin(), shown.rend() - 1, [&](auto a, auto b) {
      return columns_[a].importance < columns_[b].importance;
    });
    shown.erase(std::next(least).base());
  }
  const std::size_t total = total_width(widths, shown);
  if (total > width) widths[0] -= std::min(widths[0] - 1, total - width);

  std::string text;
  const auto append_line = [&](auto cell_of) {
    std::string line;
    for (const std::size_t column : shown) {
      if (column != shown.front()) line.append(gap_width, ' ');
      append_cell(line, cut_text(cell_of(column), widths[column]), widths[column],
                  columns_[column].align);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  append_line([&](std::size_t column) -> const std::string& { return columns_[column].title; });
  for (const auto& row : rows_) {
    append_line([&](std::size_t column) -> const std::string& { return row[column]; });
  }
  return text;
}

}  // namespace ipctorture
