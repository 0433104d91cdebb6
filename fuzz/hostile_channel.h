// One transport's channel in one process: the honest side through its adapter, the attacker through
// whatever ways it has to the other (hostile_peer_ways.h). HostileTrial (hostile_peer_trial.h)
// makes them, one input after the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fuzz/hostile_peer_ways.h"
#include "harness/scenario/hostile_input.h"
#include "harness/transport/registry.h"

namespace ipctorture {

// The honest side did what it must not: thrown, one line.
struct HostileFind {
  std::string what;
};

// What all channels of a transport have in common.
struct HostileScene {
  const Registration& registration;
  const std::string directory;
  const DescriptorsToPass& to_pass;
  std::uint64_t token = 0;
  std::vector<std::string> names;  // seen in the directory
  std::vector<int> signals;        // that the honest side waits for
  bool has_key_queue = false;      // of System V
  bool maps_files = false;         // of the directory
  std::map<std::size_t, std::unique_ptr<std::byte[]>> buffers;

  Options options_for(std::uint8_t flags) const;  // of HostileFlag
  // Of exactly this size, so that a sanitizer sees what leaves it. Kept: a large one costs.
  std::span<std::byte> buffer(std::size_t bytes);
};

// "2 descriptors stay open: socket:[1234]"
std::string open_in_words(const OpenDescriptors& open);

// Not thread-safe; nothing else may open or close descriptors meanwhile.
class HostileChannel {
 public:
  // `scene` outlives it.
  HostileChannel(HostileScene& scene, std::uint8_t flags);
  HostileChannel(const HostileChannel&) = delete;
  HostileChannel& operator=(const HostileChannel&) = delete;
  ~HostileChannel();

  // Creates it and attaches whoever is there from the start. Throws HostileFind.
  void begin();
  void act(const HostileAction& action);
  // The end of every input. Throws HostileFind.
  void finish();
  // Whether the honest side stands as in the beginning. Throws HostileFind.
  bool may_serve_again();
  // What others opened since the last input is not the channel's: which they are.
  OpenDescriptors serve_again();
  // Throws HostileFind.
  void close();
  std::uint8_t flags() const { return flags_; }
  unsigned inputs() const { return inputs_; }
  bool is_crowded() const { return crowded_; }
  // For learning: the ways of the honest side, and of the attacker.
  std::vector<Way>& ways() { return ways_; }
  std::vector<Way> honest_ways() const;
  void attacker_sends(std::span<const std::byte> message);

 private:
  // One peer: its own Transport object, as every process has, and the endpoint.
  struct Side {
    std::unique_ptr<Transport> transport;
    std::unique_ptr<Endpoint> endpoint;
    void end() {
      endpoint.reset();
      transport.reset();
    }
  };

  bool is(HostileFlag flag) const { return (flags_ & flag) != 0; }
  Deadline deadline() const { return is(hostile_timed) ? Deadline::at(1) : Deadline::now(); }
  std::unique_ptr<Transport> make(std::vector<Descriptor> handles) const {
    return scene_.registration.build(options_, std::move(handles));
  }
  void attach_honest();
  void attach_attacker();
  void add_ways(const OpenDescriptors& before);
  void add_ways_without_descriptor();
  void connect(unsigned which);
  void honest_turn(const HostileAction& action);
  // One operation; false: no further one makes sense now.
  bool honest_operates(std::size_t size, Deadline until);
  bool judge_receive(const IoResult& result, std::span<const std::byte> memory, std::size_t room);
  bool end_is_certain() const;

  HostileScene& scene_;
  const std::uint8_t flags_;
  const Role role_;
  const Options options_;
  const Contract& contract_;
  std::unique_ptr<Transport> creator_;
  std::vector<Descriptor> handles_;
  Side honest_;
  bool honest_tried_ = false;
  std::vector<int> honest_descriptors_;
  std::vector<Side> attackers_;
  std::vector<Way> ways_;
  std::vector<Address> addresses_;
  unsigned attached_ = 0;  // attackers, ever
  unsigned inputs_ = 1;
  OpenDescriptors honest_open_;  // what is open while there is no attacker
  bool meddled_ = false;
  bool crowded_ = false;   // strangers have connected
  IoResult last_;          // answer of the honest side
  std::size_t explained_;  // messages that may still be received
  unsigned errors_in_a_row_ = 0;
};

}  // namespace ipctorture
