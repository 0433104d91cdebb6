#include "stress/export_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <stdexcept>

#include "harness/check/timeline.h"

namespace ipctorture {
namespace {

class Exporter {
 public:
  Exporter(const History& history, const Contract& contract)
      : history_(history), contract_(contract), timeline_(history) {
    if (history.channels > 1) throw std::runtime_error("a history of two channels is no plain one");
    first_ = Timeline::never;
    for (const LaneHistory& lane : history.lanes) {
      for (const Record& record : lane.records) first_ = std::min(first_, record.invoked);
    }
  }

  std::string write() {
    for (std::size_t lane = 0; lane < history_.lanes.size(); ++lane) {
      process_ = history_.lanes[lane].name();
      std::replace(process_.begin(), process_.end(), ' ', '-');
      // A successor may have the name of the dead.
      if (!names_.insert(process_).second) process_ += fmt::format(".{}", lane);
      const bool consumes =
          history_.lanes[lane].consumer_on.size() > 0 && history_.lanes[lane].consumer_on[0] >= 0;
      for (const Record& record : history_.lanes[lane].records) add(record, consumes);
    }
    return std::move(text_);
  }

 private:
  void add(const Record& record, bool consumes) {
    switch (record.op()) {
      case Op::attach:
        if (consumes && contract_.fan_out == FanOut::broadcast && !record.open() &&
            record.result() == Outcome::ok) {
          line("join", record.returned, true);
        }
        break;
      case Op::send:
        send(record);
        break;
      case Op::receive:
        receive(record);
        break;
      case Op::missed:
        throw std::runtime_error("a lapped consumer cannot be told in a plain history");
      default:
        break;
    }
  }

  void send(const Record& record) {
    const unsigned priority =
        record.result() == Outcome::ok && contract_.priorities > 1 ? unsigned{record.detail} : 0;
    line(fmt::format("invoke send {}{}", value(record),
                     priority != 0 ? fmt::format(" priority={}", priority) : ""),
         record.invoked, false);
    if (record.open()) return;
    switch (record.result()) {
      case Outcome::ok:
        return line("ok send", record.returned, true);
      case Outcome::unknown:
        return line("info", record.returned, true);
      case Outcome::full:
        return line(contract_.exact_full ? "full send" : "fail", record.returned, true);
      case Outcome::timed_out:
        return line("timeout", record.returned, true);
      case Outcome::closed:
        return line("closed", record.returned, true);
      default:
        return line("fail", record.returned, true);
    }
  }

  void receive(const Record& record) {
    line("invoke receive", record.invoked, false);
    if (record.open()) return;
    switch (record.result()) {
      case Outcome::ok:
        return line("ok receive " + received(record), record.returned, true);
      case Outcome::unknown:
        return line("info", record.returned, true);
      case Outcome::empty:
        return line(contract_.exact_empty ? "empty receive" : "timeout", record.returned, true);
      case Outcome::closed:
        return line(timeline_.deaths().empty() ? "closed" : "timeout", record.returned, true);
      case Outcome::timed_out:
        return line("timeout", record.returned, true);
      default:
        return line("fail", record.returned, true);
    }
  }

  // What is torn or foreign was never sent.
  std::string received(const Record& record) {
    if (record.content() == Content::intact) return value(record);
    return fmt::format("{}-{}", to_string(record.content()), ++strange_);
  }

  static std::string value(const Record& record) {
    if (record.size < 8) {
      throw std::runtime_error("messages of less than 8 bytes do not name themselves");
    }
    const MessageId id = record.id();
    return fmt::format("{}{}-{}", id.kind == MessageKind::data ? "" : to_string(id.kind),
                       id.producer, id.sequence);
  }

  void line(std::string_view event, Stamp at, bool late) {
    const std::int64_t slack = history_.ns(timeline_.slack()) + 1;
    const std::int64_t ns = history_.ns(at - first_);
    fmt::format_to(std::back_inserter(text_), "{} {} t={}\n", process_, event,
                   late ? ns + slack : ns);
  }

  const History& history_;
  const Contract& contract_;
  Timeline timeline_;
  Stamp first_ = 0;
  std::string process_;
  std::set<std::string> names_;
  std::uint64_t strange_ = 0;
  std::string text_;
};

}  // namespace

std::string exported_history(const History& history, const Contract& contract) {
  return Exporter(history, contract).write();
}

}  // namespace ipctorture
