// The whole program as a function, so that a transport outside this tree gets every verb: its
// executable links its own objects, this library, and the main() that calls it.
#pragma once

namespace ipctorture {

// Never throws; the answer is main's. Call it from a single-threaded main.
int ipctorture_main(int argc, char** argv) noexcept;

}  // namespace ipctorture
