// Sending and receiving over a ring (spsc_slots.h) by a deadline. How to sleep and how to wake is
// the Bell's affair, which each transport brings:
//   void sleep(Deadline)  returns when the peer rang, the deadline passed, or for no reason. A ring
//                         that came after announce() must not be missed
//   void wake_peer()      wakes the peer, which announced that it sleeps
#pragma once

#include <cerrno>
#include <cstddef>
#include <span>

#include "harness/base/adaptive_spin.h"
#include "harness/base/clock.h"
#include "harness/base/outcome.h"
#include "harness/base/spsc_slots.h"

namespace ipctorture {

// Waits until `side` could go on or the deadline passed; may return early. The second look at
// ready(), after announce(), is what makes a lost wake-up impossible.
template <typename Side, typename Bell>
void spsc_await(Side& side, Bell& bell, AdaptiveSpin& spin, Deadline deadline) {
  if (spin.until([&] { return side.ready(); })) return;
  side.announce();
  if (!side.ready()) bell.sleep(deadline);
  side.retract();
}

template <typename Bell>
IoResult spsc_send(SpscWriter& ring, Bell& bell, AdaptiveSpin& spin,
                   std::span<const std::byte> message, Deadline deadline) {
  if (message.size() > ring.message_max()) return IoResult::of(Outcome::too_large);
  for (;;) {
    switch (ring.try_write(message)) {
      case SpscTry::done:
        if (ring.peer_waits()) bell.wake_peer();
        return IoResult::sent();
      case SpscTry::peer_left:
        return IoResult::of(Outcome::closed);
      case SpscTry::blocked:
        break;
      default:
        return IoResult::failed(EPROTO);
    }
    if (deadline.is_now()) return IoResult::of(Outcome::full);
    if (deadline.passed()) return IoResult::of(Outcome::timed_out);
    spsc_await(ring, bell, spin, deadline);
  }
}

template <typename Bell>
IoResult spsc_receive(SpscReader& ring, Bell& bell, AdaptiveSpin& spin, std::span<std::byte> buffer,
                      Deadline deadline) {
  for (;;) {
    std::size_t size = 0;
    switch (ring.try_read(buffer, &size)) {
      case SpscTry::done:
        if (ring.peer_waits()) bell.wake_peer();
        return IoResult::received(size);
      case SpscTry::peer_left:
        return IoResult::of(Outcome::closed);
      case SpscTry::too_large:
        return IoResult::of(Outcome::too_large);
      case SpscTry::blocked:
        break;
      default:
        return IoResult::failed(EPROTO);
    }
    if (deadline.is_now()) return IoResult::of(Outcome::empty);
    if (deadline.passed()) return IoResult::of(Outcome::timed_out);
    spsc_await(ring, bell, spin, deadline);
  }
}

// Orderly departure: the peer learns of it even in its sleep.
template <typename Side, typename Bell>
IoResult spsc_close(Side& side, Bell& bell) {
  side.leave();
  if (side.peer_waits()) bell.wake_peer();
  return IoResult::sent();
}

}  // namespace ipctorture
