// scenario_faults: is this experiment within the contract, and within what a machine can bear?
//
// First every field's own range (fields.h); only when those hold, the rules that relate fields to
// each other and to the contract, whose arithmetic relies on the ranges. A rule is here for one of
// three reasons: the contract does not promise what the scenario would do; the run could not end,
// or would deadlock a correct transport; or it would cost unbounded memory or time.
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "harness/scenario/fields.h"
#include "harness/scenario/scenario.h"

namespace ipctorture {
namespace {

namespace limits = scenario_limits;

// Other processes of this user may have some pending meanwhile.
constexpr std::uint32_t spare_signals_least = 1024;

class RangeFaults {
 public:
  std::vector<std::string> faults;

  void name(const char* key, const std::array<char, 48>& text) {
    const auto end = std::find(text.begin(), text.end(), '\0');
    const bool plain = std::all_of(text.begin(), end, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
    if (end == text.begin() || end == text.end() || !plain) {
      fault(key, "must be 1 to 47 of a-z, 0-9 and _");
    }
  }
  template <typename T>
  void number(const char* key, T value, std::uint64_t min, std::uint64_t max) {
    if (value < min) fault(key, fmt::format("{} is below {}", value, min));
    if (value > max) fault(key, fmt::format("{} is above {}", value, max));
  }
  void seed(const char*, std::uint64_t) {}
  void flag(const char*, bool) {}
  template <typename Enum>
  void words(const char* key, Enum value, unsigned count) {
    if (static_cast<unsigned>(value) >= count) {
      fault(key, fmt::format("{} is no value of it", static_cast<unsigned>(value)));
    }
  }
  void list(const char* key, const std::array<std::uint32_t, sizes_max>& sizes, std::uint32_t count,
            std::uint64_t max) {
    if (count < 1 || count > sizes_max) {
      return fault(key, fmt::format("{} entries, must be 1 to {}", count, sizes_max));
    }
    for (std::uint32_t i = 0; i < count; ++i) {
      number(fmt::format("{}[{}]", key, i).c_str(), sizes[i], 0, max);
    }
  }
  template <typename Function>
  void object(const char* key, Function visit) {
    path_ = std::string(key) + ".";
    visit(*this);
    path_.clear();
  }

 private:
  void fault(const char* key, const std::string& what) {
    faults.push_back(fmt::format("{}{}: {}", path_, key, what));
  }
  std::string path_;
};

// One pass over the rules; each method is a group of them.
class Rules {
 public:
  Rules(const Scenario& scenario, const Contract& contract) : s_(scenario), c_(contract) {}

  std::vector<std::string> apply() {
    workload();
    peers();
    sizes();
    deadlines();
    request_reply();
    comings_and_goings();
    phases();
    injected();
    cost();
    return std::move(faults_);
  }

 private:
  template <typename... Arguments>
  void fault_if(bool wrong, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    if (wrong) faults_.push_back(fmt::format(format, std::forward<Arguments>(arguments)...));
  }
  bool latest() const { return c_.delivery == Delivery::latest_value; }
  bool broadcast() const { return !latest() && c_.fan_out == FanOut::broadcast; }

  void workload() {
    const Workload natural = latest()      ? Workload::latest_value
                             : broadcast() ? Workload::broadcast
                                           : Workload::stream;
    const bool fits = s_.workload == natural ||
                      (s_.workload == Workload::request_reply && natural == Workload::stream);
    fault_if(!fits, "workload {} does not suit a contract of {}", to_string(s_.workload),
             to_string(natural));
    fault_if(s_.launch == Launch::exec && c_.attach == AttachBy::inherited,
             "launch exec: separate programs cannot inherit what the transport hands over");
    fault_if(s_.launch == Launch::fork && c_.exec_only, "launch fork: the contract says exec only");
  }

  void peers() {
    fault_if(above(c_.producers_max, s_.producers, Role::producer),
             "{} producers, the contract allows {}", s_.producers, c_.producers_max);
    fault_if(above(c_.consumers_max, s_.consumers, Role::consumer),
             "{} consumers, the contract allows {}", s_.consumers, c_.consumers_max);
    const std::uint32_t at_once =
        s_.launch == Launch::exec ? s_.lanes() : present(Role::producer) + present(Role::consumer);
    fault_if(at_once > workers_max, "{} workers together, at most {}", at_once, workers_max);
    fault_if(s_.lanes() > lanes_in_all_max, "{} lanes in all, at most {}", s_.lanes(),
             lanes_in_all_max);
    fault_if(s_.threads > 1 && !c_.threads, "{} threads per worker, the contract allows one",
             s_.threads);
    fault_if(s_.starved_worker > s_.lanes(), "starved_worker {} of {} workers", s_.starved_worker,
             s_.lanes());
  }

  // Successors are not there at once.
  bool above(std::uint32_t max, std::uint32_t count, Role role) const {
    if (!s_.late_are_successors(role)) return count > max;
    const std::uint32_t in_all = max == 1 && c_.lives_max == 0 ? lives_max : c_.lives_max;
    return present(role) > max || (count > std::max(max, in_all) && !s_.faults.same_identity);
  }
  // Without those that come only after a death.
  std::uint32_t present(Role role) const {
    const bool produces = role == Role::producer;
    const std::uint32_t all = produces ? s_.producers : s_.consumers;
    const std::uint32_t late = produces ? s_.late_producers : s_.late_consumers;
    return s_.late_are_successors(role) ? all - std::min(all, late) : all;
  }

  // The smallest size at which the checkers can tell messages of this scenario apart.
  std::uint32_t telling_size() const {
    if (s_.workload == Workload::latest_value) return 16;  // the value carries no order otherwise
    if (s_.workload == Workload::broadcast || s_.producers > 8 || s_.faults.kills()) return 8;
    return 0;
  }

  void sizes() {
    const std::uint32_t least = std::max(c_.message_min, std::min(telling_size(), c_.message_max));
    for (std::uint32_t i = 0; i < s_.size_count; ++i) {
      fault_if(s_.sizes[i] < least, "sizes[{}]: {} is below {}", i, s_.sizes[i], least);
      fault_if(s_.sizes[i] > c_.message_max, "sizes[{}]: {} is above the contract's {}", i,
               s_.sizes[i], c_.message_max);
    }
    fault_if(s_.producers > 8 && c_.message_max < 8,
             "{} producers cannot be told apart in messages below 8 bytes", s_.producers);
    fault_if(s_.oversize_permille > 0 && c_.message_max > limits::message_bytes_max,
             "oversize_permille: a message above the contract's {} bytes is not attempted",
             c_.message_max);
    fault_if(s_.repeat_permille > 0 && s_.workload != Workload::latest_value,
             "repeat_permille is for the latest value");
  }

  void deadlines() {
    mix("send_deadlines", s_.send_deadlines);
    mix("receive_deadlines", s_.receive_deadlines);
    noise("producer_noise", s_.producer_noise);
    noise("consumer_noise", s_.consumer_noise);
    // A consumer that waits without a deadline is ended by `closed` or by a mark, which needs 8
    // bytes.
    const bool untimed =
        s_.receive_deadlines.now_permille + s_.receive_deadlines.at_permille < 1000;
    fault_if(
        untimed && !c_.reports_closed && c_.message_max < 8 && (c_.deadline_at || c_.deadline_now),
        "receive_deadlines: without closed and without room for a mark of 8 bytes every "
        "receive needs a deadline");
  }
  void mix(const char* name, const DeadlineMix& m) {
    fault_if(m.now_permille + m.at_permille > 1000, "{}: more than 1000 per mille", name);
    fault_if(m.now_permille > 0 && !c_.deadline_now,
             "{}: the contract does not keep the deadline `now`", name);
    fault_if(m.at_permille > 0 && !c_.deadline_at,
             "{}: the contract does not keep deadlines at a time", name);
  }
  void noise(const char* name, const Noise& n) {
    fault_if(n.yield_permille + n.spin_permille + n.sleep_permille > 1000,
             "{}: more than 1000 per mille", name);
  }

  // Clients send while servers answer: with both channels full and everyone sending, a correct
  // transport would deadlock. With one request in flight per client it cannot happen (whoever
  // blocks in send has nothing outstanding, and every reply has a client waiting); with more, all
  // that is in flight must fit into one channel.
  void request_reply() {
    if (s_.workload != Workload::request_reply) return;
    fault_if(c_.delivery != Delivery::exactly_once || c_.when_full == WhenFull::drops_newest,
             "request_reply: a request that may be lost would be waited for in vain");
    fault_if(c_.ordering == Ordering::priority, "request_reply: not over priorities");
    fault_if(s_.producers > c_.consumers_max || s_.consumers > c_.producers_max,
             "request_reply: {} clients and {} servers need the reply channel the other way round",
             s_.producers, s_.consumers);
    fault_if(c_.fan_out != FanOut::any_consumer && s_.producers > 1,
             "request_reply: replies bound to one consumer allow one client");
    fault_if(c_.message_max < 8, "request_reply: needs messages of 8 bytes");
    const std::uint64_t in_flight = std::uint64_t{s_.producers} * s_.window;
    const bool fits = c_.capacity_max > 0 ? in_flight <= s_.capacity
                                          : in_flight <= std::min(4u, s_.capacity) &&
                                                in_flight * s_.largest_message() <= 2048;
    fault_if(s_.window > 1 && !fits,
             "window {} of {} clients: what is in flight must fit into one channel", s_.window,
             s_.producers);
    const std::uint32_t out_of_step =
        s_.late_consumers + s_.late_producers + s_.early_producers + s_.early_consumers;
    fault_if(out_of_step > 0 || s_.fill_first || s_.handoff || s_.gap_after > 0,
             "request_reply: without late or early peers, fill_first, gap and handoff");
  }

  void comings_and_goings() {
    fault_if(s_.late_consumers > 0 && c_.late_consumer == LateConsumer::unsupported,
             "late_consumers: the contract does not allow them");
    fault_if(s_.late_producers > 0 && !c_.late_producer && s_.faults.producer_kills == 0,
             "late_producers: the contract does not allow them");
    // What was accepted for a consumer's connection may be gone with it, lawfully; nobody could
    // tell that from a loss.
    fault_if(s_.early_consumers > 0 && c_.fan_out == FanOut::bound_consumer,
             "early_consumers: messages bound to one consumer may be lost with it");
    fault_if(s_.early_consumers + s_.late_consumers >= s_.consumers &&
                 s_.early_consumers + s_.late_consumers > 0,
             "early and late consumers: at least one must be neither");
    fault_if(s_.early_producers + s_.late_producers >= s_.producers &&
                 s_.early_producers + s_.late_producers > 0,
             "early and late producers: at least one must be neither");
    const bool wait_for_half = (s_.late_consumers > 0 && !s_.late_are_successors(Role::consumer)) ||
                               (s_.late_producers > 0 && !s_.late_are_successors(Role::producer));
    if (!wait_for_half) return;
    // Late ones attach when half of all quotas was sent; the others must get there by themselves.
    const std::uint64_t in_time =
        s_.producers - std::min(s_.producers, s_.early_producers + s_.late_producers);
    const std::uint64_t sent = in_time * s_.messages + s_.early_producers * (s_.messages / 10);
    fault_if(sent * 2 < s_.producers * s_.messages,
             "late peers: the producers present never send the half they wait for");
  }

  void phases() {
    fault_if(s_.gap_ms > 0 && s_.gap_after == 0, "gap_ms without gap_after");
    fault_if(s_.gap_after > s_.messages, "gap_after {} of {} messages", s_.gap_after, s_.messages);
    fault_if(s_.fill_first && latest(), "fill_first: a latest value is never full");
    fault_if(
        s_.fill_first && c_.when_full == WhenFull::blocks && !c_.deadline_now && !c_.deadline_at,
        "fill_first: a send without a deadline would block while consumers wait");
    fault_if(s_.handoff && (latest() || c_.fan_out != FanOut::any_consumer),
             "handoff: only where any consumer may take a message");
    fault_if(s_.handoff && c_.message_max < 8, "handoff: needs messages of 8 bytes");
  }

  void injected() {
    const Faults& f = s_.faults;
    kills("producer", f.producer_kills, s_.producers, s_.late_producers, s_.early_producers,
          c_.survives_producer_death);
    kills("consumer", f.consumer_kills, s_.consumers, s_.late_consumers, s_.early_consumers,
          c_.survives_consumer_death);
    fault_if(f.kills() && s_.workload == Workload::request_reply,
             "kills: not in request_reply, where a request that died would be waited for in vain");
    fault_if(f.kills() && s_.threads > 1, "kills: one thread per worker");
    fault_if(f.kills() && c_.message_max < 8, "kills: need messages of 8 bytes");
    fault_if(f.same_identity && !c_.rejoins,
             "same_identity: the contract does not let a successor have the index of the dead");
    fault_if(f.same_identity && ((s_.late_producers > 0 && f.producer_kills == 0) ||
                                 (s_.late_consumers > 0 && f.consumer_kills == 0)),
             "same_identity: who comes late succeeds nobody");
    fault_if(f.pauses > 0 && f.pause_us == 0, "pauses without pause_us");
    fault_if(f.spare_descriptors > 0 && f.spare_descriptors < spare_descriptors_least(s_),
             "spare_descriptors {} is below {}, which the contract may need", f.spare_descriptors,
             spare_descriptors_least(s_));
    fault_if(f.spare_signals > 0 && f.spare_signals < spare_signals_least,
             "spare_signals {} is below {}", f.spare_signals, spare_signals_least);
  }
  void kills(const char* role, std::uint32_t kills, std::uint32_t all, std::uint32_t late,
             std::uint32_t early, bool survived) {
    if (kills == 0) return;
    fault_if(!survived, "{}_kills: the contract survives no such death", role);
    fault_if(kills >= all, "{}_kills: {} of {}; one must stay", role, kills, all);
    fault_if(late > kills, "{}_kills: {} come late, as successors of {} killed", role, late, kills);
    fault_if(early > 0, "{}_kills: nobody else of them may leave early", role);
  }

  void cost() {
    fault_if(c_.capacity_max > 0 && s_.capacity > c_.capacity_max,
             "capacity {} is above the contract's {}", s_.capacity, c_.capacity_max);
    const std::uint64_t bytes =
        std::uint64_t{s_.capacity} * std::max(8u, s_.largest_message()) * s_.channels();
    fault_if(bytes > limits::channel_bytes_max,
             "capacity x largest message is {} bytes, at most {}", bytes,
             limits::channel_bytes_max);
    fault_if(s_.messages * s_.producers > messages_max, "{} messages in all, at most {}",
             s_.messages * s_.producers, messages_max);
    const std::int64_t sleeps_us = sleeps_us_of(s_.producer_noise, s_.messages) +
                                   sleeps_us_of(s_.consumer_noise, s_.messages * s_.producers);
    fault_if(planned_pause_ns(s_) + sleeps_us * 1000 > limits::planned_ns_max,
             "its pauses last more than ten minutes");
  }
  // At the worst. A starved worker sleeps after every operation of a third of its quota.
  std::int64_t sleeps_us_of(const Noise& n, std::uint64_t operations) const {
    std::uint64_t us = operations * n.sleep_permille / 1000 * n.sleep_max_us;
    if (s_.starved_worker > 0) us += operations / 3 * n.sleep_max_us;
    return static_cast<std::int64_t>(us);
  }

  const Scenario& s_;
  const Contract& c_;
  std::vector<std::string> faults_;
};

}  // namespace

std::vector<std::string> scenario_faults(const Scenario& scenario, const Contract& contract) {
  RangeFaults ranges;
  if (scenario.version != Scenario::current_version) {
    ranges.faults.push_back(
        fmt::format("version {} is not {}", scenario.version, Scenario::current_version));
  }
  visit_fields(ranges, scenario);
  if (!ranges.faults.empty()) return std::move(ranges.faults);
  return Rules(scenario, contract).apply();
}

}  // namespace ipctorture
