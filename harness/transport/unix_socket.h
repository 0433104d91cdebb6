// Sockets of the family AF_UNIX that meet at a Rendezvous: the part that unix_stream,
// unix_seqpacket and unix_dgram have in common. All are close-on-exec and blocking (calls that must
// not wait say MSG_DONTWAIT); their names have mode 0600 in a directory of mode 0700, so nobody
// else can connect.
#pragma once

#include <cstddef>
#include <string>

#include "harness/base/descriptor.h"
#include "harness/transport/rendezvous.h"

namespace ipctorture {

// Binds a socket of `type` (SOCK_STREAM ...) as consumer `index`, listens where the type can, and
// publishes it. Throws std::system_error.
Descriptor publish_unix_socket(const Rendezvous& meeting, unsigned index, int type);

// Connects to consumer `index`, waiting for it to appear. Invalid if it came and is gone; throws
// std::system_error (ETIMEDOUT).
Descriptor connect_unix_socket(const Rendezvous& meeting, unsigned index, int type,
                               Deadline deadline);

// Asks for a send buffer of `bytes` (the kernel counts its own overhead and grants twice the
// number, up to twice net.core.wmem_max) and returns what there is now, in the kernel's count.
std::size_t grow_send_buffer(int fd, std::size_t bytes);

// For Transport::unsupported: why such sockets cannot carry a message of `bytes` in one piece here;
// empty: they can.
std::string unix_packets_unsupported(int type, std::size_t bytes);

}  // namespace ipctorture
