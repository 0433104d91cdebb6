// A witness in words. The operations of an Answer stand in the order that Rule describes.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "harness/linear/contract.h"

namespace ipctorture::linear {
namespace {

class Teller {
 public:
  Teller(const Answer& answer, const History& history, const Names& names)
      : operations_(answer.operations), rule_(answer.rule), history_(history), names_(names) {}

  std::string tell() const {
    switch (rule_) {
      case Rule::none:
        return "";
      case Rule::twice:
        return twice();
      case Rule::never_sent:
        return never_sent();
      case Rule::before_sent:
        return fmt::format("{} received {} before {} began to send it", who(1), what(1), who(0));
      case Rule::overtaken:
        return overtaken();
      case Rule::overtaken_open:
        return overtaken_open();
      case Rule::not_empty:
        return who(0) + " found nothing, although " + always_there("something");
      case Rule::lower_first:
        return fmt::format("{} received {}, although {}", who(0), what(0),
                           always_there("something of a higher priority"));
      case Rule::over_capacity:
        return over_capacity();
      case Rule::not_full:
        return not_full();
      case Rule::stale:
        return stale();
      case Rule::no_common_order:
        return "no common order of the values fits: " + received_by_each() + sent_before();
      case Rule::no_order:
        return "in no order of these operations the highest priority, and of that the oldest, is "
               "always received first: " +
               received_by_each() + sent_before();
    }
    return "";
  }

 private:
  Index operation(std::size_t place) const { return operations_[place]; }
  std::string process_of(Index index) const {
    return "process " + names_.process(history_.process[index]);
  }
  std::string who(std::size_t place) const { return process_of(operation(place)); }
  std::string what(std::size_t place) const {
    return names_.value(history_.value[operation(place)]);
  }
  bool is(std::size_t place, Kind kind) const { return history_.kind[operation(place)] == kind; }

  // The values that the witness sends or receives, from the second operation on where the first is
  // what goes wrong.
  std::vector<std::string> values(Kind kind) const {
    std::vector<std::string> found;
    const bool skip =
        rule_ == Rule::not_empty || rule_ == Rule::lower_first || rule_ == Rule::not_full;
    for (std::size_t i = skip; i < operations_.size(); ++i) {
      if (is(i, kind) && history_.value[operation(i)] != no_value) found.push_back(what(i));
    }
    return found;
  }

  static std::string listed(const std::vector<std::string>& words) {
    constexpr std::size_t most = 12;
    std::string text;
    for (std::size_t i = 0; i < std::min(words.size(), most); ++i) {
      text += (i == 0 ? "" : ", ") + words[i];
    }
    if (words.size() > most) text += fmt::format(" and {} more", words.size() - most);
    return text;
  }

  // Receives of unknown outcome, which could have taken some but not all.
  std::vector<std::string> takers() const {
    std::vector<std::string> found;
    for (const Index index : operations_) {
      if (history_.kind[index] == Kind::receive && history_.is_unknown(index)) {
        found.push_back(process_of(index));
      }
    }
    return found;
  }

  std::string too_few() const {
    const auto who = takers();
    if (who.empty()) return "";
    return fmt::format("; the {} of unknown outcome ({}) could not have taken all of them in time",
                       who.size() == 1 ? "receive" : "receives", listed(who));
  }

  std::string never_sent() const {
    const Index receive = operations_.back(), value = history_.value[receive];
    for (Index i = 0; i < history_.size(); ++i) {
      if (history_.kind[i] == Kind::send && history_.value[i] == value) {
        return fmt::format("{} received {}, although the send by {} certainly did not happen",
                           process_of(receive), names_.value(value), process_of(i));
      }
    }
    return fmt::format("{} received {}, which nobody sent", process_of(receive),
                       names_.value(value));
  }

  std::string twice() const {
    std::vector<Index> receives;
    for (const Index i : operations_) {
      if (history_.kind[i] == Kind::receive) receives.push_back(i);
    }
    const Index first = receives.front(), second = receives.back();
    const std::string value = names_.value(history_.value[first]);
    if (history_.process[first] == history_.process[second]) {
      return fmt::format("{} received {} twice", process_of(first), value);
    }
    return fmt::format("{} received {}, and so did {}", process_of(first), value,
                       process_of(second));
  }

  std::string overtaken() const {  // send a, send b, receive b, receive a
    return fmt::format(
        "{} received {} before {} {}, although send({}) had returned before send({}) began", who(2),
        what(2), who(3) == who(2) ? "" : who(3) + " began to receive", what(3), what(0), what(1));
  }

  std::string overtaken_open() const {
    std::vector<std::string> received = values(Kind::receive), left;
    for (const std::string& value : values(Kind::send)) {
      if (std::find(received.begin(), received.end(), value) == received.end()) {
        left.push_back(value);
      }
    }
    if (left.size() == 1 && takers().empty()) {
      return fmt::format(
          "{} received {}, and nobody ever received {}, although send({}) had returned before "
          "send({}) began",
          who(1), what(1), left[0], left[0], what(0));
    }
    return fmt::format(
        "{} had been sent before {}, which {} received; nobody is known to have "
        "received them{}",
        listed(left), listed(received), who(1), too_few());
  }

  // "something was there all the time: ..." from the chain of values behind the first operation.
  std::string always_there(std::string_view thing) const {
    std::string text = fmt::format("{} was there all the time: ", thing);
    std::string before =
        rule_ == Rule::lower_first ? what(0) + " could be received" : "that receive began";
    std::string last;
    bool received = false;
    for (std::size_t i = 1; i < operations_.size(); ++i) {
      if (history_.value[operation(i)] == history_.value[operation(0)]) continue;
      if (!is(i, Kind::send)) {
        received |= history_.value[operation(i)] != no_value;
        continue;
      }
      text += fmt::format("send({}) had returned before {}; ", what(i), before);
      last = what(i);
      before = fmt::format("receive({}) began", last);
      received = false;
    }
    if (received) return text + fmt::format("receive({}) began only after it had returned", last);
    if (!takers().empty()) return text.substr(0, text.size() - 2) + too_few();
    return text + fmt::format("nobody ever received {}", last);
  }

  std::string over_capacity() const {
    Rank sent = 0, taken = never;
    for (const Index i : operations_) {
      if (history_.kind[i] == Kind::send) sent = std::max(sent, history_.returned[i]);
      if (history_.kind[i] == Kind::receive) taken = std::min(taken, history_.invoked[i]);
    }
    const auto inside = values(Kind::send);
    if (sent < taken) {
      return fmt::format(
          "{} values were inside at once, more than there is room for: {}; all were sent before "
          "anybody began to receive one of them",
          inside.size(), listed(inside));
    }
    return "more values were inside at once than there is room for, of these: " + listed(inside);
  }

  std::string not_full() const {
    const auto there = values(Kind::send);
    return fmt::format("{} found no room for {}, although there was some at every moment of it: {}",
                       who(0), what(0),
                       there.empty() ? "nothing else can have been inside"
                                     : "at most these can have been inside, and not all at once: " +
                                           listed(there));
  }

  std::string told(Index i) const {
    const bool value = history_.value[i] != no_value;
    return fmt::format("{}'s {}", process_of(i),
                       history_.kind[i] == Kind::send
                           ? "send(" + names_.value(history_.value[i]) + ")"
                       : value ? "receive(" + names_.value(history_.value[i]) + ")"
                               : "receive that found nothing");
  }

  // Two values, or one and the state before the first: of each the first return and the last
  // invocation.
  std::string stale() const {
    struct Side {
      Index value = no_value, first = no_value, last = no_value;
    };
    std::vector<Side> sides;
    for (const Index i : operations_) {
      auto side = std::find_if(sides.begin(), sides.end(),
                               [&](const Side& s) { return s.value == history_.value[i]; });
      if (side == sides.end()) side = sides.insert(side, {history_.value[i], i, i});
      if (history_.returned[i] < history_.returned[side->first]) side->first = i;
      if (history_.invoked[i] > history_.invoked[side->last]) side->last = i;
    }
    std::sort(sides.begin(), sides.end(), [&](const Side& a, const Side& b) {
      if ((a.value == no_value) != (b.value == no_value)) return a.value == no_value;
      return history_.returned[a.first] < history_.returned[b.first];
    });
    if (sides.size() != 2) return "";
    const auto& [a, b] = std::pair(sides[0], sides[1]);
    if (a.value == no_value) {
      return fmt::format("{} had returned before {} began", told(b.first), told(a.last));
    }
    return fmt::format(
        "{} had returned before {} began, and {} had returned before {} began: {} would have to be "
        "the latest both before and after {}",
        told(a.first), told(b.last), told(b.first), told(a.last), names_.value(a.value),
        names_.value(b.value));
  }

  // "process 1 received x, y; process 2 received y".
  std::string received_by_each() const {
    std::vector<Index> order = operations_;
    std::sort(order.begin(), order.end(), [&](Index a, Index b) {
      if (history_.process[a] != history_.process[b]) {
        return history_.process[a] < history_.process[b];
      }
      return history_.invoked[a] < history_.invoked[b];
    });
    std::string text;
    Index process = no_value;
    for (const Index i : order) {
      if (history_.kind[i] == Kind::send) continue;
      if (history_.process[i] != process) {
        text += (text.empty() ? "" : "; ") + process_of(i) + " received ";
      } else {
        text += ", ";
      }
      process = history_.process[i];
      text += history_.value[i] != no_value ? names_.value(history_.value[i])
              : history_.is_unknown(i)      ? "something or not"
                                            : "nothing";
    }
    return text;
  }

  std::string sent_before() const {
    std::string text;
    if (operations_.size() > 100) return text;
    for (const Index a : operations_) {
      for (const Index b : operations_) {
        if (history_.kind[a] != Kind::send || history_.kind[b] != Kind::send) continue;
        if (history_.is_unknown(a) || history_.returned[a] >= history_.invoked[b]) continue;
        if (text.size() > 400) return text + "; and so on";
        text += fmt::format("; send({}) had returned before send({}) began",
                            names_.value(history_.value[a]), names_.value(history_.value[b]));
      }
    }
    return text;
  }

  const std::vector<Index>& operations_;
  Rule rule_;
  const History& history_;
  const Names& names_;
};

}  // namespace

std::string in_words(const Answer& answer, const History& history, const Names& names) {
  if (answer.truth == Truth::inconclusive) return answer.why;
  std::string text = Teller(answer, history, names).tell();
  // "received b before  a": where one process did both.
  for (std::size_t at; (at = text.find("  ")) != std::string::npos;) text.erase(at, 1);
  return text;
}

}  // namespace ipctorture::linear
