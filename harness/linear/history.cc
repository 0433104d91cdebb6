#include "harness/linear/history.h"

#include <algorithm>

namespace ipctorture::linear {

Operation History::operation(Index index) const {
  return {.process = process[index],
          .kind = kind[index],
          .outcome = outcome[index],
          .value = value[index],
          .priority = priority_of(index),
          .invoked = invoked[index],
          .returned = returned[index]};
}

void History::reserve(std::size_t operations) {
  process.reserve(operations);
  value.reserve(operations);
  invoked.reserve(operations);
  returned.reserve(operations);
  kind.reserve(operations);
  outcome.reserve(operations);
}

void History::add(const Operation& operation) {
  if (operation.priority != 0 && priority.empty()) priority.resize(size());
  if (operation.priority != 0 || !priority.empty()) priority.push_back(operation.priority);
  process.push_back(operation.process);
  value.push_back(operation.value);
  invoked.push_back(operation.invoked);
  returned.push_back(operation.returned);
  kind.push_back(operation.kind);
  outcome.push_back(operation.outcome);
  if (operation.value != no_value) values = std::max(values, operation.value + 1);
  events = std::max(events, operation.invoked + 1);
  if (operation.returned < rank_limit) events = std::max(events, operation.returned + 1);
}

std::string_view NameList::add(std::string_view name) {
  constexpr std::size_t block = 1 << 20;
  if (name.size() > room_) {
    room_ = std::max(block, name.size());
    next_ = blocks_.emplace_back(new char[room_]).get();
  }
  std::copy(name.begin(), name.end(), next_);
  const std::string_view kept(next_, name.size());
  next_ += name.size();
  room_ -= name.size();
  return names_.emplace_back(kept);
}

std::string NameList::told(Index index) const {
  return index < names_.size() ? std::string(names_[index]) : std::to_string(index);
}

}  // namespace ipctorture::linear
