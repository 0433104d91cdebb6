#include "harness/transport/mutant.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <vector>

#include "harness/base/futex.h"
#include "harness/base/shared_mapping.h"

namespace ipctorture {
namespace {

constexpr std::array<std::string_view, mutation_count> names{
    "none",      "lose",   "duplicate", "reorder", "tear", "shorten", "late",
    "oversleep", "refuse", "end_early", "stale",   "leak", "mourn",   "fall"};
constexpr std::string_view separator = "__";

[[noreturn]] void wait_for_ever() {
  std::atomic<std::uint32_t> word{0};
  for (;;) futex_wait(word, 0, Deadline::never());
}

// Who takes part, in memory that all peers map: a process id a slot, 0 once it left in order.
class Register {
 public:
  static constexpr std::size_t slots = 256;

  static std::string name_of(const Options& options) { return options.name + "-mutant"; }
  static constexpr std::size_t bytes() { return slots * sizeof(std::atomic<std::int32_t>); }

  explicit Register(const Options& options)
      : memory_(open_shared_object(name_of(options), &found_).get(), bytes(), name_of(options)) {
    const auto self = static_cast<std::int32_t>(::getpid());
    for (mine_ = 0; mine_ + 1 < slots; ++mine_) {
      std::int32_t nobody = 0;
      if (slot(mine_).compare_exchange_strong(nobody, self)) return;
    }
  }
  bool somebody_died() const {
    for (std::size_t i = 0; i < slots; ++i) {
      const std::int32_t pid = slot(i).load();
      if (pid != 0 && ::kill(pid, 0) != 0 && errno == ESRCH) return true;
    }
    return false;
  }
  void leave() { slot(mine_).store(0); }

 private:
  std::atomic<std::int32_t>& slot(std::size_t i) const {
    return reinterpret_cast<std::atomic<std::int32_t>*>(memory_.data())[i];
  }

  std::size_t found_ = 0;
  SharedMapping memory_;
  std::size_t mine_ = 0;
};

class MutantEndpoint final : public Endpoint {
 public:
  MutantEndpoint(std::unique_ptr<Endpoint> inner, Mutation mutation, const Contract& contract,
                 std::unique_ptr<Register> peers)
      : inner_(std::move(inner)),
        mutation_(mutation),
        contract_(contract),
        peers_(std::move(peers)) {}

  IoResult send(std::span<const std::byte> message, SendOptions options,
                Deadline deadline) override {
    mourn();
    const bool now = fires();
    if (now && mutation_ == Mutation::lose) return IoResult::sent();
    if (now && mutation_ == Mutation::refuse) return IoResult::of(Outcome::full);
    if (mutation_ == Mutation::reorder) return send_behind(message, options, deadline, now);
    const IoResult result = inner_->send(message, options, deadline);
    if (now && mutation_ == Mutation::duplicate && result.outcome == Outcome::ok) {
      inner_->send(message, options, deadline);
    }
    if (result.outcome == Outcome::timed_out) be_late();
    return result;
  }

  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    mourn();
    const bool now = fires();
    if (now && mutation_ == Mutation::end_early) return IoResult::of(Outcome::closed);
    if (now && mutation_ == Mutation::fall) ::abort();
    if (now && mutation_ == Mutation::stale && !last_.empty()) {
      std::copy(last_.begin(), last_.end(), buffer.begin());
      return IoResult::received(last_.size());
    }
    if (mutation_ == Mutation::oversleep && contract_.deadline_now && deadline.is_never()) {
      const IoResult there = inner_->receive(buffer, Deadline::now());
      if (there.outcome != Outcome::empty) return there;
      if (now) wait_for_ever();
    }
    IoResult result = inner_->receive(buffer, deadline);
    if (result.outcome == Outcome::timed_out) be_late();
    if (result.outcome != Outcome::ok) return result;
    if (now && mutation_ == Mutation::tear && result.size > 0) {
      buffer[result.size - 1] ^= std::byte{0x40};
    }
    if (now && mutation_ == Mutation::shorten && result.size > 0) --result.size;
    if (mutation_ == Mutation::stale) last_.assign(buffer.data(), buffer.data() + result.size);
    return result;
  }

  IoResult close(Deadline deadline) override {
    if (!held_.empty()) inner_->send(held_, held_options_, deadline);
    if (peers_ != nullptr) peers_->leave();
    return inner_->close(deadline);
  }

 private:
  bool fires() { return operations_++ % 5 == 1; }

  // Keeps it for the next send: after that one, and before any later.
  IoResult send_behind(std::span<const std::byte> message, SendOptions options, Deadline deadline,
                       bool now) {
    if (now && held_.empty() && !message.empty()) {
      held_.assign(message.begin(), message.end());
      held_options_ = options;
      return IoResult::sent();
    }
    const IoResult result = inner_->send(message, options, deadline);
    if (held_.empty() || result.outcome != Outcome::ok) return result;
    const IoResult late = inner_->send(held_, held_options_, Deadline::never());
    if (late.outcome == Outcome::ok) held_.clear();
    return result;
  }

  void be_late() const {
    if (mutation_ != Mutation::late) return;
    std::atomic<std::uint32_t> word{0};
    futex_wait(word, 0, Deadline::in(std::chrono::milliseconds(4 * contract_.deadline_slack_ms)));
  }

  void mourn() const {
    if (peers_ != nullptr && peers_->somebody_died()) wait_for_ever();
  }

  const std::unique_ptr<Endpoint> inner_;
  const Mutation mutation_;
  const Contract contract_;
  const std::unique_ptr<Register> peers_;
  std::uint64_t operations_ = 0;
  std::vector<std::byte> held_, last_;
  SendOptions held_options_;
};

class MutantTransport final : public Transport {
 public:
  MutantTransport(std::unique_ptr<Transport> inner, const Options& options, Mutation mutation,
                  const Contract& contract)
      : inner_(std::move(inner)), options_(options), mutation_(mutation), contract_(contract) {}

  std::string unsupported() const override { return inner_->unsupported(); }
  void create() override {
    inner_->create();
    if (mutation_ == Mutation::mourn) {
      create_shared_object(Register::name_of(options_), Register::bytes());
    }
  }
  std::vector<Descriptor> take_handles() override { return inner_->take_handles(); }
  std::unique_ptr<Endpoint> attach(Role role, unsigned index, Deadline deadline) override {
    std::unique_ptr<Register> peers;
    if (mutation_ == Mutation::mourn) peers = std::make_unique<Register>(options_);
    if (mutation_ == Mutation::leak) {
      [[maybe_unused]] const int lost = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    return std::make_unique<MutantEndpoint>(inner_->attach(role, index, deadline), mutation_,
                                            contract_, std::move(peers));
  }
  void destroy() noexcept override {
    if (mutation_ == Mutation::mourn) unlink_shared_object(Register::name_of(options_));
    inner_->destroy();
  }

 private:
  const std::unique_ptr<Transport> inner_;
  const Options options_;
  const Mutation mutation_;
  const Contract contract_;
};

}  // namespace

std::string_view to_string(Mutation mutation) {
  return names[static_cast<unsigned>(mutation) % mutation_count];
}

MutantName parse_mutant(std::string_view name) {
  const std::size_t at = name.rfind(separator);
  if (at == std::string_view::npos) return {.transport = name};
  const std::string_view word = name.substr(at + separator.size());
  for (unsigned i = 1; i < mutation_count; ++i) {
    if (names[i] == word) {
      return {.transport = name.substr(0, at), .mutation = static_cast<Mutation>(i)};
    }
  }
  return {.transport = name};
}

std::unique_ptr<Transport> mutated(std::unique_ptr<Transport> transport, const Options& options,
                                   Mutation mutation, const Contract& contract) {
  if (mutation == Mutation::none) return transport;
  return std::make_unique<MutantTransport>(std::move(transport), options, mutation, contract);
}

}  // namespace ipctorture
