// Does a pipe carry packets (O_DIRECT, pipe(2))? Only the writing end's flags say so: whoever reads
// has to look at what is there.
#pragma once

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "harness/base/descriptor.h"

namespace ipctorture {

// Is what a read of this pipe would take next a packet, of which it may not leave a part? `fd` is
// the reading end, and something is there; nothing is taken. True when it cannot be told (fewer
// than two bytes, no descriptors left). Two bytes are copied into a pipe of its own and one is read
// there: the rest of a packet is gone then. Makes and closes two descriptors.
inline bool next_is_packet(int fd) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return true;
  const Descriptor in(ends[0]), out(ends[1]);
  char byte;
  int left = 0;
  return ::tee(fd, out.get(), 2, SPLICE_F_NONBLOCK) != 2 || ::read(in.get(), &byte, 1) != 1 ||
         ::ioctl(in.get(), FIONREAD, &left) != 0 || left != 1;
}

}  // namespace ipctorture
