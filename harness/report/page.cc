#include "harness/report/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace ipctorture {
namespace {

constexpr std::size_t remark_bytes = 512;  // room for what is said of what was left out

constexpr std::string_view style =
    "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em;"
    "color:#222;background:#fff}"
    "table{border-collapse:collapse;margin:1em 0;display:block;overflow-x:auto}"
    "th,td{border:1px solid #ccc;padding:.25em .6em;text-align:left;vertical-align:top}"
    "th{background:#f2f2f2}pre{background:#f6f6f6;padding:.8em;overflow-x:auto}"
    ".good{background:#e2f5e2}.bad{background:#fadada;font-weight:600}.doubtful{background:#fff3cf}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}"
    "th,pre{background:#262626}th,td{border-color:#444}.good{background:#1d3a1d}"
    ".bad{background:#522}.doubtful{background:#4a3d10}}";

// The longest run of backticks: a fence must be longer.
std::size_t longest_ticks(std::string_view text) {
  std::size_t longest = 0, run = 0;
  for (const char c : text) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  return longest;
}

std::string markdown_code(std::string_view text) {
  if (text.empty()) return "";
  const std::string fence(longest_ticks(text) + 1, '`');
  std::string shown;
  for (const char c : text) {
    if (c == '|') shown += '\\';  // also within code a bar would end the cell
    shown += c == '\n' || c == '\r' ? ' ' : c;
  }
  return fmt::format("{} {} {}", fence, shown, fence);
}

std::string markdown_cell(const PageCell& cell) {
  if (cell.tone == Tone::code) return markdown_code(cell.text);
  const std::string text = markdown_text(cell.text);
  return cell.tone == Tone::bad && !text.empty() ? "**" + text + "**" : text;
}

std::string html_cell(const PageCell& cell) {
  constexpr const char* names[] = {"", " class=\"good\"", " class=\"bad\"", " class=\"doubtful\""};
  if (cell.tone == Tone::code) return "<td><code>" + html_text(cell.text) + "</code></td>";
  return fmt::format("<td{}>{}</td>", names[static_cast<unsigned>(cell.tone)],
                     html_text(cell.text));
}

// A page that grows to a bound and no further; then it only counts.
struct Bounded {
  std::string text;
  std::size_t bytes_max = 0;
  std::size_t left_out = 0;
  bool add(const std::string& part) {
    if (left_out > 0 || text.size() + part.size() + remark_bytes > bytes_max) {
      ++left_out;
      return false;
    }
    text += part;
    return true;
  }
};

struct TableForm {
  std::string begin, end;  // with the titles
  std::function<std::string(const std::vector<PageCell>&)> row;
};

// Its end follows only when its beginning was written, so it is counted in from the start.
void add_table(const PageBlock& block, const TableForm& form, Bounded* page) {
  if (!page->add(form.begin)) {
    page->left_out += block.rows.size();
    return;
  }
  for (const auto& row : block.rows) page->add(form.row(row));
  page->text += form.end;
}

TableForm markdown_table(const PageBlock& block) {
  TableForm form;
  std::string rule = "|";
  form.begin = "|";
  for (const std::string& title : block.titles) {
    form.begin += " " + markdown_text(title) + " |";
    rule += "---|";
  }
  form.begin += "\n" + rule + "\n";
  form.end = "\n";
  form.row = [](const std::vector<PageCell>& row) {
    std::string line = "|";
    for (const PageCell& cell : row) line += " " + markdown_cell(cell) + " |";
    return line + "\n";
  };
  return form;
}

TableForm html_table(const PageBlock& block) {
  TableForm form;
  form.begin = "<table><tr>";
  for (const std::string& title : block.titles) form.begin += "<th>" + html_text(title) + "</th>";
  form.begin += "</tr>\n";
  form.end = "</table>\n";
  form.row = [](const std::vector<PageCell>& row) {
    std::string line = "<tr>";
    for (const PageCell& cell : row) line += html_cell(cell);
    return line + "</tr>\n";
  };
  return form;
}

}  // namespace

std::string markdown_text(std::string_view text) {
  std::string shown;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '&') {
      shown += "&amp;";
    } else if (c == '<') {
      shown += "&lt;";
    } else if (c == '>') {
      shown += "&gt;";
    } else if (c == '\n' || c == '\r' || c == '\t') {
      shown += ' ';
    } else if (text.substr(i).starts_with("://") || c == '@') {
      shown += fmt::format("&#{};", static_cast<unsigned>(c));  // makes links by itself
    } else if (c == '.' && i >= 3 && text.substr(i - 3, 3) == "www") {
      shown += "&#46;";
    } else {
      if (std::string_view("\\`*_{}[]|~#!+").find(c) != std::string_view::npos) shown += '\\';
      shown += c;
    }
  }
  // Where a line begins, these would begin a list or a heading.
  if (shown.starts_with("-") || shown.starts_with("=")) shown.insert(0, "\\");
  return shown;
}

std::string html_text(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    switch (c) {
      case '&':
        shown += "&amp;";
        break;
      case '<':
        shown += "&lt;";
        break;
      case '>':
        shown += "&gt;";
        break;
      case '"':
        shown += "&quot;";
        break;
      case '\'':
        shown += "&#39;";
        break;
      default:
        shown += c;
    }
  }
  return shown;
}

void Page::heading(unsigned level, std::string text) {
  blocks_.push_back({.kind = PageBlock::Kind::heading,
                     .level = std::clamp(level, 1u, 4u),
                     .text = std::move(text)});
}

void Page::paragraph(std::string text) {
  blocks_.push_back({.kind = PageBlock::Kind::paragraph, .text = std::move(text)});
}

void Page::command(std::string lines) {
  blocks_.push_back({.kind = PageBlock::Kind::command, .text = std::move(lines)});
}

void Page::table(std::vector<std::string> titles, std::vector<std::vector<PageCell>> rows) {
  blocks_.push_back(
      {.kind = PageBlock::Kind::table, .titles = std::move(titles), .rows = std::move(rows)});
}

std::string Page::markdown(std::size_t bytes_max) const {
  Bounded page{.text = "# " + markdown_text(title_) + "\n\n", .bytes_max = bytes_max};
  for (const PageBlock& block : blocks_) {
    switch (block.kind) {
      case PageBlock::Kind::heading:
        page.add(std::string(block.level, '#') + " " + markdown_text(block.text) + "\n\n");
        break;
      case PageBlock::Kind::paragraph:
        page.add(markdown_text(block.text) + "\n\n");
        break;
      case PageBlock::Kind::command: {
        const std::string fence(std::max<std::size_t>(3, longest_ticks(block.text) + 1), '`');
        page.add(fence + "\n" + block.text + "\n" + fence + "\n\n");
        break;
      }
      case PageBlock::Kind::table:
        add_table(block, markdown_table(block), &page);
    }
  }
  if (page.left_out > 0) {
    page.text += fmt::format(
        "**Left out for its size: {} rows and paragraphs.** The whole page is "
        "report.md, or report.html, in the night's folder.\n",
        page.left_out);
  }
  return page.text;
}

std::string Page::html(std::size_t bytes_max) const {
  Bounded page{.text = fmt::format("<!DOCTYPE html>\n<html lang=\"en\"><head><meta "
                                   "charset=\"utf-8\"><meta name=\"viewport\" "
                                   "content=\"width=device-width\"><title>{0}</title>\n"
                                   "<style>{1}</style></head><body>\n<h1>{0}</h1>\n",
                                   html_text(title_), style),
               .bytes_max = bytes_max};
  for (const PageBlock& block : blocks_) {
    switch (block.kind) {
      case PageBlock::Kind::heading:
        page.add(fmt::format("<h{0}>{1}</h{0}>\n", block.level, html_text(block.text)));
        break;
      case PageBlock::Kind::paragraph:
        page.add("<p>" + html_text(block.text) + "</p>\n");
        break;
      case PageBlock::Kind::command:
        page.add("<pre>" + html_text(block.text) + "</pre>\n");
        break;
      case PageBlock::Kind::table:
        add_table(block, html_table(block), &page);
    }
  }
  if (page.left_out > 0) {
    page.text += fmt::format(
        "<p class=\"bad\">Left out for its size: {} rows and paragraphs.</p>\n", page.left_out);
  }
  return page.text + "</body></html>\n";
}

}  // namespace ipctorture
