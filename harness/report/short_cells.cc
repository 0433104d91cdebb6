#include "harness/report/short_cells.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace ipctorture {
namespace {

constexpr std::size_t letters = 26;

char letter_of(std::size_t index) { return static_cast<char>('a' + index % letters); }

char sign_of(Op op) {
  switch (op) {
    case Op::attach:
      return 'A';
    case Op::send:
      return 'S';
    case Op::receive:
      return 'R';
    case Op::close:
      return 'C';
    default:
      return '?';
  }
}

}  // namespace

std::string short_name(const std::string& name) {
  const std::string role(1,
                         static_cast<char>(std::toupper(static_cast<unsigned char>(name.at(0)))));
  return role + name.substr(std::min(name.size(), name.rfind(' ') + 1));
}

std::string ShortCells::cell(const Record& r) {
  switch (r.op()) {
    case Op::missed:
      return fmt::format("miss{}", r.message);
    case Op::late:
      return "late";
    case Op::finished:
      return "ended";
    case Op::repeated:
      return "again";
    default:
      break;
  }
  const char sign = sign_of(r.op());
  use(fmt::format("{} {}", sign, to_string(r.op())));
  const bool message = r.op() == Op::send || (r.op() == Op::receive && r.result() == Outcome::ok);
  return fmt::format("{}{} {}", sign, message ? letter(r) : "", answer(r));
}

std::string ShortCells::legend() const {
  std::string text;
  for (const std::string& sign : signs_) text += (text.empty() ? "" : ", ") + sign;
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    text += fmt::format("{}{} = {}", i == 0 ? ";\n" : ", ", letter_of(i), messages_[i]);
  }
  return text;
}

void ShortCells::use(const std::string& sign) {
  if (std::find(signs_.begin(), signs_.end(), sign) == signs_.end()) signs_.push_back(sign);
}

std::string ShortCells::letter(const Record& r) {
  std::string name = fmt::format("{}:{} {} B", r.id().producer, r.id().sequence, r.size);
  if (r.id().kind != MessageKind::data) name += fmt::format(" {}", to_string(r.id().kind));
  const auto found = std::find(messages_.begin(), messages_.end(), name);
  const auto index = static_cast<std::size_t>(found - messages_.begin());
  if (found == messages_.end()) messages_.push_back(std::move(name));
  return std::string(1, letter_of(index));
}

std::string ShortCells::answer(const Record& r) {
  if (r.open()) return told("...", "still open");
  switch (r.result()) {
    case Outcome::ok:
      if (r.op() != Op::receive || r.content() == Content::intact) return "ok";
      return r.content() == Content::torn ? "torn" : told("odd", "foreign");
    case Outcome::timed_out:
      return told("t/o", "timed out");
    case Outcome::closed:
      return told("end", "closed");
    case Outcome::too_large:
      return told("big", "too large");
    case Outcome::error:
      return told(fmt::format("E{}", r.detail), "errno");
    case Outcome::unknown:
      return told("?", "unknown");
    default:
      return std::string(to_string(r.result()));
  }
}

std::string ShortCells::told(std::string word, std::string_view meaning) {
  use(fmt::format("{} {}", word, meaning));
  return word;
}

}  // namespace ipctorture
