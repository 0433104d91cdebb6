// libFuzzer: the readers of a night (harness/report/night.h): step.json, results.jsonl and log.txt
// of a step, night.json, `replay --json`, history.jsonl of the nights before.
//
// An input is one text, or the three of a step with a zero byte between them. No reader may throw:
// what makes no sense is said on the page. Whatever they pass on must be one line, bounded and
// presentable; a line of the history is written again and must read the same. Run: ci/fuzz
// night_reader
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/broken.h"
#include "harness/report/night.h"
#include "harness/report/presentable.h"

namespace ipctorture {
namespace {

void must_be_a_line(const std::string& text) {
  if (text.size() > night_text_bytes_max + 8) broken("too long for the page", text);
  if (text.find('\n') != std::string::npos) broken("is no single line", text);
  if (presentable(text, text.size() + 1) != text) broken("is not presentable", text);
}

std::string_view cut(std::string_view* text) {
  const std::size_t end = std::min(text->find('\0'), text->size());
  const std::string_view part = text->substr(0, end);
  text->remove_prefix(std::min(end + 1, text->size()));
  return part;
}

NightStep read_step(std::string_view text) {
  StepFiles files{.folder = "run"};
  files.step = cut(&text);
  files.results = cut(&text);
  files.log = text;
  if (!files.log.empty()) files.found = {"found/crash-1"};
  NightStep step = read_night_step(files);
  for (const std::string* said : {&step.engine, &step.sanitizer, &step.target, &step.why}) {
    must_be_a_line(*said);
  }
  for (const NightSighting& seen : step.sightings) {
    for (const std::string* said : {&seen.transport, &seen.fingerprint, &seen.what, &seen.bundle}) {
      must_be_a_line(*said);
    }
  }
  for (const std::string& failure : step.harness_failures) {
    if (failure.find('\n') != std::string::npos) broken("is no single line", failure);
  }
  return step;
}

void read_nights(std::string_view text, std::vector<NightFigures>* nights) {
  std::uint64_t unread = 0;
  *nights = read_history(text, &unread);
  std::string written;
  for (const NightFigures& one : *nights) written += history_line(one);
  std::uint64_t unread_again = 0;
  std::string again;
  for (const NightFigures& one : read_history(written, &unread_again)) again += history_line(one);
  if (unread_again != 0 || again != written) broken("other nights when written and read", written);
}

void read_everything(std::string_view text) {
  std::vector<NightFigures> nights;
  read_nights(text, &nights);
  NightStep step = read_step(text);
  NightFrame frame = read_night_frame(text);
  for (const std::string& note : frame.notes) must_be_a_line(note);
  (void)read_hit_rate(text);
  const Night night = merge_night(std::move(frame), {std::move(step)}, std::move(nights));
  const std::string line = history_line(figures_of(night, 1));
  std::uint64_t unread = 0;
  (void)read_history(add_to_history(text, figures_of(night, 1)), &unread);
  if (line.empty() || line.find('\n') != line.size() - 1) broken("is no single line", line);
}

}  // namespace
}  // namespace ipctorture

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ipctorture::read_everything({reinterpret_cast<const char*>(data), size});
  return 0;
}
