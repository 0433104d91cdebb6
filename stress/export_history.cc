#include "stress/export_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <stdexcept>
#include <unordered_map>

#include "harness/check/timeline.h"

namespace ipctorture {
namespace {

constexpr std::uint32_t named_bytes = 8;
constexpr const char* two_channels = "requests and replies are two queues, not one";
constexpr const char* nameless = "messages of less than 8 bytes do not name themselves";

bool consumes(const LaneHistory& lane) {
  return !lane.consumer_on.empty() && lane.consumer_on[0] >= 0;
}

bool took(const Record& record) {
  return record.op() == Op::receive && !record.open() && record.result() == Outcome::ok &&
         record.content() == Content::intact;
}

class Exporter {
 public:
  Exporter(const History& history, const Contract& contract)
      : history_(history), contract_(contract), timeline_(history) {
    if (history.channels > 1) throw std::runtime_error(two_channels);
    const auto consumers = std::count_if(history.lanes.begin(), history.lanes.end(), consumes);
    bound_ = contract.fan_out == FanOut::bound_consumer && consumers > 1;
    may_lose_ = contract.delivery == Delivery::at_most_once ||
                contract.when_full == WhenFull::drops_newest ||
                (contract.lost_per_death_max > 0 && !timeline_.deaths().empty());
    for (const LaneHistory& lane : history.lanes) add_name(lane);
    look_around();
  }

  std::string write() {
    for (lane_ = 0; lane_ < history_.lanes.size(); ++lane_) {
      process_ = names_[lane_];
      gaps_ = 0;
      const auto records = history_.lanes[lane_].records;
      for (std::size_t i = 0; i < records.size(); ++i) {
        if (records[i].op() == Op::receive && tells_a_gap(records, i)) begin_anew(records[i]);
        add(records[i]);
      }
    }
    return std::move(text_);
  }

 private:
  struct Receipt {
    std::size_t lane;
    unsigned priority;
  };

  // A successor may have the name of the dead.
  void add_name(const LaneHistory& lane) {
    std::string name = lane.name();
    std::replace(name.begin(), name.end(), ' ', '-');
    if (std::find(names_.begin(), names_.end(), name) != names_.end()) {
      name += fmt::format(".{}", names_.size());
    }
    names_.push_back(std::move(name));
  }

  // When it all began, and who received what.
  void look_around() {
    first_ = first_send_ = Timeline::never;
    for (std::size_t lane = 0; lane < history_.lanes.size(); ++lane) {
      for (const Record& record : history_.lanes[lane].records) {
        first_ = std::min(first_, record.invoked);
        if (record.op() == Op::send) first_send_ = std::min(first_send_, record.invoked);
        const bool matters = bound_ || may_lose_ || contract_.priorities > 1;
        if (matters && took(record)) {
          receipts_.try_emplace(record.message, Receipt{lane, unsigned{record.detail} >> 8});
        }
      }
    }
  }

  // Notes follow the operation that they are about.
  static bool tells_a_gap(std::span<const Record> records, std::size_t receive) {
    for (std::size_t i = receive + 1; i < records.size(); ++i) {
      if (records[i].op() == Op::missed) return true;
      if (records[i].op() != Op::late) return false;
    }
    return false;
  }

  void begin_anew(const Record& receive) {
    process_ = fmt::format("{}-after-gap-{}", names_[lane_], ++gaps_);
    line("leave", receive.invoked, Edge::invocation);
  }

  void add(const Record& record) {
    switch (record.op()) {
      case Op::attach:
        attach(record);
        break;
      case Op::send:
        send(record);
        break;
      case Op::receive:
        receive(record);
        break;
      default:
        break;
    }
  }

  void attach(const Record& record) {
    const bool late =
        contract_.fan_out == FanOut::broadcast && contract_.delivery != Delivery::latest_value &&
        contract_.late_consumer != LateConsumer::backlog && consumes(history_.lanes[lane_]) &&
        !record.open() && record.result() == Outcome::ok &&
        !timeline_.before(record.returned, first_send_);
    if (late) line("join", record.returned, Edge::response);
  }

  void send(const Record& record) {
    const bool accepted = !record.open() && record.result() == Outcome::ok;
    const bool happened = accepted || record.result() == Outcome::unknown;
    const auto receipt = happened ? receipts_.find(record.message) : receipts_.end();
    const bool received = receipt != receipts_.end();
    process_ = names_[lane_];
    if (bound_ && received) process_ += "-to-" + names_[receipt->second.lane];
    // Of what is of unknown outcome only the receipt tells it.
    unsigned priority = accepted ? unsigned{record.detail} : 0;
    if (!accepted && received) priority = receipt->second.priority;
    const bool tell = contract_.priorities > 1 && priority != 0;
    line(fmt::format("invoke send {}{}", value(record),
                     tell ? fmt::format(" priority={}", priority) : ""),
         record.invoked, Edge::invocation);
    if (record.open()) return;
    line(accepted && may_lose_ && !received ? "info" : answer_to_send(record), record.returned,
         Edge::response);
  }

  const char* answer_to_send(const Record& record) const {
    switch (record.result()) {
      case Outcome::ok:
        return "ok send";
      case Outcome::unknown:
        return "info";
      case Outcome::full:
        return contract_.exact_full && claims(record) ? "full send" : "fail";
      case Outcome::timed_out:
        return "timeout";
      case Outcome::closed:
        return "closed";
      default:
        return "fail";
    }
  }

  void receive(const Record& record) {
    line("invoke receive", record.invoked, Edge::invocation);
    if (record.open()) return;
    if (record.result() == Outcome::ok) {
      line("ok receive " + received(record), record.returned, Edge::response);
    } else {
      line(answer_to_receive(record), record.returned, Edge::response);
    }
  }

  const char* answer_to_receive(const Record& record) const {
    switch (record.result()) {
      case Outcome::unknown:
        return "info";
      case Outcome::empty:
        return contract_.exact_empty && claims(record) ? "empty receive" : "timeout";
      case Outcome::closed:
        return timeline_.deaths().empty() && claims(record) ? "closed" : "timeout";
      case Outcome::timed_out:
        return "timeout";
      default:
        return "fail";
    }
  }

  // What is said of the one queue: not where each consumer has its own, nor when a call in it was
  // made to fail.
  bool claims(const Record& record) const {
    return !bound_ && !timeline_.short_within(static_cast<unsigned>(lane_), record);
  }

  // What is torn, foreign or cut was never sent.
  std::string received(const Record& record) {
    if (record.content() == Content::intact && record.size >= named_bytes) return value(record);
    const bool intact = record.content() == Content::intact;
    return fmt::format("{}-{}", intact ? "cut" : to_string(record.content()), ++strange_);
  }

  static std::string value(const Record& record) {
    if (record.size < named_bytes) throw std::runtime_error(nameless);
    const MessageId id = record.id();
    return fmt::format("{}{}-{}", id.kind == MessageKind::data ? "" : to_string(id.kind),
                       id.producer, id.sequence);
  }

  enum class Edge : std::uint8_t { invocation, response };
  void line(std::string_view event, Stamp at, Edge edge) {
    const std::int64_t slack = history_.ns(timeline_.slack()) + 1;
    const std::int64_t ns = history_.ns(at - first_);
    fmt::format_to(std::back_inserter(text_), "{} {} t={}\n", process_, event,
                   edge == Edge::response ? ns + slack : ns);
  }

  const History& history_;
  const Contract& contract_;
  Timeline timeline_;
  bool bound_ = false;     // each message to one of several consumers
  bool may_lose_ = false;  // what was accepted
  Stamp first_ = 0, first_send_ = 0;
  std::vector<std::string> names_;                       // by lane
  std::unordered_map<std::uint64_t, Receipt> receipts_;  // by message; where it matters
  std::size_t lane_ = 0;                                 // being written
  std::string process_;
  unsigned gaps_ = 0;
  std::uint64_t strange_ = 0;
  std::string text_;
};

}  // namespace

std::string no_plain_form(const Scenario& scenario) {
  if (scenario.channels() > 1) return two_channels;
  const auto sizes = scenario.sizes.begin();
  if (*std::min_element(sizes, sizes + scenario.size_count) < named_bytes) return nameless;
  return "";
}

std::string exported_history(const History& history, const Contract& contract) {
  return Exporter(history, contract).write();
}

std::optional<PlainPromise> plain_promise(const Contract& contract, const Scenario& scenario) {
  if (contract.delivery == Delivery::latest_value) return PlainPromise{linear::Contract::latest};
  if (contract.fan_out == FanOut::broadcast) {
    if (contract.ordering != Ordering::total) return std::nullopt;
    return PlainPromise{linear::Contract::broadcast};
  }
  // What dies with a place in the queue may take the place along.
  const bool certain = contract.capacity_max > 0 && contract.fan_out == FanOut::any_consumer &&
                       contract.delivery == Delivery::exactly_once && !scenario.faults.kills();
  PlainPromise promise{.capacity = certain ? scenario.capacity : 0};
  switch (contract.ordering) {
    case Ordering::none:
      promise.contract = linear::Contract::set;
      break;
    case Ordering::per_producer:
      promise.contract = linear::Contract::per_producer;
      break;
    case Ordering::total:
      promise.contract = contract.fan_out == FanOut::bound_consumer ? linear::Contract::per_producer
                                                                    : linear::Contract::fifo;
      break;
    case Ordering::priority:
      promise.contract = linear::Contract::priority;
      break;
  }
  return promise;
}

}  // namespace ipctorture
