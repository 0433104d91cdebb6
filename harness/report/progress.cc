#include "harness/report/progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/report/summary.h"

namespace ipctorture {
namespace {

constexpr Instant bar_every_ns = 100'000'000;
constexpr Instant line_every_ns = 5'000'000'000;
constexpr std::size_t bar_cells_max = 30;

double share_done(const ProgressState& s) {
  double share = 0;
  if (s.total_ns > 0) {
    share = static_cast<double>(s.elapsed_ns) / static_cast<double>(s.total_ns);
  }
  if (s.scenarios_max > 0) {
    const double runs = static_cast<double>(s.scenarios) / static_cast<double>(s.scenarios_max);
    share = std::max(share, runs);
  }
  return std::clamp(share, 0.0, 1.0);
}

std::string elapsed_text(const ProgressState& s) {
  const std::string elapsed = fmt::format("{}s", s.elapsed_ns / 1'000'000'000);
  return s.total_ns > 0 ? fmt::format("{}/{}", elapsed, human_duration(s.total_ns)) : elapsed;
}

}  // namespace

std::string progress_line(const ProgressState& s) {
  std::string text = fmt::format("{}: {} {}", elapsed_text(s), s.scenarios, s.unit);
  const bool counts_messages = s.unit == "scenarios";
  if (counts_messages) {
    text += fmt::format(", {} messages", human_count(static_cast<double>(s.messages)));
  }
  if (s.violations > 0) text += fmt::format(", {} VIOLATIONS", s.violations);
  if (!s.now.empty()) text += fmt::format(", now {}", s.now);
  return text;
}

std::string progress_bar(const ProgressState& s, std::size_t width) {
  const std::string text = progress_line(s);
  if (width < text_width(text) + 13) return cut_text(text, width);  // no room for a bar of 10
  const std::size_t cells = std::min(bar_cells_max, width - text_width(text) - 3);
  const auto full = static_cast<std::size_t>(share_done(s) * static_cast<double>(cells));
  return "[" + std::string(full, '#') + std::string(cells - full, '.') + "] " + text;
}

void Progress::update(const ProgressState& state, Instant now) {
  if (form_ == ProgressForm::none) return;
  const Instant every = form_ == ProgressForm::bar ? bar_every_ns : line_every_ns;
  if (shown_at_ != 0 && now - shown_at_ < every) return;
  shown_at_ = now;
  if (form_ == ProgressForm::lines) {
    sink_(progress_line(state) + "\n");
    return;
  }
  // The last column stays free: some terminals wrap when it is written.
  sink_("\r" + progress_bar(state, width_ - std::min<std::size_t>(width_, 1)) + "\x1b[K");
  on_screen_ = true;
}

void Progress::clear() {
  if (!on_screen_) return;
  sink_("\r\x1b[K");
  on_screen_ = false;
  shown_at_ = 0;
}

}  // namespace ipctorture
