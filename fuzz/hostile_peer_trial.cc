#include "fuzz/hostile_peer_trial.h"

#include <signal.h>
#include <sys/msg.h>
#include <sys/socket.h>

#include <cerrno>
#include <fstream>
#include <utility>

#include "fuzz/allocation_watch.h"

namespace ipctorture {
namespace {

constexpr std::uint64_t token_base = 0x7ee1a5e5c0de0000;
constexpr unsigned tokens_tried = 64;
// Descriptors are looked for below the first of these, where they are while few are open.
constexpr std::size_t descriptors_usual = 48, descriptors_all = 256, descriptors_before_max = 24;
// What one input may make the process allocate beyond a few of the largest messages.
constexpr std::size_t memory_free_bytes = std::size_t{32} << 20;
constexpr std::size_t memory_per_message_byte = 16;

sigset_t blocked_signals() {
  sigset_t set;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &set);
  return set;
}

}  // namespace

HostileTrial::HostileTrial(const Registration& registration, const std::string& directory,
                           const DescriptorsToPass& to_pass)
    : scene_{.registration = registration, .directory = directory, .to_pass = to_pass} {
  const OpenDescriptors open = open_descriptors(descriptors_all);
  if (open.count() > descriptors_before_max) {
    unfit_ = "too many descriptors are open already: " + std::to_string(open.count());
    return;
  }
  find_free_token();
  if (!registration.contract.deadline_now) {
    unfit_ =
        "it does not keep the deadline `now`, without which an answer cannot be told from a hang";
    return;
  }
  unfit_ = registration.make(scene_.options_for(0), {})->unsupported();
  try {
    if (unfit_.empty()) learn();
  } catch (const HostileFind& find) {
    unfit_ = find.what;
  }
}

// The same in every process, so that inputs that carry it stay valid; unless its System V key is
// taken.
void HostileTrial::find_free_token() {
  for (unsigned tried = 0; tried < tokens_tried; ++tried) {
    scene_.token = token_base + tried;
    const key_t key = system_v_key(scene_.options_for(0));
    if (::msgget(key, 0) < 0 && errno == ENOENT) return;
  }
}

void HostileTrial::learn() {
  NamesSeen names(scene_.directory);
  const sigset_t before = blocked_signals();
  {
    HostileChannel channel(scene_, 0);
    channel.begin();
    names.look_below();
    const sigset_t after = blocked_signals();
    for (int number = SIGRTMIN; number <= SIGRTMAX; ++number) {
      if (::sigismember(&after, number) == 1 && ::sigismember(&before, number) == 0) {
        scene_.signals.push_back(number);
      }
    }
    scene_.has_key_queue = ::msgget(system_v_key(scene_.options_for(0)), 0) >= 0;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
      if (line.find(scene_.directory + "/") != std::string::npos) scene_.maps_files = true;
    }
    const bool reached = !channel.ways().empty() || scene_.has_key_queue || !scene_.signals.empty();
    channel.attacker_sends(std::vector<std::byte>(scene_.registration.contract.message_min + 2u));
    scene_.names = names.names();
    const bool files = !scene_.names.empty() && !scene_.maps_files;
    if (!reached && !files) unfit_ = "its peers share mapped memory alone: see ipctorture explore";
  }
  if (unfit_.empty()) learn_wire();
}

// An honest producer sends two messages, and what arrives is read instead of the honest consumer.
void HostileTrial::learn_wire() {
  HostileChannel channel(scene_, 0);
  channel.begin();
  std::vector<std::byte> message(scene_.registration.contract.message_min + 3u, std::byte{'a'});
  channel.attacker_sends(message);
  message.push_back(std::byte{'b'});
  channel.attacker_sends(message);
  for (Way& way : channel.honest_ways()) {
    Descriptor accepted;
    if (way.kind == WayKind::listener) {
      accepted = Descriptor(::accept4(way.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (std::optional<Way> inner = way_of(accepted.get())) way = std::move(*inner);
    }
    std::vector<std::byte> bytes(4096);
    for (std::size_t size; (size = read_from(way, bytes)) > 0;) {
      wire_.emplace_back(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    }
  }
}

std::unique_ptr<HostileChannel> HostileTrial::channel_for(std::uint8_t flags) {
  if (kept_ && kept_->flags() == flags) {
    idle_ |= kept_->serve_again();
    return std::move(kept_);
  }
  if (kept_) kept_->close();
  kept_.reset();
  idle_ = open_descriptors(descriptors_all);
  auto channel = std::make_unique<HostileChannel>(scene_, flags);
  channel->begin();
  return channel;
}

void HostileTrial::play(const HostileInput& input) {
  restart_allocated_peak();
  const std::size_t memory_before = allocated_now();
  const std::size_t allowed =
      memory_free_bytes + memory_per_message_byte * scene_.registration.contract.message_max;
  std::unique_ptr<HostileChannel> channel = channel_for(input.flags);
  for (const HostileAction& action : input.actions) channel->act(action);
  channel->finish();
  if (const std::size_t peak = allocated_peak(); peak > memory_before + allowed) {
    throw HostileFind{"allocates " + std::to_string((peak - memory_before) >> 20) + " MiB"};
  }
  if (channel->may_serve_again()) {
    kept_ = std::move(channel);
    return;
  }
  channel->close();
  const std::size_t bound = channel->is_crowded() ? descriptors_all : descriptors_usual;
  channel.reset();
  const OpenDescriptors left = open_descriptors(bound) & ~idle_;
  if (left.any()) throw HostileFind{open_in_words(left)};
}

std::optional<std::string> HostileTrial::run(const HostileInput& input) {
  const unsigned earlier = kept_ && kept_->flags() == input.flags ? kept_->inputs() : 0;
  try {
    play(input);
    return {};
  } catch (const HostileFind& find) {
    kept_.reset();
    const std::string after = " (after " + std::to_string(earlier) + " inputs of its channel)";
    return find.what + (earlier > 0 ? after : "");
  }
}

HostileTrial::~HostileTrial() = default;

}  // namespace ipctorture
