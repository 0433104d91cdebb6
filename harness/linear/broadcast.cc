#include "harness/linear/broadcast.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <optional>
#include <unordered_map>

#include "harness/linear/smaller.h"

namespace ipctorture::linear {
namespace {

struct Entry {
  Rank sent_from = never, sent_by = never;
  Rank lower = 0;        // not appended before this rank
  Rank upper = never;    // not after
  Rank read_by = never;  // the earliest return of a receive
  Index next = no_value, previous = no_value;
  Index seen_in = 0;     // the last session that received it; from 1
  bool first = false;    // who gets everything got it first
  bool follows = false;  // `previous` is known
};

// What one process receives between joining, leaving and receives of unknown outcome.
struct Session {
  bool from_beginning = false;
  std::optional<Rank> joined;
  Index last = no_value;  // received last
  bool any = false;
};

class Log {
 public:
  explicit Log(const History& history) : history_(history), entries_(history.values) {}

  Answer judge() {
    if (auto answer = add_sends()) return *std::move(answer);
    if (auto answer = unsent()) return *std::move(answer);
    if (auto answer = add_receives()) return *std::move(answer);
    bound();
    if (!fits()) {
      return smaller(history_, Rule::no_common_order,
                     [](const History& part) { return judge_broadcast(part); });
    }
    Answer right;
    right.exact = exact_;
    return right;
  }

 private:
  std::optional<Answer> add_sends() {
    for (Index i = 0; i < history_.size(); ++i) {
      if (history_.kind[i] != Kind::send) continue;
      if (!history_.took_effect(i) && !history_.is_unknown(i)) continue;
      Entry& entry = entries_[history_.value[i]];
      if (entry.sent_from != never) {
        return Answer{.truth = Truth::inconclusive,
                      .operations = {i},
                      .why = "a value is sent twice: only a register is judged then"};
      }
      entry.sent_from = entry.lower = history_.invoked[i];
      entry.sent_by = entry.upper = history_.took_effect(i) ? history_.returned[i] : open_end;
    }
    return std::nullopt;
  }

  // Receives in order of time, process by process.
  std::vector<Index> receives() const {
    std::vector<Index> order;
    for (Index i = 0; i < history_.size(); ++i) {
      if (history_.kind[i] == Kind::receive) order.push_back(i);
    }
    const auto earlier = [&](Index a, Index b) {
      return history_.invoked[a] < history_.invoked[b];
    };
    if (!std::is_sorted(order.begin(), order.end(), earlier)) {
      std::sort(order.begin(), order.end(), earlier);
    }
    Index processes = 0;
    for (const Index i : order) processes = std::max(processes, history_.process[i] + 1);
    std::vector<std::size_t> at(std::size_t{processes} + 1);
    for (const Index i : order) ++at[history_.process[i] + 1];
    std::partial_sum(at.begin(), at.end(), at.begin());
    std::vector<Index> grouped(order.size());
    for (const Index i : order) grouped[at[history_.process[i]]++] = i;
    return grouped;
  }

  // What a process joined and left, in order of time.
  void sort_memberships() {
    memberships_ = history_.memberships;
    std::sort(memberships_.begin(), memberships_.end(), [](const auto& a, const auto& b) {
      return a.process != b.process ? a.process < b.process : a.at < b.at;
    });
  }

  // The session that a process is in at a rank: what it last joined or left before.
  Session session_at(Index process, Rank rank) const {
    const auto mine = std::equal_range(
        memberships_.begin(), memberships_.end(), Membership{.process = process},
        [](const Membership& a, const Membership& b) { return a.process < b.process; });
    const auto next = std::lower_bound(mine.first, mine.second, rank,
                                       [](const Membership& m, Rank at) { return m.at < at; });
    Session session;
    if (next == mine.first) {
      session.from_beginning = next == mine.second || !next->joined;
    } else if (std::prev(next)->joined) {
      session.joined = std::prev(next)->at;
    }
    return session;
  }

  std::optional<Answer> add_receives() {
    Index process = no_value, number = 0;
    bool cut = false;
    Session member, session;  // as the history says; and as it goes on after an unknown outcome
    sort_memberships();
    for (const Index i : receives()) {
      const Session now = session_at(history_.process[i], history_.invoked[i]);
      if (history_.process[i] != process || now.from_beginning != member.from_beginning ||
          now.joined != member.joined) {
        cut &= history_.process[i] == process;
        process = history_.process[i];
        member = session = now;
        ++number;
      }
      // A receive of unknown outcome may take effect between any two later ones.
      cut |= history_.is_unknown(i);
      if (history_.is_unknown(i)) continue;
      if (cut) {
        session = {};
        ++number;
      }
      if (!session.from_beginning) exact_ = false;
      if (history_.claims_nothing_there(i)) {
        at_end(session, i);
      } else if (history_.took_effect(i)) {
        if (auto answer = add_receive(session, number, i)) return answer;
      }
    }
    return std::nullopt;
  }

  void at_end(const Session& session, Index i) {
    if (session.any) {
      ends_.push_back({session.last, i});
    } else if (session.from_beginning) {
      ends_.push_back({no_value, i});
    } else {
      exact_ = false;
    }
    if (session.from_beginning) somebody_gets_all_ = true;
  }

  std::optional<Answer> add_receive(Session& session, Index number, Index i) {
    const Index value = history_.value[i];
    Entry& entry = entries_[value];
    if (entry.seen_in == number) return twice(i);
    entry.seen_in = number;
    entry.upper = std::min(entry.upper, history_.returned[i]);
    if (session.any) {
      if (auto answer = join(session.last, value)) return answer;
    } else if (session.from_beginning) {
      somebody_gets_all_ = true;
      if (first_ != no_value && first_ != value) return different();
      if (entry.follows) return different();
      first_ = value;
      entry.first = true;
    } else if (session.joined) {
      joins_.push_back({value, *session.joined});
    }
    session.any = true;
    session.last = value;
    return std::nullopt;
  }

  // `after` comes right after `before` in the log.
  std::optional<Answer> join(Index before, Index after) {
    Entry& from = entries_[before];
    Entry& to = entries_[after];
    if (from.next != no_value && from.next != after) return different();
    if (to.follows && to.previous != before) return different();
    if (to.first) return different();
    from.next = after;
    to.previous = before;
    to.follows = true;
    return std::nullopt;
  }

  // A process received the value of `i` twice; the latest receive of it before.
  Answer twice(Index i) const {
    Answer answer{.truth = Truth::violation, .rule = Rule::twice};
    Index other = i;
    for (Index j = 0; j < history_.size(); ++j) {
      if (j == i || history_.kind[j] != Kind::receive || !history_.took_effect(j)) continue;
      if (history_.value[j] == history_.value[i] && history_.process[j] == history_.process[i] &&
          history_.invoked[j] < history_.invoked[i] &&
          (other == i || history_.invoked[j] > history_.invoked[other])) {
        other = j;
      }
    }
    answer.operations = {other, i};
    for (Index j = 0; j < history_.size(); ++j) {
      if (history_.kind[j] == Kind::send && history_.value[j] == history_.value[i] &&
          (history_.took_effect(j) || history_.is_unknown(j))) {
        answer.operations.push_back(j);
      }
    }
    return answer;
  }

  // Two processes disagree about neighbours.
  Answer different() const {
    return smaller(history_, Rule::no_common_order,
                   [](const History& part) { return judge_broadcast(part); });
  }

  std::optional<Answer> unsent() {
    for (Index i = 0; i < history_.size(); ++i) {
      if (history_.kind[i] != Kind::receive || !history_.took_effect(i)) continue;
      Rank& read_by = entries_[history_.value[i]].read_by;
      read_by = std::min(read_by, history_.returned[i]);
    }
    for (Index value = 0; value < history_.values; ++value) {
      const Entry& entry = entries_[value];
      if (entry.read_by == never || entry.sent_from < entry.read_by) continue;
      Answer answer{.truth = Truth::violation,
                    .rule = entry.sent_from == never ? Rule::never_sent : Rule::before_sent};
      for (Index i = 0; i < history_.size(); ++i) {
        if (history_.value[i] != value) continue;
        const bool send = history_.kind[i] == Kind::send;
        if (send && (history_.took_effect(i) || history_.is_unknown(i))) {
          answer.operations.insert(answer.operations.begin(), i);
        }
        if (!send && history_.returned[i] == entry.read_by) answer.operations.push_back(i);
      }
      return answer;
    }
    return std::nullopt;
  }

  void bound() {
    for (const auto& [value, receive] : ends_) {
      if (value != no_value) {
        entries_[value].upper = std::min(entries_[value].upper, history_.returned[receive]);
      }
      const Index next = value == no_value ? first_ : entries_[value].next;
      Rank& lower = next == no_value ? tails_[value] : entries_[next].lower;
      lower = std::max(lower, history_.invoked[receive]);
    }
    for (const auto& [value, rank] : joins_) {
      if (!entries_[value].follows) continue;
      Entry& missed = entries_[entries_[value].previous];
      missed.upper = std::min(missed.upper, rank);
    }
  }

  // The chain from `value` on takes effect as early as can be, not before moment `earliest` (as in
  // queue.h). The moment of its last, or nothing.
  std::optional<Rank> place(Index value, Rank earliest) {
    for (; value != no_value; value = entries_[value].next) {
      Entry& entry = entries_[value];
      earliest = std::max(earliest, entry.lower + 1);
      if (earliest > entry.upper || placed_[value]) return std::nullopt;
      placed_[value] = true;
      last_placed_ = value;
    }
    return earliest;
  }

  bool fits() {
    placed_.assign(entries_.size(), false);
    Rank earliest = 0;
    if (somebody_gets_all_) {
      const auto end = place(first_, 0);
      if (!end) return false;
      earliest = *end;
      const auto tail = tails_.find(first_ == no_value ? no_value : last_placed_);
      if (tail != tails_.end()) earliest = std::max(earliest, tail->second + 1);
    }
    for (Index value = 0; value < entries_.size(); ++value) {
      if (placed_[value] || entries_[value].follows || entries_[value].sent_from == never) continue;
      if (entries_[value].read_by == never && entries_[value].sent_by == open_end) continue;
      exact_ &= entries_[value].next == no_value;
      if (!place(value, earliest)) return false;
    }
    // What follows something and was not reached follows itself.
    for (Index value = 0; value < entries_.size(); ++value) {
      if (!placed_[value] && entries_[value].follows) return false;
    }
    return true;
  }

  struct End {
    Index after;  // the value received last, or no_value
    Index receive;
  };
  struct Join {
    Index first;  // the value received first
    Rank rank;
  };

  const History& history_;
  std::vector<Entry> entries_;  // by value
  std::vector<Membership> memberships_;
  std::vector<End> ends_;
  std::vector<Join> joins_;
  std::unordered_map<Index, Rank> tails_;  // by the last value of a chain: who found its end, when
  std::vector<bool> placed_;
  Index first_ = no_value, last_placed_ = no_value;
  bool somebody_gets_all_ = false;
  bool exact_ = true;
};

}  // namespace

Answer judge_broadcast(const History& history) { return Log(history).judge(); }

}  // namespace ipctorture::linear
