#include "harness/linear/contract.h"

#include <stdexcept>

#include "harness/linear/broadcast.h"
#include "harness/linear/latest.h"
#include "harness/linear/priority.h"
#include "harness/linear/queue.h"

namespace ipctorture::linear {

std::string_view to_string(Contract contract) {
  constexpr std::array<std::string_view, all_contracts.size()> names{
      "fifo", "per-producer", "priority", "register", "broadcast", "set"};
  return names.at(static_cast<std::size_t>(contract));
}

std::optional<Contract> contract_named(std::string_view name) {
  for (const Contract contract : all_contracts) {
    if (to_string(contract) == name) return contract;
  }
  return std::nullopt;
}

Answer judge(const History& history, Contract contract, std::uint64_t capacity) {
  switch (contract) {
    case Contract::fifo:
    case Contract::per_producer:
    case Contract::set:
      return judge_queue(history, contract, capacity);
    case Contract::priority:
      return judge_priority(history, capacity);
    case Contract::latest:
      return judge_latest(history);
    case Contract::broadcast:
      return judge_broadcast(history);
  }
  return {.truth = Truth::inconclusive};
}

}  // namespace ipctorture::linear
