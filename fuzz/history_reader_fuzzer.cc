// libFuzzer: histories from outside. Bytes (fuzz/history_input.h) are records for the test of form
// (harness/history/history.h) and, where it lets them through, for the checkers; text is what a
// bundle says beside its records (harness/report/bundle_json.h).
//
// The checkers must answer, the same with the same history, whatever contract they judge by. Text
// is read, or refused with std::invalid_argument; what is read is written again and must read the
// same. The file history.bin is bundle_reader's. Run: ci/fuzz history_reader
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "fuzz/broken.h"
#include "fuzz/history_input.h"
#include "harness/check/check.h"
#include "harness/report/bundle_json.h"

namespace ipctorture {
namespace {

std::string told(const Judgement& judgement) {
  std::string text;
  for (const Finding& finding : judgement.findings) {
    text += fingerprint(finding) + ": " + finding.what + "\n";
  }
  return text;
}

// At most once an input, for it costs a second judgement.
void judge_twice(const MadeHistory& made) {
  const std::string first = told(check({made.history, made.contract, made.scenario}));
  const std::string second = told(check({made.history, made.contract, made.scenario}));
  if (first != second) broken("the same history is judged differently", first + second);
}

void judge(std::span<const std::byte> bytes) {
  const MadeHistory made = history_of(history_input_from_bytes(bytes));
  if (!history_faults(made.history).empty()) return;
  try {
    judge_twice(made);
  } catch (const std::logic_error& refused) {
    // No producer does what this history tells.
    if (!std::string_view(refused.what()).starts_with("history: ")) throw;
  }
}

void read_evidence(std::string_view text) {
  const auto read = evidence_from_json(text);
  std::size_t left_out = 0;
  const std::string written = evidence_to_json(read, evidence_entries_max, &left_out);
  if (left_out != 0) broken("evidence is lost when written", written);
  if (evidence_to_json(evidence_from_json(written), evidence_entries_max, &left_out) != written) {
    broken("other evidence when written and read", written);
  }
}

void read_judgement(std::string_view text) {
  const std::vector<Segments> kept = {{{.first = 0, .count = 10}}, {{.first = 0, .count = 3}}};
  const std::string written = judgement_to_json(judgement_from_json(text, kept), kept);
  if (judgement_to_json(judgement_from_json(written, kept), kept) != written) {
    broken("another judgement when written and read", written);
  }
}

template <typename Read>
void refusing(const Read& read, std::string_view text) {
  try {
    read(text);
  } catch (const std::invalid_argument& refused) {
    must_say_why(refused.what());
  }
}

}  // namespace
}  // namespace ipctorture

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ipctorture;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.starts_with("ICTH")) {
    try {
      judge(std::as_bytes(std::span(data, size)));
    } catch (const std::invalid_argument& refused) {
      must_say_why(refused.what());
    }
    return 0;
  }
  refusing(read_evidence, text);
  refusing(read_judgement, text);
  refusing([](std::string_view manifest) { (void)manifest_from_json(manifest); }, text);
  return 0;
}
