// Shares are compared only while all peers were at it: producers from the last one's first send to
// the first one's last, since each has a quota and in the end all have sent theirs; consumers from
// when the last one began to listen until the first one closes. Outside lie late comers and early
// leavers. Overtakes and waits are those of the first messages sent: of a part alone, each is still
// true, and the time to find them does not grow with a long history.
#include "harness/check/fairness.h"

#include <algorithm>

#include "harness/check/sweep.h"

namespace ipctorture {
namespace {

constexpr std::size_t passages_max = 1u << 17;

// Below so many per peer, shares are chance.
constexpr std::uint64_t shares_each_min = 8;

// How many numbers below a limit were added.
class CountTree {
 public:
  explicit CountTree(std::size_t size) : nodes_(size + 1, 0) {}
  void add(std::size_t at) {
    for (std::size_t i = at + 1; i < nodes_.size(); i += i & (~i + 1)) ++nodes_[i];
  }
  std::uint64_t below(std::size_t limit) const {
    std::uint64_t count = 0;
    for (std::size_t i = std::min(limit, nodes_.size() - 1); i > 0; i -= i & (~i + 1)) {
      count += nodes_[i];
    }
    return count;
  }

 private:
  std::vector<std::uint32_t> nodes_;
};

// By acceptance, earliest first.
std::vector<std::uint32_t> by_acceptance(const std::vector<Passage>& all) {
  std::vector<std::uint32_t> order(all.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto earlier = [&](auto a, auto b) { return all[a].accepted < all[b].accepted; };
  // One producer's are in order already, several producers' nearly.
  if (!std::is_sorted(order.begin(), order.end(), earlier)) {
    std::sort(order.begin(), order.end(), earlier);
  }
  return order;
}

// Does any message overtake another? One sweep by the time of sending.
bool any_overtakes(const Timeline& time, const std::vector<Passage>& all,
                   const std::vector<std::uint32_t>& order) {
  std::size_t before = 0;  // order[..before) were accepted before the one at hand was sent
  Stamp latest = 0;        // receive among them
  for (const Passage& m : all) {
    for (; before < order.size() && time.before(all[order[before]].accepted, m.sent); ++before) {
      latest = std::max(latest, all[order[before]].receive);
    }
    if (time.before(m.received, latest)) return true;
  }
  return false;
}

void count_each(const Timeline& time, const std::vector<Passage>& all,
                const std::vector<std::uint32_t>& order, Overtakes& found) {
  std::vector<Stamp> ends(all.size());
  std::transform(all.begin(), all.end(), ends.begin(), [](const Passage& m) { return m.received; });
  std::sort(ends.begin(), ends.end());
  const auto rank = [&](Stamp s) {
    return static_cast<std::size_t>(std::lower_bound(ends.begin(), ends.end(), s) - ends.begin());
  };
  CountTree tree(all.size());
  std::size_t later = all.size();  // all[later..] were sent after the one at hand was accepted
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const Passage& m = all[*it];
    while (later > 0 && time.before(m.accepted, all[later - 1].sent)) {
      tree.add(rank(all[--later].received));
    }
    if (m.receive <= time.slack()) continue;
    const std::uint64_t overtakes = tree.below(rank(m.receive - time.slack()));
    if (overtakes <= found.most) continue;
    found.most = overtakes;
    found.worst = m;
  }
}

std::optional<double> jain(const std::vector<std::uint64_t>& shares) {
  double sum = 0, squares = 0;
  for (const std::uint64_t share : shares) {
    sum += static_cast<double>(share);
    squares += static_cast<double>(share) * static_cast<double>(share);
  }
  const auto peers = static_cast<double>(shares.size());
  if (shares.size() < 2 || sum < peers * static_cast<double>(shares_each_min)) return std::nullopt;
  return sum * sum / (peers * squares);
}

bool carried(const Record& r, Op op, unsigned channel) {
  return r.op() == op && r.channel() == channel && r.result() == Outcome::ok;
}

// What each side's lane carried within from..to.
template <typename Sides>
std::optional<double> jain_within(const Subject& subject, const ChannelIndex& channel,
                                  const Sides& sides, Op op, Stamp from, Stamp to) {
  std::vector<std::uint64_t> shares;
  for (const Side& side : sides) {
    if (!side.present) continue;
    const auto records = subject.history.lanes[side.lane].records;
    shares.push_back(static_cast<std::uint64_t>(
        std::count_if(records.begin(), records.end(), [&](const Record& r) {
          return carried(r, op, channel.channel) && r.invoked >= from && r.returned <= to;
        })));
  }
  return jain(shares);
}

std::optional<double> jain_of_producers(const Subject& subject, const ChannelIndex& channel) {
  if (channel.producers.size() < 2) return std::nullopt;
  Stamp from = 0, to = Timeline::never;
  for (const ProducerSide& p : channel.producers) {
    if (!p.present || p.messages.empty()) continue;
    const auto records = subject.history.lanes[p.lane].records;
    const auto sends = [&](const Record& r) {
      return r.op() == Op::send && r.channel() == channel.channel;
    };
    from = std::max(from, std::find_if(records.begin(), records.end(), sends)->invoked);
    to = std::min(to, std::find_if(records.rbegin(), records.rend(), sends)->returned);
  }
  return jain_within(subject, channel, channel.producers, Op::send, from, to);
}

std::optional<double> jain_of_consumers(const Subject& subject, const ChannelIndex& channel) {
  if (channel.consumers.size() < 2) return std::nullopt;
  Stamp from = 0, to = Timeline::never;
  for (const ConsumerSide& c : channel.consumers) {
    if (!c.present) continue;
    const auto records = subject.history.lanes[c.lane].records;
    const auto first_of = [&](Op op) {
      return std::find_if(records.begin(), records.end(), [&](const Record& r) {
        return r.op() == op && r.channel() == channel.channel;
      });
    };
    if (first_of(Op::receive) == records.end()) return std::nullopt;
    from = std::max(from, first_of(Op::receive)->invoked);
    if (first_of(Op::close) != records.end()) to = std::min(to, first_of(Op::close)->invoked);
  }
  return jain_within(subject, channel, channel.consumers, Op::receive, from, to);
}

std::optional<double> least(std::optional<double> a, std::optional<double> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

// The longest send of each producer, and how many sends of others came and went within it.
void measure_peers(const Subject& subject, const ChannelIndex& channel,
                   const std::vector<Passage>& all, Fairness& fairness) {
  std::vector<const Passage*> longest(channel.producers.size(), nullptr);
  for (const Passage& m : all) {
    const Passage*& most = longest[m.producer];
    if (most == nullptr || m.accepted - m.sent > most->accepted - most->sent) most = &m;
  }
  for (const Passage* waited : longest) {
    if (waited == nullptr) continue;
    fairness.peer_wait_ns =
        std::max(fairness.peer_wait_ns, subject.history.ns(waited->accepted - waited->sent));
    const auto within = std::count_if(all.begin(), all.end(), [&](const Passage& m) {
      return m.producer != waited->producer && subject.time.before(waited->sent, m.sent) &&
             subject.time.before(m.accepted, waited->accepted);
    });
    fairness.peer_overtakes = std::max(fairness.peer_overtakes, static_cast<std::uint64_t>(within));
  }
}

}  // namespace

std::vector<Passage> passages(const ChannelIndex& channel) {
  std::vector<Passage> all;
  all.reserve(std::min<std::size_t>(channel.delivered, passages_max));
  for (SendOrder sends(channel, SendEdge::invoked); !sends.done() && all.size() < passages_max;
       sends.next()) {
    const auto& item = sends.item();
    if (!item.message->has(SentMessage::delivered)) continue;
    const Record& r = channel.received_record(*item.message);
    all.push_back({item.producer, item.offset, item.invoked, item.returned, r.invoked, r.returned});
  }
  return all;
}

Overtakes count_overtakes(const Timeline& time, const std::vector<Passage>& all) {
  Overtakes found;
  if (!time.orders_lanes()) return found;
  const std::vector<std::uint32_t> order = by_acceptance(all);
  std::size_t next =
      0;  // all[next] was sent first of those sent after the one at hand was accepted
  for (const std::uint32_t i : order) {
    while (next < all.size() && !time.before(all[i].accepted, all[next].sent)) ++next;
    if (next < all.size() && all[next].accepted < all[i].receive) ++found.occasions;
  }
  if (any_overtakes(time, all, order)) count_each(time, all, order, found);
  return found;
}

Fairness measure_fairness(const Subject& subject) {
  Fairness fairness;
  for (const ChannelIndex& channel : subject.channels) {
    if (!channel.shared) continue;
    const std::vector<Passage> all = passages(channel);
    fairness.messages += all.size();
    fairness.overtakes = std::max(fairness.overtakes, count_overtakes(subject.time, all).most);
    for (const Passage& m : all) {
      if (m.received <= m.accepted) continue;
      fairness.wait_ns = std::max(fairness.wait_ns, subject.history.ns(m.received - m.accepted));
    }
    measure_peers(subject, channel, all, fairness);
    fairness.jain_producers = least(fairness.jain_producers, jain_of_producers(subject, channel));
    fairness.jain_consumers = least(fairness.jain_consumers, jain_of_consumers(subject, channel));
  }
  return fairness;
}

}  // namespace ipctorture
