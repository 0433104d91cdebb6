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

std::string_view explanation_of(Contract contract) {
  switch (contract) {
    case Contract::fifo:
      return "A queue: every value is received once at most, in the order of sending,\n"
             "whoever sends and receives; empty is said only at a moment at which nothing\n"
             "is there. Decided exactly; with --capacity N a violation is one, but some\n"
             "may be overlooked.";
    case Contract::per_producer:
      return "Like fifo, but only the values of one producer keep their order. Decided\n"
             "exactly unless receives of unknown outcome, values that nobody received, and\n"
             "empty all occur.";
    case Contract::priority:
      return "The highest priority is received first, the oldest first among equals\n"
             "(posix_mq). Decided exactly where no receive is of unknown outcome.";
    case Contract::latest:
      return "A receive reads the value sent last, and takes nothing away; empty: before\n"
             "the first. Decided exactly where no value is sent twice.";
    case Contract::broadcast:
      return "Every process receives all values in one common order, from the beginning or\n"
             "from when it joined; empty: at the end. Decided exactly where nobody joins\n"
             "later, or goes on after a receive of unknown outcome.";
    case Contract::set:
      return "Delivery only: every value is received once at most, and not before it was\n"
             "sent; empty is said only at a moment at which nothing is there. Decided\n"
             "exactly.";
  }
  return "";
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
