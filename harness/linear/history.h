// A plain history: who called send or receive, when, and what was answered. It knows nothing of our
// transports, journals or contracts, so it can come from any program; the checkers of this layer
// decide whether it can be explained by operations that take effect one after the other, each at
// one moment between its invocation and its return (Herlihy and Wing, "Linearizability", 1990).
//
// Time is the rank of an event: the first invocation or return of the history has rank 0, the next
// 1. Every rank is used once at most. An operation is before another only if it returned at a lower
// rank than the other was invoked; a reader gives equal stamps such ranks that they count as
// concurrent (text.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ipctorture::linear {

enum class Kind : std::uint8_t { send, receive };

// What is known of an operation's end. Only `ok`, `full`, `empty` and `closed` claim something.
enum class Outcome : std::uint8_t {
  ok,
  full,     // of a send: there was no room, nothing was sent
  empty,    // of a receive: there was nothing
  closed,   // of a receive: there is nothing and will be nothing; of a send: nothing was sent
  timeout,  // nothing was sent or taken, and nothing is claimed
  fail,     // likewise
  unknown,  // cut by a kill, or never answered: took effect once or not at all, at any later time
};

using Index = std::uint32_t;  // of an operation, a process or a value
using Rank = std::uint32_t;
inline constexpr Index no_value = 0xffffffff;
inline constexpr Rank never = 0xffffffff;     // later than everything
inline constexpr Rank open_end = 0xfffffffe;  // the return of an operation of unknown outcome
inline constexpr Rank rank_limit = 0xfffffff0;

struct Operation {
  Index process = 0;
  Kind kind = Kind::send;
  Outcome outcome = Outcome::ok;
  Index value = no_value;
  std::int32_t priority = 0;  // of a send; higher is received first
  Rank invoked = 0, returned = open_end;
};

// From when on a process gets what is broadcast. Who never joins does from the beginning.
struct Membership {
  Index process = 0;
  Rank at = 0;
  bool joined = true;  // otherwise left
};

// Arrays side by side: 18 bytes an operation, so 9 an event, and 4 more with priorities. Operations
// may stand in any order; the checkers are fastest when they stand in order of invocation.
struct History {
  std::vector<Index> process, value;
  std::vector<Rank> invoked, returned;
  std::vector<Kind> kind;
  std::vector<Outcome> outcome;
  std::vector<std::int32_t> priority;  // empty as long as all are 0
  std::vector<Membership> memberships;
  Rank events = 0;   // every rank is below
  Index values = 0;  // every value is below, or no_value

  std::size_t size() const { return process.size(); }
  Operation operation(Index index) const;
  std::int32_t priority_of(Index index) const { return priority.empty() ? 0 : priority[index]; }
  void reserve(std::size_t operations);
  void add(const Operation& operation);  // also raises `values` and `events` where needed
  bool took_effect(Index index) const { return outcome[index] == Outcome::ok; }
  bool is_unknown(Index index) const { return outcome[index] == Outcome::unknown; }
  // A receive that says that nothing was there.
  bool claims_nothing_there(Index index) const {
    return kind[index] == Kind::receive &&
           (outcome[index] == Outcome::empty || outcome[index] == Outcome::closed);
  }
};

// Names by number, in the order in which they were added. Move-only; points into blocks of its own.
class NameList {
 public:
  std::string_view add(std::string_view name);  // keeps a copy and answers it
  std::string_view operator[](Index index) const { return names_[index]; }
  Index count() const { return static_cast<Index>(names_.size()); }
  // Where a name is missing, its number stands for it.
  std::string told(Index index) const;

 private:
  std::vector<std::string_view> names_;
  std::vector<std::unique_ptr<char[]>> blocks_;
  std::size_t room_ = 0;  // in the last block
  char* next_ = nullptr;
};

// What processes and values are called.
struct Names {
  NameList processes, values;
  std::string process(Index index) const { return processes.told(index); }
  std::string value(Index index) const { return values.told(index); }
};

}  // namespace ipctorture::linear
