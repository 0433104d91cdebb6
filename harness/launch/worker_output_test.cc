#include "harness/launch/worker_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "harness/base/shared_mapping.h"

namespace ipctorture {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string read_back(const std::string& written) {
  const Descriptor file = create_unnamed_memory("output", 0, Backing::sparse);
  EXPECT_EQ(::write(file.get(), written.data(), written.size()),
            static_cast<ssize_t>(written.size()));
  std::string text = read_output(file.get());
  EXPECT_EQ(::lseek(file.get(), 0, SEEK_CUR), static_cast<off_t>(written.size()));
  return text;
}

TEST(WorkerOutput, AShortOneIsWhole) {
  EXPECT_EQ(read_back(""), "");
  EXPECT_EQ(read_back("boom\n"), "boom\n");
  const std::string most(2 * output_part_max, 'x');
  EXPECT_EQ(read_back(most), most);
}

TEST(WorkerOutput, OfALongOneBeginningAndEndAreKept) {
  const std::string text = read_back("first" + std::string(50'000, '.') + "last");
  EXPECT_THAT(text, StartsWith("first."));
  EXPECT_THAT(text, EndsWith(".last"));
  EXPECT_THAT(text, HasSubstr("\n[... 34009 bytes left out ...]\n"));
  EXPECT_LT(text.size(), 2 * output_part_max + 100);
}

TEST(WorkerOutput, AReportIsFoundFromItsFirstLineOn) {
  for (const char* line : {"==17==ERROR: AddressSanitizer: heap-use-after-free on address 0x6\n",
                           "WARNING: ThreadSanitizer: data race (pid=3)\n",
                           "==17==ERROR: LeakSanitizer: detected memory leaks\n",
                           "==4==WARNING: MemorySanitizer: use-of-uninitialized-value\n",
                           "/src/ring.cc:12:3: runtime error: division by zero\n"}) {
    const std::string report = std::string(line) + "    #0 0x55 in push\n";
    EXPECT_EQ(find_report("hello\n" + report), report);
    EXPECT_EQ(find_report(report), report);
  }
  const std::string first = "a.cc:1:2: runtime error: x\n==1==ERROR: AddressSanitizer: y\n";
  EXPECT_EQ(find_report(first), first);
  EXPECT_EQ(find_report("==1==ERROR: AddressSanitizer: y" + std::string(9000, 'z')).size(),
            report_bytes_max);
}

TEST(WorkerOutput, WhatOnlySoundsLikeAReportIsNone) {
  for (const char* text :
       {"", "hello", "demo: runtime error: broken", "runtime error: broken",
        "Sanitizer: ", "AddressSanitizer: nothing to do\n", "see AddressSanitizer: its manual\n"}) {
    EXPECT_EQ(find_report(text), "") << text;
  }
}

}  // namespace
}  // namespace ipctorture
