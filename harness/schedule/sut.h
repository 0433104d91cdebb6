// The border between the harness and the system under test, which is a shared object of its own:
// compiled wholly instrumented, its symbols hidden, so that the linker never merges one of its
// inline functions with a plain copy of the harness (facts: that cost every callback, silently).
//
// The objects that cross it (Registration, Transport, Endpoint, Options) have the same layout on
// both sides; only their code differs.
#pragma once

#include "harness/transport/registry.h"

#define IPCTORTURE_EXPORT __attribute__((visibility("default")))

extern "C" {
// The transports in the shared object; at most `most` are written to `to`. Returns how many there
// are.
IPCTORTURE_EXPORT unsigned ipctorture_sut_registrations(const ipctorture::Registration** to,
                                                        unsigned most);
// Does one instrumented atomic store and one instrumented copy of 32 bytes, into shared memory of
// 64 bytes: for the check that instrumentation works (canary_test.cc).
IPCTORTURE_EXPORT void ipctorture_sut_touch(void* shared);
}
