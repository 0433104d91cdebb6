// Shows on standard error how far a campaign is: a bar that rewrites itself on a terminal, a plain
// line now and then elsewhere. One Progress is used by one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "harness/base/clock.h"

namespace ipctorture {

enum class ProgressForm : std::uint8_t { none, lines, bar };

struct ProgressState {
  std::int64_t elapsed_ns = 0;
  std::int64_t total_ns = 0;    // 0: no time budget
  std::uint64_t scenarios = 0;  // done
  std::string_view unit = "scenarios";
  std::uint64_t scenarios_max = 0;  // 0: no budget of runs
  std::uint64_t messages = 0;
  std::uint64_t violations = 0;
  std::string now;  // what runs at the moment
};

// One line without newline, at most `width` cells.
std::string progress_bar(const ProgressState& state, std::size_t width);
std::string progress_line(const ProgressState& state);

class Progress {
 public:
  using Sink = std::function<void(std::string_view)>;
  Progress(ProgressForm form, std::size_t width, Sink sink)
      : form_(form), width_(width), sink_(std::move(sink)) {}
  // Shows the state unless something was shown less than 100 ms (bar) or 5 s (lines) ago.
  void update(const ProgressState& state, Instant now);
  // Erases the bar, so that other text can be written; the next update draws it again.
  void clear();

 private:
  ProgressForm form_;
  std::size_t width_;
  Sink sink_;
  Instant shown_at_ = 0;
  bool on_screen_ = false;
};

}  // namespace ipctorture
