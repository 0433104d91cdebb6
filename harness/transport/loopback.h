// Ports on 127.0.0.1 that meet at a Rendezvous: the part that tcp and udp have in common.
//
// A port has no owner and no mode, so both sides prove themselves. A producer proves itself by the
// run's token. A consumer proves itself by its entry in the private directory, a 0600 file with the
// port's number on which it holds a lock (flock(2)) for as long as the port is its own: a producer
// that finds the lock held *after* it connected has met the consumer, for the port cannot have
// changed hands before. Nothing flows back to producers, which matters for TCP: closing a socket
// that has unread data sends a reset, and a reset destroys what was sent and not yet received.
#pragma once

#include <netinet/in.h>

#include <string>

#include "harness/base/descriptor.h"
#include "harness/transport/rendezvous.h"

namespace ipctorture {

// A socket of `type` (SOCK_STREAM, SOCK_DGRAM) bound to a free port of 127.0.0.1, close-on-exec and
// blocking. Throws std::system_error.
Descriptor bind_loopback(int type);

// Publishes the port of `socket` as that of consumer `index`. Keep what it returns, the lock, for
// as long as the port is in use. Throws std::system_error.
Descriptor publish_port(const Rendezvous& meeting, unsigned index, int socket);

// A socket of `type` connected to consumer `index`, waiting for it to appear. Invalid if it came
// and is gone; throws std::system_error (ETIMEDOUT).
Descriptor connect_loopback(const Rendezvous& meeting, unsigned index, int type, Deadline deadline);

// For Transport::unsupported: why this machine has no such sockets; empty: it has.
std::string loopback_unsupported(int type);

}  // namespace ipctorture
