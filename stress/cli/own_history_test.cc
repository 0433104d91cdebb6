// docs/check-your-own-history.md: its program, in a language that is not ours, is run, and its
// commands answer what the page says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "stress/cli/child.h"

namespace ipctorture {
namespace {

using testing::HasSubstr;

constexpr const char* python = "/usr/bin/python3";

// What stands between ``` lines, the first block that begins with this.
std::string block(const std::string& page, const std::string& beginning) {
  const std::size_t at = page.find("\n```" + beginning);
  if (at == std::string::npos) return "";
  const std::size_t from = page.find('\n', at + 1) + 1;
  return page.substr(from, page.find("\n```", from) + 1 - from);
}

// Runs the commands of the page; what they say is in the lines below each.
TEST(OwnHistory, ThePageTellsTheTruth) {
  const std::string page = text_of(IPCTORTURE_DOCS "/check-your-own-history.md");
  const std::string program = block(page, "python\n");
  const std::string session = block(page, "\n$ ");
  ASSERT_THAT(program, HasSubstr("import"));
  if (!std::ifstream(python)) GTEST_SKIP() << "no " << python;
  const Scratch scratch;
  std::ofstream(scratch.path("record.py")) << program;
  std::string said, expected;
  unsigned commands = 0;
  for (const std::string& line : lines_of(session)) {
    if (line.substr(0, 2) != "$ ") {
      expected += line + "\n";
      continue;
    }
    std::vector<std::string> words;
    std::istringstream in(line.substr(2));
    for (std::string word; in >> word;) words.push_back(word);
    Surroundings around;
    if (words.at(0) == "python3") around.program = python;
    words.erase(words.begin());
    const Ended ended = run_program(scratch, words, around);
    EXPECT_EQ(ended.err, "") << line;
    said += ended.out;
    ++commands;
  }
  EXPECT_EQ(commands, 5u);
  EXPECT_EQ(said, expected);
}

}  // namespace
}  // namespace ipctorture
