#include "harness/schedule/choices.h"

#include <charconv>
#include <stdexcept>

namespace ipctorture::schedule {
namespace {

constexpr std::string_view change_names[] = {"run", "timeout", "answer", "kill"};

[[noreturn]] void refuse(std::string_view word) {
  throw std::invalid_argument("choices: '" + std::string(word.substr(0, 40)) +
                              "' is not LANE@STEP:CHANGE=VALUE");
}

// The number at the front of `text`, which it is cut from.
std::uint32_t take_number(std::string_view& text, std::uint32_t most, std::string_view word) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number > most) refuse(word);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

void take(std::string_view& text, char expected, std::string_view word) {
  if (text.empty() || text.front() != expected) refuse(word);
  text.remove_prefix(1);
}

Departure departure_from(std::string_view word) {
  std::string_view rest = word;
  Departure departure;
  departure.lane = static_cast<std::uint8_t>(take_number(rest, lanes_max - 1, word));
  take(rest, '@', word);
  departure.step = take_number(rest, UINT32_MAX, word);
  take(rest, ':', word);
  for (unsigned i = 0; i < 4; ++i) {
    if (!rest.starts_with(change_names[i])) continue;
    departure.change = static_cast<Change>(i);
    rest.remove_prefix(change_names[i].size());
    if (departure.change != Change::kill) {
      take(rest, '=', word);
      departure.value = static_cast<std::uint8_t>(take_number(rest, 255, word));
    }
    if (!rest.empty()) refuse(word);
    const bool names_lane = departure.change == Change::run || departure.change == Change::time_out;
    if (names_lane && departure.value >= lanes_max) refuse(word);
    return departure;
  }
  refuse(word);
}

}  // namespace

std::string_view to_string(Point point) {
  constexpr std::string_view names[point_count] = {"start",
                                                   "read",
                                                   "write",
                                                   "copy",
                                                   "load",
                                                   "store",
                                                   "after store",
                                                   "update",
                                                   "fence",
                                                   "futex_wait",
                                                   "futex_wake",
                                                   "mutex_lock",
                                                   "mutex_unlock",
                                                   "cond_wait",
                                                   "cond_signal",
                                                   "sem_wait",
                                                   "sem_post",
                                                   "rwlock",
                                                   "barrier",
                                                   "read()",
                                                   "write()",
                                                   "poll()",
                                                   "connect()",
                                                   "accept()",
                                                   "open()",
                                                   "close()",
                                                   "mmap()",
                                                   "file call",
                                                   "file lock",
                                                   "message queue",
                                                   "System V call",
                                                   "signal call",
                                                   "timer call",
                                                   "process call",
                                                   "thread call",
                                                   "sleep",
                                                   "yield",
                                                   "between operations",
                                                   "waits for orders",
                                                   "choice",
                                                   "end"};
  return names[static_cast<unsigned>(point) % point_count];
}

std::string_view to_string(Question question) {
  constexpr std::string_view names[question_count] = {
      "waiter", "shorter", "interrupted", "spurious", "stale", "shortage", "hostile", "unbacked"};
  return names[static_cast<unsigned>(question) % question_count];
}

std::string_view to_string(Change change) {
  return change_names[static_cast<unsigned>(change) % 4];
}

std::string to_text(const Departures& departures) {
  std::string text;
  for (const Departure& d : departures) {
    if (!text.empty()) text += ' ';
    text += std::to_string(d.lane) + '@' + std::to_string(d.step) + ':' +
            std::string(to_string(d.change));
    if (d.change != Change::kill) text += '=' + std::to_string(d.value);
  }
  return text;
}

Departures departures_from_text(std::string_view text) {
  Departures departures;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end > 0) {
      if (departures.size() == departures_max) {
        throw std::invalid_argument("choices: more than 16384");
      }
      departures.push_back(departure_from(text.substr(0, end)));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return departures;
}

}  // namespace ipctorture::schedule
