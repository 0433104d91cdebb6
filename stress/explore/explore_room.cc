#include "stress/explore/explore_room.h"

#include <signal.h>
#include <unistd.h>

namespace ipctorture {
namespace {

// A signal handler can reach nothing else.
std::atomic<bool> interrupted_by_signal{false};
std::atomic<int> first_signal{0};

ExitCode code_of(int signal) {
  return signal == SIGINT ? ExitCode::interrupted : ExitCode::terminated;
}

void on_signal(int signal) {
  int none = 0;
  if (!first_signal.compare_exchange_strong(none, signal)) {
    ::_exit(static_cast<int>(code_of(none)));
  }
  interrupted_by_signal.store(true);
}

constexpr int heard[] = {SIGINT, SIGTERM, SIGHUP};

}  // namespace

ExploreRoom::ExploreRoom() {
  interrupted_by_signal.store(false);
  first_signal.store(0);
  struct sigaction action{};
  action.sa_handler = on_signal;
  ::sigemptyset(&action.sa_mask);
  for (const int signal : heard) ::sigaction(signal, &action, nullptr);
  clean_dead_runs(run_base_directory(), &directory_);  // and makes it
}

ExploreRoom::~ExploreRoom() {
  for (const int signal : heard) ::signal(signal, SIG_DFL);
}

const std::atomic<bool>* ExploreRoom::interrupted() const { return &interrupted_by_signal; }

ExitCode ExploreRoom::exit_code() const {
  const int signal = first_signal.load();
  return signal == 0 ? ExitCode::pass : code_of(signal);
}

}  // namespace ipctorture
