// Small transports with threads, processes, locks and barriers of their own: what the tests of the
// controlled engine look for, planted in a shared object that is instrumented as a user's is
// (ci/cmake/tests.cmake). Each is right, or has one bug, by its name.
#pragma once

#include "harness/transport/registry.h"

extern "C" {
// As ipctorture_sut_registrations (schedule/sut.h).
__attribute__((visibility("default"))) unsigned ipctorture_planted_registrations(
    const ipctorture::Registration** to, unsigned most);
// Where "counts_sends" counts, and how many bytes that is: a page of its own, or pages.
__attribute__((visibility("default"))) void* ipctorture_planted_counts(unsigned* bytes);
}
