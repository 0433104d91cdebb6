#include "harness/report/table.h"

#include <gtest/gtest.h>

#include <sstream>

namespace ipctorture {
namespace {

Table example() {
  Table table({{"name", Align::left, 9}, {"count", Align::right, 1}, {"verdict", Align::left, 5}});
  table.add({"pipe", "12", "pass"});
  table.add({"a_transport_of_thirty_letters_", "1234567", "VIOLATION"});
  return table;
}

std::size_t widest_line(const std::string& text) {
  std::istringstream lines(text);
  std::size_t widest = 0;
  for (std::string line; std::getline(lines, line);) widest = std::max(widest, text_width(line));
  return widest;
}

TEST(Table, AlignsColumns) {
  EXPECT_EQ(example().text(80),
            "name                              count  verdict\n"
            "pipe                                 12  pass\n"
            "a_transport_of_thirty_letters_  1234567  VIOLATION\n");
}

TEST(Table, NeverWiderThanAsked) {
  for (std::size_t width = 20; width < 100; ++width) {
    EXPECT_LE(widest_line(example().text(width)), width);
  }
}

TEST(Table, CutsTheFirstColumnBeforeItDropsOthers) {
  const std::string text = example().text(42);
  EXPECT_NE(text.find("count"), std::string::npos);
  EXPECT_NE(text.find("a_transport_of_thirt"), std::string::npos);
  EXPECT_NE(text.find('~'), std::string::npos);
}

TEST(Table, DropsTheLeastImportantFirst) {
  const std::string text = example().text(30);
  EXPECT_EQ(text.find("count"), std::string::npos);
  EXPECT_NE(text.find("VIOLATION"), std::string::npos);
}

TEST(Table, RefusesARowOfAnotherLength) {
  Table table({{"a"}, {"b"}});
  EXPECT_THROW(table.add({"only one"}), std::logic_error);
}

TEST(CutText, CountsCodePoints) {
  EXPECT_EQ(text_width("3 µs"), 4u);
  EXPECT_EQ(cut_text("µµµµ", 4), "µµµµ");
  EXPECT_EQ(cut_text("µµµµ", 3), "µµ~");
  EXPECT_EQ(cut_text("abc", 0), "");
}

}  // namespace
}  // namespace ipctorture
