// The explorer: every verb of the program, with the controlled engine's own. The transports are
// those of the shared object beside it.
#include <fcntl.h>
#include <unistd.h>

#include <array>

#include "harness/schedule/sut.h"
#include "stress/command_line.h"
#include "stress/explore/controlled_verbs.h"

// Descriptors are numbered alike in every run: replays compare them. What somebody left open is
// closed, what somebody closed of the first three is opened.
static void number_descriptors_alike() {
  ::close_range(3, ~0u, 0);
  for (int fd = ::open("/dev/null", O_RDWR); fd >= 0; fd = ::open("/dev/null", O_RDWR)) {
    if (fd <= 2) continue;
    ::close(fd);
    break;
  }
}

int main(int argc, char** argv) {
  number_descriptors_alike();
  std::array<const ipctorture::Registration*, 1024> all{};
  const unsigned count =
      ipctorture_sut_registrations(all.data(), static_cast<unsigned>(all.size()));
  for (unsigned i = 0; i < count && i < all.size(); ++i) ipctorture::Registered registered(*all[i]);
  return ipctorture::ipctorture_main(argc, argv,
                                     {.explore = ipctorture::explore,
                                      .replay_schedule = ipctorture::replay_schedule,
                                      .regress = ipctorture::regress,
                                      .show_schedule = ipctorture::show_schedule,
                                      .shrink_schedule = ipctorture::shrink_schedule});
}
