// The explorer: every verb of the program, with the controlled engine's own. The transports are
// those of the shared object beside it.
#include <array>

#include "harness/schedule/sut.h"
#include "stress/command_line.h"
#include "stress/explore/controlled_verbs.h"

int main(int argc, char** argv) {
  std::array<const ipctorture::Registration*, 1024> all{};
  const unsigned count =
      ipctorture_sut_registrations(all.data(), static_cast<unsigned>(all.size()));
  for (unsigned i = 0; i < count && i < all.size(); ++i) ipctorture::Registered registered(*all[i]);
  return ipctorture::ipctorture_main(argc, argv,
                                     {.explore = ipctorture::explore,
                                      .replay_schedule = ipctorture::replay_schedule,
                                      .regress = ipctorture::regress});
}
