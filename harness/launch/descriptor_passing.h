// Small messages with descriptors over a SOCK_SEQPACKET socket (SCM_RIGHTS, unix(7)).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "harness/base/descriptor.h"

namespace ipctorture {

inline constexpr std::size_t descriptors_per_message = 32;

// Sends one message whole, blocking; false with errno when the peer is gone.
bool send_with_descriptors(int socket, const void* data, std::size_t bytes,
                           std::span<const int> fds);

// Receives one message of exactly `bytes`; false at end of file, for another size, or with errno.
// Descriptors arrive close-on-exec and are appended to `fds`.
bool receive_with_descriptors(int socket, void* data, std::size_t bytes,
                              std::vector<Descriptor>& fds);

}  // namespace ipctorture
