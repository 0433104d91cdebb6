// What the verbs of the controlled engine need: a private directory, and ears for signals. No
// thread is ever started: this process forks.
#pragma once

#include <atomic>

#include "harness/launch/run_directory.h"
#include "stress/exit_code.h"

namespace ipctorture {

// While it lives SIGINT, SIGTERM and SIGHUP set `interrupted`, a second one ends the process at
// once; its shards and workers die with it. One at a time.
class ExploreRoom {
 public:
  ExploreRoom();  // removes what dead runs left; throws std::system_error
  ~ExploreRoom();
  ExploreRoom(const ExploreRoom&) = delete;
  ExploreRoom& operator=(const ExploreRoom&) = delete;

  const std::string& directory() const { return directory_.path(); }
  const std::atomic<bool>* interrupted() const;
  // interrupted or terminated, by the first signal; pass when there was none.
  ExitCode exit_code() const;

 private:
  RunDirectory directory_;
};

}  // namespace ipctorture
