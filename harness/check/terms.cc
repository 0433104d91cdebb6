#include "harness/check/terms.h"

#include <cstdint>
#include <utility>

namespace ipctorture {
namespace {

// The scenario layer attempts no larger message (scenario_faults), so none is refused.
constexpr std::uint32_t oversize_attempted_max = 1u << 20;

// Collects the terms that hold; the order of the calls is Term order.
class Terms {
 public:
  Terms& add(Term term, bool promised = true) {
    if (promised) terms_.push_back(term);
    return *this;
  }
  std::vector<Term> take() { return std::move(terms_); }

 private:
  std::vector<Term> terms_;
};

bool competing(const Contract& c) {
  return c.fan_out != FanOut::broadcast && c.delivery != Delivery::latest_value;
}

std::vector<Term> of_delivery(const Contract& c) {
  const bool exactly =
      c.delivery == Delivery::exactly_once && c.when_full != WhenFull::drops_newest;
  return Terms()
      .add(Term::once)
      .add(Term::nothing_lost, exactly)
      .add(Term::losses_told, c.when_full == WhenFull::overwrites_oldest)
      .add(Term::survives_close, exactly && competing(c) && c.accepted_survives_close)
      .take();
}

std::vector<Term> of_order(const Contract& c) {
  const bool by_time = c.ordering == Ordering::total || c.ordering == Ordering::priority;
  return Terms()
      .add(Term::producer_order)
      .add(Term::order_over_consumers,
           competing(c) && c.fan_out == FanOut::any_consumer && c.consumers_max > 1)
      .add(Term::order_over_producers, by_time && c.producers_max > 1)
      .add(Term::higher_first, c.ordering == Ordering::priority)
      .take();
}

// Where the kernel decides how much fits, that may be megabytes (tcp), which no scenario of a short
// run fills: refusals are judged there, but not demanded.
std::vector<Term> of_refusal(const Contract& c) {
  const bool fills = c.when_full == WhenFull::blocks || c.when_full == WhenFull::rejects;
  return Terms()
      .add(Term::attaches)
      .add(Term::oversize_refused, c.message_max <= oversize_attempted_max)
      .add(Term::room_found, competing(c) && fills && c.capacity_max > 0)
      .add(Term::full_exact, c.exact_full && competing(c))
      .add(Term::empty_exact, c.exact_empty)
      .take();
}

// A consumer is killed only where another is left, or may come.
std::vector<Term> of_progress(const Contract& c) {
  const bool named = c.message_max >= 8;
  const bool spared = c.consumers_max > 1 || c.late_consumer != LateConsumer::unsupported;
  const bool producer = c.survives_producer_death && named;
  const bool consumer = c.survives_consumer_death && named && spared;
  return Terms()
      .add(Term::keeps_moving)
      .add(Term::outlives_producer, producer)
      .add(Term::outlives_producer_inside, producer)
      .add(Term::outlives_consumer, consumer)
      .add(Term::outlives_consumer_inside, consumer)
      .take();
}

}  // namespace

std::vector<Term> promised_terms(Promise promise, const Contract& c) {
  switch (promise) {
    case Promise::integrity:
      return {Term::content};
    case Promise::delivery:
      return of_delivery(c);
    case Promise::order:
      return of_order(c);
    case Promise::stall:
      return {Term::wakes_consumer};
    case Promise::deadlock:
      return of_progress(c);
    case Promise::starvation:
      return {Term::overtakes};
    case Promise::refusal:
      return of_refusal(c);
    case Promise::end_of_stream:
      return {Term::closed_told};
    case Promise::latest_value:
      return Terms()
          .add(Term::never_older)
          .add(Term::fires_on_change, c.fires_only_on_change)
          .add(Term::converges)
          .take();
    case Promise::deadlines:
    case Promise::crash:
    case Promise::leaks:
      break;
  }
  return {};
}

}  // namespace ipctorture
