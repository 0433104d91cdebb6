// A plan, written into the control block. Internal to session.cc.
#pragma once

#include "harness/schedule/session.h"

namespace ipctorture::schedule {

void configure(const Plan& plan);

}  // namespace ipctorture::schedule
