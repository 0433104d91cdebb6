// Messages of earlier rounds of a soak (history.h, `continues`): what of them may still come, and
// what this round leaves to the next.
//
// A round begins with every message dealt with, but for those that are listed: accepted or of
// unknown fate, and received by nobody. So a message below a producer's first of this round is
// right only once, and only when it is listed; every other one was received before, or was refused.
// Where one consumer takes everything in its producers' order, a later message ends the wait for an
// earlier one.
#include "harness/check/earlier.h"

#include <fmt/format.h>

#include <algorithm>

namespace ipctorture {
namespace {

constexpr std::size_t unreceived_max = 1u << 20;  // 16 MB

bool in_order_to_one(const Subject& subject, const ChannelIndex& channel) {
  const Ordering ordering = subject.contract.ordering;
  const auto present = std::ranges::count_if(channel.consumers, &Side::present);
  return present == 1 && (ordering == Ordering::total || ordering == Ordering::per_producer);
}

void add_of_producer(const ProducerSide& side, unsigned producer, std::uint64_t from,
                     std::vector<Unreceived>& to) {
  constexpr std::uint8_t came = SentMessage::delivered | SentMessage::mangled;
  constexpr std::uint8_t sent = SentMessage::accepted | SentMessage::uncertain;
  for (std::uint64_t offset = from; offset < side.messages.size(); ++offset) {
    const SentMessage& m = side.messages[offset];
    if (m.has(came) || !m.has(sent)) continue;
    to.push_back({.producer = static_cast<std::uint8_t>(producer),
                  .sequence = side.first + offset,
                  .accepted = m.has(SentMessage::accepted)});
  }
}

// Offset + 1 of the newest that somebody received; 0: none.
std::uint64_t newest_of(const ProducerSide& side) {
  std::uint64_t end = side.messages.size();
  while (end > 0 && !side.messages[end - 1].has(SentMessage::delivered)) --end;
  return end;
}

}  // namespace

void leave_to_next_round(const Subject& subject, Judgement& judgement) {
  const ChannelIndex& channel = subject.channels.front();
  judgement.unreceived_known = subject.history.unreceived_known;
  if (!channel.shared) {
    // Nobody keeps books of each consumer; those that promise everything have given everything.
    judgement.unreceived_known = subject.contract.delivery != Delivery::at_most_once;
    return;
  }
  const bool ends_waits = in_order_to_one(subject, channel);
  std::vector<std::uint64_t> newest(channel.producers.size());
  for (unsigned p = 0; p < newest.size(); ++p) newest[p] = newest_of(channel.producers[p]);
  std::vector<Unreceived>& left = judgement.unreceived;
  for (std::size_t i = 0; i < subject.history.unreceived.size(); ++i) {
    const Unreceived& old = subject.history.unreceived[i];
    const bool passed = ends_waits && old.producer < newest.size() && newest[old.producer] > 0;
    if (!channel.came_late[i] && !passed) left.push_back(old);
  }
  for (unsigned p = 0; p < newest.size(); ++p) {
    add_of_producer(channel.producers[p], p, ends_waits ? newest[p] : 0, left);
  }
  if (left.size() > unreceived_max) {
    left.erase(left.begin(), left.end() - unreceived_max);
    judgement.unreceived_known = false;
  }
  std::ranges::sort(left);
}

void judge_left_over(const Subject& subject, const ChannelIndex& channel, Finding& finding) {
  const auto& unreceived = subject.history.unreceived;
  std::uint64_t missing = 0;
  const Unreceived* first = nullptr;
  for (std::size_t i = 0; i < unreceived.size(); ++i) {
    if (channel.came_late[i] || !unreceived[i].accepted) continue;
    if (missing++ == 0) first = &unreceived[i];
  }
  if (missing <= subject.may_be_gone()) return;
  charge(finding, Verdict::inconclusive,
         {.symptom = "unreceived",
          .what = fmt::format("message {} of producer {} was accepted in an earlier round and has "
                              "not been received{}",
                              first->sequence, first->producer, and_more(missing)),
          .legal = "each accepted message is received once"});
}

}  // namespace ipctorture
