#include "harness/check/quiet.h"

namespace ipctorture {

std::vector<Quiet> quiet_rows(const Subject& subject, const ChannelIndex& channel,
                              const ConsumerSide& consumer, Stamp at_least) {
  std::vector<Quiet> rows;
  if (!consumer.present) return rows;
  Quiet row;
  bool listening = false;
  const auto finish = [&] {
    if (listening && row.to - row.from > at_least) rows.push_back(row);
    listening = false;
  };
  const auto records = subject.history.lanes[consumer.lane].records;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Record& r = records[i];
    if (r.channel() != channel.channel) continue;
    if (r.op() == Op::close || r.op() == Op::finished) finish();
    if (r.op() != Op::receive) continue;
    const bool nothing =
        r.result() == Outcome::empty || r.result() == Outcome::timed_out || r.open();
    if (!nothing) {
      // A blocking receive that did bring something was quiet until it returned; what it brought
      // had waited no longer than that.
      finish();
      continue;
    }
    const EventRef ref{consumer.lane, i};
    if (!listening) row = {.first = ref, .last = ref, .from = r.invoked};
    listening = true;
    row.last = ref;
    row.to = subject.ended(ref);
  }
  finish();
  return rows;
}

}  // namespace ipctorture
