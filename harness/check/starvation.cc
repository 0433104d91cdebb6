// Starvation: no message is overtaken by more later ones than the contract allows.
//
// A message is overtaken by another that was certainly sent after it was accepted and certainly
// received before its own receive began: sound, counted exactly for each message in n log n (by the
// send's time, with a tree over the receives' ends). Jain's index of what the peers got done, and
// the longest wait, are reported with every verdict: 1 is equal shares, 1/n one peer alone.
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "harness/check/oracles.h"
#include "harness/check/sweep.h"

namespace ipctorture {
namespace {

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

double jain(const std::vector<std::uint64_t>& shares) {
  double sum = 0, squares = 0;
  for (const std::uint64_t share : shares) {
    sum += static_cast<double>(share);
    squares += static_cast<double>(share) * static_cast<double>(share);
  }
  return squares > 0 ? sum * sum / (static_cast<double>(shares.size()) * squares) : 1;
}

struct Passed {
  unsigned producer = 0;
  std::uint64_t offset = 0;
  Stamp sent = 0, accepted = 0;     // the send
  Stamp receive = 0, received = 0;  // the receive
};

std::vector<Passed> passed_through(const ChannelIndex& channel) {
  std::vector<Passed> all;
  all.reserve(channel.delivered);
  for (SendOrder sends(channel, SendEdge::invoked); !sends.done(); sends.next()) {
    const auto& item = sends.item();
    if (!item.message->has(SentMessage::delivered)) continue;
    const Record& r = channel.received_record(*item.message);
    all.push_back({item.producer, item.offset, item.invoked, item.returned, r.invoked, r.returned});
  }
  return all;  // by the beginning of the send
}

void judge_overtakes(const Subject& subject, const ChannelIndex& channel,
                     const std::vector<Passed>& all, Finding& finding) {
  std::vector<std::uint32_t> order(all.size());  // by acceptance, latest first
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](auto a, auto b) { return all[a].accepted > all[b].accepted; });
  std::vector<Stamp> ends(all.size());
  std::transform(all.begin(), all.end(), ends.begin(), [](const Passed& m) { return m.received; });
  std::sort(ends.begin(), ends.end());
  const auto rank = [&](Stamp s) {
    return static_cast<std::size_t>(std::lower_bound(ends.begin(), ends.end(), s) - ends.begin());
  };
  CountTree tree(all.size());
  const Stamp slack = subject.time.slack();
  std::size_t later = all.size();  // all[later..] were sent after the one at hand was accepted
  std::uint64_t most = 0;
  std::uint32_t worst = 0;
  for (const std::uint32_t i : order) {
    const Passed& m = all[i];
    while (later > 0 && subject.time.before(m.accepted, all[later - 1].sent)) {
      tree.add(rank(all[--later].received));
    }
    const std::uint64_t overtakes = m.receive > slack ? tree.below(rank(m.receive - slack)) : 0;
    if (overtakes > most) most = overtakes, worst = i;
  }
  if (most <= subject.contract.overtakes_max) return;
  const Passed& m = all[worst];
  const SentMessage& sent = channel.producers[m.producer].messages[m.offset];
  charge_delay(subject, finding, m.accepted, m.receive,
               {.symptom = "overtaken",
                .what = fmt::format("{} was overtaken by {} messages sent after it, and waited {}",
                                    subject.message(channel, m.producer, m.offset), most,
                                    subject.duration(m.receive - m.accepted)),
                .legal = fmt::format("at most {}", subject.contract.overtakes_max),
                .witness = {channel.sent_ref(m.producer, m.offset), channel.received_ref(sent)}});
}

}  // namespace

Finding check_starvation(const Subject& subject) {
  Finding finding{.term = fmt::format("fairness: {} overtakes", subject.contract.overtakes_max)};
  std::string fairness;
  for (const ChannelIndex& channel : subject.channels) {
    if (!channel.shared) continue;
    const std::vector<Passed> all = passed_through(channel);
    finding.occasions += all.size();
    std::vector<std::uint64_t> sent, got;
    // Who left early by itself was not kept from its share.
    const bool planned = channel.channel == 0;
    for (std::size_t p = planned ? subject.scenario.early_producers : 0;
         p < channel.producers.size(); ++p) {
      if (channel.producers[p].present) sent.push_back(channel.producers[p].accepted);
    }
    for (std::size_t c = planned ? subject.scenario.early_consumers : 0;
         c < channel.consumers.size(); ++c) {
      if (channel.consumers[c].present) got.push_back(channel.consumers[c].received);
    }
    Stamp longest = 0;
    for (const Passed& m : all) {
      if (m.received > m.accepted) longest = std::max(longest, m.received - m.accepted);
    }
    fairness += fmt::format(
        "{}Jain's index {:.2f} of {} producers, {:.2f} of {} consumers, longest "
        "wait {}",
        fairness.empty() ? "" : "; ", jain(sent), sent.size(), jain(got), got.size(),
        subject.duration(longest));
    if (subject.time.orders_lanes()) judge_overtakes(subject, channel, all, finding);
  }
  finding.what += finding.what.empty() ? fairness : " (" + fairness + ")";
  return finding;
}

}  // namespace ipctorture
