// Messages of a channel in the order of their sending, over all producers: what every real-time
// sweep walks over. Producers' lanes are each in order already, so this is a merge.
#pragma once

#include <vector>

#include "harness/check/oracles.h"

namespace ipctorture {

enum class SendEdge : std::uint8_t { invoked, returned };

// Walks accepted messages that are told apart (no lookalikes), by the chosen edge of their send.
class SendOrder {
 public:
  struct Item {
    unsigned producer = 0;
    std::uint64_t offset = 0;
    const SentMessage* message = nullptr;
    Stamp invoked = 0, returned = 0;  // of the send
  };
  SendOrder(const ChannelIndex& channel, SendEdge edge) : channel_(channel), edge_(edge) {
    for (unsigned p = 0; p < channel.producers.size(); ++p) {
      heads_.push_back({.producer = p});
      settle(heads_.back());
    }
    choose();
  }
  bool done() const { return heads_.empty() || heads_[chosen_].message == nullptr; }
  const Item& item() const { return heads_[chosen_]; }
  void next() {
    ++heads_[chosen_].offset;
    settle(heads_[chosen_]);
    choose();
  }

 private:
  void settle(Item& head) const {
    const auto& messages = channel_.producers[head.producer].messages;
    head.message = nullptr;
    for (; head.offset < messages.size(); ++head.offset) {
      const SentMessage& m = messages[head.offset];
      constexpr std::uint8_t told = SentMessage::accepted;
      const std::uint8_t flags = m.flags & (told | SentMessage::lookalike | SentMessage::mangled);
      if (flags != told) continue;
      const Record& r = channel_.sent_record(head.producer, head.offset);
      head.message = &m;
      head.invoked = r.invoked;
      head.returned = r.returned;
      return;
    }
  }
  Stamp key(const Item& head) const {
    if (head.message == nullptr) return Timeline::never;
    return edge_ == SendEdge::invoked ? head.invoked : head.returned;
  }
  void choose() {
    chosen_ = 0;
    for (std::size_t i = 1; i < heads_.size(); ++i) {
      if (key(heads_[i]) < key(heads_[chosen_])) chosen_ = i;
    }
  }

  const ChannelIndex& channel_;
  SendEdge edge_;
  std::vector<Item> heads_;
  std::size_t chosen_ = 0;
};

// Of the messages entered so far, per consumer the one whose receive began last: is there one whose
// receive began certainly after `moment` in the lane of `consumer`?
class LatestReceive {
 public:
  struct Entry {
    Stamp invoked = 0;  // of the receive; 0: none
    unsigned producer = 0;
    std::uint64_t offset = 0;
  };
  explicit LatestReceive(std::size_t consumers) : entries_(consumers + 1) {}
  // `consumer` == the number of consumers: nobody ever received it.
  void enter(std::size_t consumer, const Entry& entry) {
    if (entry.invoked > entries_[consumer].invoked) entries_[consumer] = entry;
  }
  const Entry* after(Stamp moment, std::size_t consumer, const Timeline& time) const {
    for (std::size_t c = 0; c < entries_.size(); ++c) {
      const Stamp invoked = entries_[c].invoked;
      const bool later = c == consumer ? invoked >= moment : time.before(moment, invoked);
      if (invoked != 0 && later) return &entries_[c];
    }
    return nullptr;
  }

 private:
  std::vector<Entry> entries_;
};

}  // namespace ipctorture
