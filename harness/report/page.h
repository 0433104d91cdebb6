// A page of headings, paragraphs, tables and commands, as Markdown (GitHub's) and as HTML that
// needs nothing from elsewhere: no script, no style sheet, no picture. Every text is escaped: none
// can begin a tag, a link, a heading or a cell.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ipctorture {

enum class Tone : unsigned char { plain, good, bad, doubtful, code };

struct PageCell {
  std::string text;
  Tone tone = Tone::plain;
};

struct PageBlock {
  enum class Kind : unsigned char { heading, paragraph, table, command };
  Kind kind = Kind::paragraph;
  unsigned level = 2;  // of a heading, 1 to 4
  std::string text;    // of all but a table; of a command one line a command
  std::vector<std::string> titles;
  std::vector<std::vector<PageCell>> rows;
};

class Page {
 public:
  explicit Page(std::string title) : title_(std::move(title)) {}
  void heading(unsigned level, std::string text);
  void paragraph(std::string text);
  void command(std::string lines);
  void table(std::vector<std::string> titles, std::vector<std::vector<PageCell>> rows);

  // At most `bytes_max` bytes (at least 4096): rows and blocks at the end are left out, and how
  // many is said there.
  std::string markdown(std::size_t bytes_max) const;
  std::string html(std::size_t bytes_max) const;

 private:
  std::string title_;
  std::vector<PageBlock> blocks_;
};

// One text inside a line of Markdown, or of HTML.
std::string markdown_text(std::string_view text);
std::string html_text(std::string_view text);

}  // namespace ipctorture
