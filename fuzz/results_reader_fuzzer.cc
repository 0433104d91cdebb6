// libFuzzer: the reader of results.jsonl, of `run` and of `explore`
// (harness/report/results_reader.h), with the fields of a line (line_fields.h).
//
// It must answer with values or with std::invalid_argument; what it accepts is written again and
// must read the same: from there on text and values stand for each other. Run: ci/fuzz
// results_reader
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "fuzz/broken.h"
#include "harness/report/results_reader.h"

namespace ipctorture {
namespace {

void read_write_read(std::string_view text) {
  ResultLines read = read_results(text, "results.jsonl");
  const std::string written = results_text(read);
  ResultLines again;
  try {
    again = read_results(written, "results.jsonl");
  } catch (const std::invalid_argument& refused) {
    broken(refused.what(), written);
  }
  if (results_text(again) != written) broken("not stable", written);
  const bool same = again.explored == read.explored && again.exit_code == read.exit_code &&
                    again.failures.size() == read.failures.size() &&
                    again.tally.transports.size() == read.tally.transports.size() &&
                    again.explorations.size() == read.explorations.size() &&
                    again.holes == read.holes && again.harness_failures == read.harness_failures;
  if (!same) broken("other results when written and read", written);
  for_each_bundle(&read, [](std::string* path) { path->insert(0, "x/"); });
}

}  // namespace
}  // namespace ipctorture

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    ipctorture::read_write_read({reinterpret_cast<const char*>(data), size});
  } catch (const std::invalid_argument& refused) {
    ipctorture::must_say_why(refused.what());
  }
  return 0;
}
