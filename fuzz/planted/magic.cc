// Instrumented, alone of its program.
#include "fuzz/planted/magic.h"

#include <cstdlib>

namespace ipctorture {

void take(const std::uint8_t* data, std::size_t size) {
  if (size < 6) return;
  if (data[0] != 0x4f) return;
  if (data[1] != 0xa3) return;
  if (data[2] != 0x17) return;
  if (data[3] != 0xee) return;
  if (data[4] != 0x5c) return;
  if (data[5] == 0x01) std::abort();
}

}  // namespace ipctorture
