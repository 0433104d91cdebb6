// One transport against a hostile peer: both in this process, the honest side through its adapter,
// the attacker through whatever ways it has to the other (hostile_peer_ways.h). An input ends with
// nothing left; where the honest side then stands as it did at the beginning (the attacker is gone,
// nothing is to be received, no stranger has been there) its channel serves the next input too,
// since to make one costs more than most attacks.
//
// What counts as a find, beside what sanitizers and a time limit see: an answer that the adapter's
// interface does not know, a message outside the contract's sizes or more of them than bytes can
// explain, bytes written behind the caller's buffer, an exception on the data path, descriptors
// that stay open, memory without bound.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fuzz/hostile_channel.h"
#include "harness/transport/registry.h"

namespace ipctorture {

// Not thread-safe, and nothing else may open or close descriptors meanwhile. Needs a thread in
// which SIGPIPE is as it was.
class HostileTrial {
 public:
  // Makes one channel to learn which ways there are. Throws std::system_error. `directory`: empty,
  // at most 64 characters, this object's alone. `to_pass` outlives it.
  HostileTrial(const Registration& registration, const std::string& directory,
               const DescriptorsToPass& to_pass);

  ~HostileTrial();

  // Why it cannot be tried here: unsupported, or there is no way but mapped memory. Empty: it can.
  const std::string& unfit() const { return unfit_; }
  // What an honest producer put on the wire while the ways were learned: whole, as received, one
  // entry for each stream, packet or datagram.
  const std::vector<std::vector<std::byte>>& wire() const { return wire_; }
  const Registration& registration() const { return scene_.registration; }

  // The find in one line; nothing: the honest side withstood.
  std::optional<std::string> run(const HostileInput& input);

  // Gives up a channel that waits for the next input: before anything else opens descriptors.
  void rest() { kept_.reset(); }

 private:
  std::unique_ptr<HostileChannel> channel_for(std::uint8_t flags);
  void play(const HostileInput& input);
  void learn();
  void learn_wire();
  void find_free_token();

  HostileScene scene_;
  std::string unfit_;
  std::vector<std::vector<std::byte>> wire_;
  OpenDescriptors idle_;                  // what is open while there is no channel
  std::unique_ptr<HostileChannel> kept_;  // from the last input
};

}  // namespace ipctorture
