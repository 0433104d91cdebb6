// Writes a history in the form that text.h reads.
#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

#include "harness/linear/lines.h"
#include "harness/linear/text.h"

namespace ipctorture::linear {
namespace {

Word word_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::ok:
      return Word::ok;
    case Outcome::full:
      return Word::full;
    case Outcome::empty:
      return Word::empty;
    case Outcome::closed:
      return Word::closed;
    case Outcome::timeout:
      return Word::timeout;
    case Outcome::fail:
      return Word::fail;
    case Outcome::unknown:
      return Word::info;
  }
  return Word::info;
}

class Writer {
 public:
  Writer(const History& history, const Names& names, Form form)
      : history_(history), names_(names), form_(form) {}

  std::string write() {
    // By rank: twice the operation, + 1 for its return; then what joins and leaves.
    constexpr std::uint64_t nothing = ~std::uint64_t{0};
    std::vector<std::uint64_t> at(history_.events, nothing);
    for (Index i = 0; i < history_.size(); ++i) {
      at[history_.invoked[i]] = 2 * std::uint64_t{i};
      if (history_.returned[i] < rank_limit) at[history_.returned[i]] = 2 * std::uint64_t{i} + 1;
    }
    const std::uint64_t memberships = 2 * std::uint64_t{history_.size()};
    for (std::size_t i = 0; i < history_.memberships.size(); ++i) {
      at[history_.memberships[i].at] = memberships + i;
    }
    for (const std::uint64_t event : at) {
      if (event == nothing) continue;
      if (event >= memberships) {
        const Membership& membership = history_.memberships[event - memberships];
        line(membership.process, membership.joined ? Word::join : Word::leave, nullptr, no_value,
             0);
      } else if (event % 2 == 0) {
        invoke(static_cast<Index>(event / 2));
      } else {
        answer(static_cast<Index>(event / 2));
      }
    }
    return std::move(text_);
  }

 private:
  void invoke(Index i) {
    // What was never answered is closed as late as can be.
    const Index process = history_.process[i];
    if (process >= unanswered_.size()) unanswered_.resize(std::size_t{process} + 1);
    if (unanswered_[process]) line(process, Word::info, nullptr, no_value, 0);
    unanswered_[process] = history_.is_unknown(i);
    const bool send = history_.kind[i] == Kind::send;
    line(process, Word::invoke, &history_.kind[i], send ? history_.value[i] : no_value,
         send ? history_.priority_of(i) : 0);
  }

  void answer(Index i) {
    const Outcome outcome = history_.outcome[i];
    const bool named =
        outcome == Outcome::ok || outcome == Outcome::full || outcome == Outcome::empty;
    const bool got = outcome == Outcome::ok && history_.kind[i] == Kind::receive;
    line(history_.process[i], word_of(outcome), named ? &history_.kind[i] : nullptr,
         got ? history_.value[i] : no_value, 0);
  }

  void line(Index process, Word word, const Kind* kind, Index value, std::int32_t priority) {
    const std::string_view operation = kind == nullptr       ? ""
                                       : *kind == Kind::send ? "send"
                                                             : "receive";
    if (form_ == Form::json) {
      nlohmann::ordered_json json = {{"process", names_.process(process)},
                                     {"event", to_string(word)}};
      if (kind != nullptr) json["operation"] = operation;
      if (value != no_value) json["value"] = names_.value(value);
      if (priority != 0) json["priority"] = priority;
      text_ += json.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
      return;
    }
    const auto out = std::back_inserter(text_);
    fmt::format_to(out, "{} {}", names_.process(process), to_string(word));
    if (kind != nullptr) fmt::format_to(out, " {}", operation);
    if (value != no_value) fmt::format_to(out, " {}", names_.value(value));
    if (priority != 0) fmt::format_to(out, " priority={}", priority);
    text_ += '\n';
  }

  const History& history_;
  const Names& names_;
  Form form_;
  std::string text_;
  std::vector<bool> unanswered_;  // by process
};

}  // namespace

std::string written(const History& history, const Names& names, Form form) {
  return Writer(history, names, form).write();
}

}  // namespace ipctorture::linear
