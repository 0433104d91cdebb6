// How much memory this process has used at once.
#pragma once

namespace ipctorture {

// Peak of resident memory since forget_peak(), in bytes; 0 where /proc does not say.
void forget_peak();
double peak_bytes();

}  // namespace ipctorture
