// Events are the finding's witness. A finding without one (a deadlock, a stall: something did not
// happen) shows the last records of each lane instead, for that is where everyone stands. Time runs
// downwards by invocation, in units from the first event shown; `open` marks an operation that
// never returned. Where columns get narrow, cells are short and a legend below says what they mean;
// where even those do not fit, each event has a line.
#include "harness/report/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "harness/report/presentable.h"
#include "harness/report/short_cells.h"

namespace ipctorture {
namespace {

constexpr std::size_t column_least = 18;  // narrower ones have short cells,
constexpr std::size_t short_least = 8;    // and below that there are none
constexpr std::size_t evidence_max = 12;
constexpr std::size_t sentence_bytes_max = 4096;

std::string duration(std::int64_t ns) {
  const auto value = static_cast<double>(ns);
  if (ns < 1000) return fmt::format("{} ns", ns);
  if (ns < 1'000'000) return fmt::format("{:.1f} us", value / 1e3);
  if (ns < 1'000'000'000) return fmt::format("{:.1f} ms", value / 1e6);
  return fmt::format("{:.1f} s", value / 1e9);
}

std::string counted(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

// Words of `text` in lines of at most `width`; all lines but the first are indented by two more
// when the first one is.
std::string wrapped(std::string_view text, const std::string& indent, std::size_t width) {
  std::string lines, line;
  const auto margin = [&] { return lines.empty() || indent.empty() ? indent : indent + "  "; };
  const auto flush = [&] {
    if (!line.empty()) lines += margin() + line + "\n";
    line.clear();
  };
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(" \n\t"), text.size());
    const std::string_view word = text.substr(0, end);
    if (!line.empty() && margin().size() + line.size() + 1 + word.size() > width) flush();
    if (!word.empty()) line += (line.empty() ? "" : " ") + std::string(word);
    if (end < text.size() && text[end] == '\n') flush();
    text.remove_prefix(std::min(text.size(), end + 1));
  }
  flush();
  return lines;
}

// A cell of exactly `width`; what does not fit ends in '~'.
std::string cell(std::string text, std::size_t width) {
  if (text.size() > width) {
    text.resize(width);
    text.back() = '~';
  }
  text.resize(width, ' ');
  return text;
}

std::string without_trailing_blanks(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

std::vector<EventRef> existing_witness(const Finding& finding, const History& history) {
  std::vector<EventRef> events;
  for (const EventRef& ref : finding.witness) {
    if (ref.lane < history.lanes.size() && ref.record < history.lanes[ref.lane].records.size()) {
      events.push_back(ref);
    }
  }
  return events;
}

std::vector<EventRef> last_of_each_lane(const History& history, std::size_t events_max) {
  std::vector<EventRef> events;
  const std::size_t each = events_max / std::max<std::size_t>(1, history.lanes.size());
  for (unsigned lane = 0; lane < history.lanes.size(); ++lane) {
    const std::size_t size = history.lanes[lane].records.size();
    for (std::size_t i = size - std::min(size, std::clamp<std::size_t>(each, 1, 3)); i < size;
         ++i) {
      events.push_back({lane, i});
    }
  }
  // Of too many those that ended last, the ones still open before all others.
  const auto ended = [&](const EventRef& e) {
    const Record& r = history.lanes[e.lane].records[e.record];
    return r.open() ? ~Stamp{0} : r.returned;
  };
  std::sort(events.begin(), events.end(), [&](const EventRef& a, const EventRef& b) {
    return std::tuple(ended(b), a.lane, a.record) < std::tuple(ended(a), b.lane, b.record);
  });
  if (events.size() > events_max) events.resize(events_max);
  return events;
}

class EventTable {
 public:
  EventTable(const History& history, std::vector<EventRef> events, const ExplainStyle& style)
      : history_(history), events_(std::move(events)), width_(style.width) {
    std::sort(events_.begin(), events_.end(), [this](const EventRef& a, const EventRef& b) {
      return std::tuple(record(a).invoked, a.lane, a.record) <
             std::tuple(record(b).invoked, b.lane, b.record);
    });
    if (events_.size() > style.events_max) events_.resize(style.events_max);
    for (const EventRef& ref : events_) lanes_.push_back(ref.lane);
    std::sort(lanes_.begin(), lanes_.end());
    lanes_.erase(std::unique(lanes_.begin(), lanes_.end()), lanes_.end());
  }

  std::string text() const {
    if (events_.empty()) return {};
    const auto each = [this](std::size_t left) {
      return width_ > left ? (width_ - left) / lanes_.size() : 0;
    };
    if (each(2 + time_width_) >= column_least) {
      return columns(std::min<std::size_t>(each(2 + time_width_), 40));
    }
    if (each(short_time_width_) >= short_least) return short_columns(each(short_time_width_));
    return lines();
  }

 private:
  const Record& record(const EventRef& ref) const {
    return history_.lanes[ref.lane].records[ref.record];
  }
  std::string since_first(const EventRef& ref) const {
    const std::int64_t ns = history_.ns(record(ref).invoked - record(events_.front()).invoked);
    return fmt::format("{:>{}}", "+" + duration(ns), time_width_ - 2);
  }
  std::string took(const Record& r) const {
    if (r.open()) return " [open]";
    if (r.returned == r.invoked) return {};
    return fmt::format(" [{}]", duration(history_.ns(r.returned - r.invoked)));
  }
  std::string columns(std::size_t each) const {
    std::string row = "  " + std::string(time_width_, ' ');
    for (const unsigned lane : lanes_) row += cell(history_.lanes[lane].name(), each - 2) + "  ";
    std::string text = without_trailing_blanks(row);
    for (const EventRef& ref : events_) {
      row = "  " + since_first(ref) + "  ";
      const auto column = std::find(lanes_.begin(), lanes_.end(), ref.lane) - lanes_.begin();
      row += std::string(each * static_cast<std::size_t>(column), ' ');
      const std::string what = describe_record(record(ref)), time = took(record(ref));
      // The time it took gives way first.
      row += cell(what.size() + time.size() <= each - 2 ? what + time : what, each - 2);
      text += without_trailing_blanks(row);
    }
    return text;
  }
  std::string short_columns(std::size_t each) const {
    each = std::min<std::size_t>(each, 12);
    std::string row(short_time_width_, ' ');
    for (const unsigned lane : lanes_) {
      row += cell(short_name(history_.lanes[lane].name()), each - 1) + " ";
    }
    std::string text = without_trailing_blanks(row);
    ShortCells cells;
    for (const EventRef& ref : events_) {
      const std::int64_t ns = history_.ns(record(ref).invoked - record(events_.front()).invoked);
      const auto column = std::find(lanes_.begin(), lanes_.end(), ref.lane) - lanes_.begin();
      row = fmt::format("{:>{}}  ", "+" + duration(ns), short_time_width_ - 2);
      row += std::string(each * static_cast<std::size_t>(column), ' ');
      text += without_trailing_blanks(row + cell(cells.cell(record(ref)), each - 1));
    }
    std::string roles;
    for (const unsigned lane : lanes_) {
      const std::string name = history_.lanes[lane].name();
      const std::string role = short_name(name).substr(0, 1) + " " + name.substr(0, name.find(' '));
      if (roles.find(role) == std::string::npos) roles += role + ", ";
    }
    return text + wrapped(roles + cells.legend(), "  ", width_);
  }
  std::string lines() const {
    std::string text;
    for (const EventRef& ref : events_) {
      const std::string name = history_.lanes[ref.lane].name();
      text += fmt::format("  {}  {}: {}{}\n", since_first(ref), name, describe_record(record(ref)),
                          took(record(ref)));
    }
    return text;
  }

  static constexpr std::size_t time_width_ = 14;
  static constexpr std::size_t short_time_width_ = 12;
  const History& history_;
  std::vector<EventRef> events_;
  std::size_t width_;
  std::vector<unsigned> lanes_;  // that take part
};

std::string evidence_line(const Evidence& e, const History& history) {
  const bool of_lane = e.lane >= 0 && static_cast<std::size_t>(e.lane) < history.lanes.size();
  std::string line = fmt::format(
      "{}: {}", of_lane ? history.lanes[static_cast<std::size_t>(e.lane)].name() : "scenario",
      to_string(e.fact));
  if (e.to > e.from) line += fmt::format(" for {}", duration(history.ns(e.to - e.from)));
  if (e.value != 0) line += fmt::format(" ({})", e.value);
  if (!e.text.empty()) line += ": " + presentable(e.text, 400);
  return line;
}

// Starvation and sleep come by the thousand; what happens rarely tells more.
std::string evidence_lines(const History& history, std::size_t width) {
  std::string text;
  std::size_t shown = 0, more = 0;
  for (const bool common : {false, true}) {
    for (const Evidence& e : history.evidence) {
      if ((e.fact == Fact::asleep || e.fact == Fact::starved) != common) continue;
      if (shown == evidence_max) {
        ++more;
        continue;
      }
      ++shown;
      text += wrapped(evidence_line(e, history), "  ", width);
    }
  }
  if (more > 0) text += fmt::format("  ... and {} more\n", more);
  return text.empty() ? text : "\nSeen from outside:\n" + text;
}

std::string scenario_line(const Scenario& s) {
  const bool replies = s.workload == Workload::request_reply;
  std::string text = fmt::format(
      "{} over {}: {}, {}, {} each of ", to_string(s.workload), s.transport_name(),
      counted(s.producers, replies ? "client" : "producer"),
      counted(s.consumers, replies ? "server" : "consumer"), counted(s.messages, "message"));
  for (std::uint32_t i = 0; i < s.size_count; ++i) {
    text += fmt::format("{}{}", i == 0 ? "" : "/", s.sizes[i]);
  }
  text += fmt::format(" bytes, capacity {}, started by {}, seed {}", s.capacity,
                      to_string(s.launch), s.seed);
  return s.faults.any() ? text + "; faults: " + fault_words(s.faults) : text;
}

std::string other_findings(const Judgement& judgement, const Finding& worst, std::size_t width) {
  std::string text;
  for (const Finding& f : judgement.findings) {
    if (&f == &worst || f.verdict < Verdict::inconclusive) continue;
    text += wrapped(fmt::format("{} of {}: {}", to_string(f.verdict), to_string(f.promise),
                                presentable(f.what, sentence_bytes_max)),
                    "  ", width);
  }
  return text.empty() ? text : "\nAlso:\n" + text;
}

std::string occasions(const Judgement& judgement) {
  std::string text = "\nHow often each promise could have been broken:\n";
  for (const Finding& f : judgement.findings) {
    text += fmt::format("  {:<14} {}\n", to_string(f.promise), f.occasions);
  }
  return text;
}

}  // namespace

std::string describe_record(const Record& r) {
  std::string text(to_string(r.op()));
  if (r.op() == Op::missed) return fmt::format("missed {} messages", r.message);
  if (r.op() == Op::late)
    return fmt::format("late by {}", duration(static_cast<std::int64_t>(r.message)));
  if (r.op() == Op::finished) {
    return fmt::format("finished: {}", to_string(static_cast<EndedBy>(r.detail)));
  }
  if (r.op() == Op::repeated) return "writes the same again";
  const bool moves = r.op() == Op::send || r.op() == Op::receive;
  const bool message = r.op() == Op::send || (r.op() == Op::receive && r.result() == Outcome::ok);
  if (message) {
    text += fmt::format(" {}:{} {} B", r.id().producer, r.id().sequence, r.size);
    if (r.id().kind != MessageKind::data) text += fmt::format(" {}", to_string(r.id().kind));
  }
  if (moves && r.mode() != DeadlineMode::never) text += fmt::format(" {}", to_string(r.mode()));
  if (r.channel() > 0) text += fmt::format(" ch{}", r.channel());
  if (r.open()) return text;
  text += fmt::format(" -> {}", to_string(r.result()));
  if (r.op() == Op::receive && r.result() == Outcome::ok && r.content() != Content::intact) {
    text += fmt::format(", {}", to_string(r.content()));
  }
  if (r.result() == Outcome::error && r.detail > 0) text += fmt::format(" {}", r.detail);
  return text;
}

std::string explain_finding(const Finding& finding, const History& history,
                            const ExplainStyle& style) {
  std::string text =
      fmt::format("{} of {}", to_string(finding.verdict), to_string(finding.promise));
  if (!finding.term.empty()) text += " (" + presentable(finding.term, 200) + ")";
  text += "\n" + wrapped(presentable(finding.what, sentence_bytes_max), "  ", style.width);
  std::vector<EventRef> events = existing_witness(finding, history);
  const bool shown = !events.empty();
  if (!shown) events = last_of_each_lane(history, style.events_max);
  const std::string table = EventTable(history, std::move(events), style).text();
  if (!table.empty())
    text += (shown ? "\nWhat happened:\n" : "\nThe last of each worker:\n") + table;
  if (!finding.legal.empty()) {
    text += "\nLegal would have been:\n" +
            wrapped(presentable(finding.legal, sentence_bytes_max), "  ", style.width);
  }
  return text;
}

std::string explain(const Judgement& judgement, const History& history, const Scenario& scenario,
                    const Contract& contract, const std::string& replay,
                    const ExplainStyle& style) {
  std::string text = wrapped(scenario_line(scenario), "", style.width);
  text += wrapped(fmt::format("contract: delivery {}, order {}, fan-out {}, when full {}",
                              to_string(contract.delivery), to_string(contract.ordering),
                              to_string(contract.fan_out), to_string(contract.when_full)),
                  "", style.width);
  text += "\n";
  const Finding* worst = judgement.worst();
  if (worst == nullptr) return text + "Nothing was judged.\n";
  if (worst->verdict < Verdict::inconclusive) {
    text += fmt::format("{}: no promise was broken.\n", to_string(worst->verdict));
    return text + occasions(judgement);
  }
  text += explain_finding(*worst, history, style);
  text += other_findings(judgement, *worst, style.width);
  text += evidence_lines(history, style.width);
  if (worst->verdict == Verdict::violation) {
    text += "\nFingerprint: " + presentable(fingerprint(*worst), 400) + "\n";
  }
  if (!replay.empty()) text += "Replay: " + presentable(replay, 1000) + "\n";
  return text;
}

}  // namespace ipctorture
