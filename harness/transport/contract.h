// What a transport promises, as data. The harness tortures a transport within its contract and
// calls a violation only what the contract forbids; each term decides which oracles apply
// (harness/check). A term left at its default promises the least.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ipctorture {

enum class Delivery : std::uint8_t { exactly_once, at_most_once, latest_value };
enum class Ordering : std::uint8_t {
  none,
  per_producer,  // each consumer sees a producer's messages in sending order; consumers together:
                 // what one had received before another's receive began came earlier
  total,         // linearizable FIFO
  priority,      // higher priority first, FIFO within one
};
enum class FanOut : std::uint8_t {
  any_consumer,    // a message waits for whichever consumer comes first
  bound_consumer,  // which consumer gets it is decided when it is accepted; may be lost with that
                   // one
  broadcast,       // every consumer gets it
};
enum class LateConsumer : std::uint8_t {
  unsupported,  // all consumers attach before the first message
  backlog,      // competing: whatever is still there
  from_attach,  // broadcast: what is sent after attach returned; latest value: the value of that
                // time
};
enum class WhenFull : std::uint8_t {
  blocks,             // until the deadline; `now` answers full
  rejects,            // answers full at once, whatever the deadline
  drops_newest,       // accepts and may lose it
  overwrites_oldest,  // the oldest message makes room; a lapped consumer is told how many it missed
  overwrites,         // there is one value
};
enum class AttachBy : std::uint8_t {
  inherited,  // descriptors passed from the creator (fork, SCM_RIGHTS)
  named,      // a name is enough: separately started programs can meet
};
enum class Hostile : std::uint8_t {  // what a peer that writes anything can do to an honest side
  not_promised,
  only_errors,  // wrong messages or errors, but no crash, hang or access out of bounds
};

struct Contract {
  Delivery delivery = Delivery::exactly_once;
  Ordering ordering = Ordering::none;
  FanOut fan_out = FanOut::any_consumer;
  LateConsumer late_consumer = LateConsumer::unsupported;
  // A producer may attach when others already sent, and even left.
  bool late_producer = false;
  // A receive answers `closed` once every expected producer (Options::producers) attached and
  // closed and everything was received. Never before.
  bool reports_closed = false;
  WhenFull when_full = WhenFull::blocks;
  // `full` (`empty`) is answered only when there really is no room (no message) at some moment of
  // the operation. Needs capacity_max > 0 for full.
  bool exact_empty = false;
  bool exact_full = false;
  // The transport holds exactly Options::capacity messages, which may be 1 ... capacity_max. 0: the
  // kernel or a byte limit decides, nothing is promised about how many fit.
  std::uint32_t capacity_max = 0;
  std::uint32_t message_min = 1;  // bytes
  std::uint32_t message_max = 0;  // bytes; what is larger must be refused with too_large
  std::uint32_t priorities = 1;   // SendOptions::priority in [0, priorities)
  std::uint32_t producers_max = 1;
  std::uint32_t consumers_max = 1;
  // How many of each role may attach over time, who succeeded the dead counted, while there are at
  // most producers_max and consumers_max at once. 0: no more than those; where they are 1, any
  // number, one after the other's death.
  std::uint32_t lives_max = 0;
  // Several threads of one process may each attach an endpoint of their own.
  bool threads = true;
  AttachBy attach = AttachBy::named;
  bool exec_only =
      false;  // endpoints do not survive that the harness forks (daemons, library threads)
  // Deadlines that are kept, beside `never`; and by how much at the most they may be overrun.
  bool deadline_now = true;
  // The largest message that a `now` send can take, into an empty transport; above it `now` may
  // answer full for ever (it is whole or not at all, and does not fit the kernel's buffer). 0:
  // message_max.
  std::uint32_t now_message_max = 0;
  bool deadline_at = true;
  std::uint32_t deadline_slack_ms = 50;
  // An accepted message reaches a waiting consumer within this time on a machine that is not
  // starved.
  std::uint32_t progress_bound_ms = 2000;
  // How many messages that were sent after it was accepted may be delivered before a message is
  // asked for; nothing: not promised. A linearizable FIFO queue lets none overtake, however many
  // produce and consume at the same time: what happens at the same time is in no order.
  std::optional<std::uint32_t> overtakes_max;
  // Latest value: no wake-up and no result for a value equal to the one the consumer has seen.
  bool fires_only_on_change = false;
  bool accepted_survives_close = false;  // of the producer that sent it
  // Orderly departure never needs promising: every transport survives close. Death is SIGKILL.
  bool survives_producer_death = false;
  bool survives_consumer_death = false;
  // Whoever succeeds one that died may attach with its index, and then is the same peer: Options
  // counts it once.
  bool rejoins = false;
  std::uint32_t lost_per_death_max = 0;  // accepted messages that one death may take along
  Hostile hostile = Hostile::not_promised;
  bool may_share_address_space = false;  // checked; the default is no
};

constexpr std::string_view to_string(Delivery v) {
  constexpr std::string_view names[] = {"exactly once", "at most once", "latest value"};
  return names[static_cast<unsigned>(v) % 3];
}
constexpr std::string_view to_string(Ordering v) {
  constexpr std::string_view names[] = {"none", "per producer", "total", "priority"};
  return names[static_cast<unsigned>(v) % 4];
}
constexpr std::string_view to_string(FanOut v) {
  constexpr std::string_view names[] = {"any consumer", "bound consumer", "broadcast"};
  return names[static_cast<unsigned>(v) % 3];
}
constexpr std::string_view to_string(WhenFull v) {
  constexpr std::string_view names[] = {"blocks", "rejects", "drops newest", "overwrites oldest",
                                        "overwrites"};
  return names[static_cast<unsigned>(v) % 5];
}
constexpr std::string_view to_string(AttachBy v) {
  constexpr std::string_view names[] = {"inherited", "named"};
  return names[static_cast<unsigned>(v) % 2];
}
constexpr std::string_view to_string(LateConsumer v) {
  constexpr std::string_view names[] = {"unsupported", "backlog", "from attach"};
  return names[static_cast<unsigned>(v) % 3];
}

// Terms that contradict each other, one sentence each; empty when the contract makes sense. The
// conformance suite and every command refuse a contract with faults.
std::vector<std::string> contract_faults(const Contract& contract);

}  // namespace ipctorture
