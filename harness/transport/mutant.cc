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
#include <system_error>
#include <utility>
#include <vector>

#include "harness/base/futex.h"
#include "harness/base/shared_mapping.h"

namespace ipctorture {
namespace {

constexpr std::array<std::string_view, mutation_count> names{
    "none",      "lose",    "duplicate", "reorder", "tear",    "shorten", "late",
    "oversleep", "refuse",  "end_early", "stale",   "leak",    "mourn",   "fall",
    "delay",     "outwait", "deny",      "swallow", "endless", "conceal", "discard",
    "cling",     "revive",  "bar",       "litter",  "renege"};
constexpr std::string_view separator = "__";

void sleep_until(Deadline deadline) {
  std::atomic<std::uint32_t> word{0};
  futex_wait(word, 0, deadline);
}
[[noreturn]] void wait_for_ever() {
  for (;;) sleep_until(Deadline::never());
}

bool looks_for_the_dead(Mutation mutation) {
  return mutation == Mutation::mourn || mutation == Mutation::cling || mutation == Mutation::revive;
}

// Who takes part, in memory that all peers map: a process id a slot, negative while it is within an
// operation, 0 once it left in order.
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
  enum class Died : std::uint8_t { anywhere, within_an_operation };
  bool somebody_died(Died where) const {
    for (std::size_t i = 0; i < slots; ++i) {
      const std::int32_t state = slot(i).load();
      if (state == 0 || (state > 0 && where == Died::within_an_operation)) continue;
      if (::kill(std::abs(state), 0) != 0 && errno == ESRCH) return true;
    }
    return false;
  }
  void enter() { slot(mine_).store(-static_cast<std::int32_t>(::getpid())); }
  void go_out() { slot(mine_).store(static_cast<std::int32_t>(::getpid())); }
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
    const Within within(*this);
    if (message.size() > contract_.message_max) {
      return mutation_ == Mutation::swallow ? IoResult::sent()
                                            : inner_->send(message, options, deadline);
    }
    const bool now = fires();
    if (now && mutation_ == Mutation::lose) return IoResult::sent();
    if (now && mutation_ == Mutation::refuse) return IoResult::of(Outcome::full);
    if (mutation_ == Mutation::reorder) return send_behind(message, options, deadline, now);
    if (mutation_ == Mutation::discard) return send_after(message, options, deadline, now);
    if (mutation_ == Mutation::outwait && contract_.when_full == WhenFull::rejects) {
      if (refused_) return IoResult::of(Outcome::full);
      const IoResult result = inner_->send(message, options, deadline);
      refused_ = result.outcome == Outcome::full;
      return result;
    }
    if (mutation_ == Mutation::outwait && deadline.is_never()) {
      const IoResult tried =
          can_look() ? inner_->send(message, options, look()) : IoResult::of(Outcome::full);
      if (!is_not_yet(tried)) return tried;
      if (now) wait_for_ever();
    }
    const IoResult result = inner_->send(message, options, deadline);
    if (now && mutation_ == Mutation::duplicate && result.outcome == Outcome::ok) {
      inner_->send(message, options, deadline);
    }
    if (result.outcome == Outcome::timed_out) be_late();
    const bool reneges = now && mutation_ == Mutation::renege && !deadline.is_never();
    if (!reneges || result.outcome != Outcome::ok) return result;
    return IoResult::of(deadline.is_now() ? Outcome::full : Outcome::timed_out);
  }

  IoResult receive(std::span<std::byte> buffer, Deadline deadline) override {
    const Within within(*this);
    const bool now = fires();
    if (now && mutation_ == Mutation::end_early) return IoResult::of(Outcome::closed);
    if (now && mutation_ == Mutation::fall) ::abort();
    if (now && mutation_ == Mutation::deny && deadline.is_now()) {
      return IoResult::of(Outcome::empty);
    }
    if (now && !last_.empty() && remembers_now()) {
      std::copy(last_.begin(), last_.end(), buffer.begin());
      return IoResult::received(last_.size(), last_priority_);
    }
    const bool sleepy = mutation_ == Mutation::oversleep || mutation_ == Mutation::delay;
    if (sleepy && deadline.is_never()) {
      const IoResult there =
          can_look() ? inner_->receive(buffer, look()) : IoResult::of(Outcome::empty);
      if (!is_not_yet(there)) return there;
      if (mutation_ == Mutation::delay) delay();
      if (mutation_ == Mutation::oversleep && now) wait_for_ever();
    }
    IoResult result = inner_->receive(buffer, deadline);
    const bool ended = result.outcome == Outcome::closed;
    if (ended && mutation_ == Mutation::endless && deadline.is_never()) wait_for_ever();
    if (result.outcome == Outcome::timed_out) be_late();
    if (result.outcome == Outcome::ok) alter(buffer, result, now);
    return result;
  }

  IoResult close(Deadline deadline) override {
    if (!held_.empty() && mutation_ == Mutation::reorder) {
      inner_->send(held_, held_options_, deadline);
    }
    if (peers_ != nullptr) peers_->leave();
    return inner_->close(deadline);
  }

 private:
  // An operation of who may look for the dead.
  class Within {
   public:
    explicit Within(const MutantEndpoint& of) : peers_(of.peers_.get()) {
      if (peers_ == nullptr) return;
      const bool hangs = of.mutation_ != Mutation::revive;
      const auto where = of.mutation_ == Mutation::cling ? Register::Died::within_an_operation
                                                         : Register::Died::anywhere;
      if (hangs && peers_->somebody_died(where)) wait_for_ever();
      peers_->enter();
    }
    ~Within() {
      if (peers_ != nullptr) peers_->go_out();
    }
    Within(const Within&) = delete;
    Within& operator=(const Within&) = delete;

   private:
    Register* const peers_;
  };

  bool fires() { return operations_++ % 5 == 1; }
  // Who would wait without an end looks first whether there is anything to wait for; where there
  // are no deadlines, he does not.
  bool can_look() const { return contract_.deadline_now || contract_.deadline_at; }
  Deadline look() const {
    return contract_.deadline_now ? Deadline::now() : Deadline::in(std::chrono::milliseconds(1));
  }
  static bool is_not_yet(const IoResult& result) {
    return result.outcome == Outcome::full || result.outcome == Outcome::empty ||
           result.outcome == Outcome::timed_out;
  }
  bool remembers_now() const {
    return mutation_ == Mutation::stale ||
           (mutation_ == Mutation::revive && peers_->somebody_died(Register::Died::anywhere));
  }

  // What was received, made wrong.
  void alter(std::span<std::byte> buffer, IoResult& result, bool now) {
    if (now && mutation_ == Mutation::tear && result.size > 0) {
      buffer[result.size - 1] ^= std::byte{0x40};
    }
    if (now && mutation_ == Mutation::shorten && result.size > 0) --result.size;
    if (mutation_ == Mutation::conceal) result.missed = 0;
    if (mutation_ != Mutation::stale && mutation_ != Mutation::revive) return;
    last_.assign(buffer.data(), buffer.data() + result.size);
    last_priority_ = result.priority;
  }

  void hold(std::span<const std::byte> message, SendOptions options) {
    held_.assign(message.begin(), message.end());
    held_options_ = options;
  }
  // Keeps it for the next send: after that one, and before any later.
  IoResult send_behind(std::span<const std::byte> message, SendOptions options, Deadline deadline,
                       bool now) {
    if (now && held_.empty() && !message.empty()) {
      hold(message, options);
      return IoResult::sent();
    }
    const IoResult result = inner_->send(message, options, deadline);
    if (held_.empty() || result.outcome != Outcome::ok) return result;
    const IoResult late = inner_->send(held_, held_options_, Deadline::never());
    if (late.outcome == Outcome::ok) held_.clear();
    return result;
  }
  // Keeps it until the next send, and in order.
  IoResult send_after(std::span<const std::byte> message, SendOptions options, Deadline deadline,
                      bool now) {
    if (!held_.empty()) {
      const IoResult before = inner_->send(held_, held_options_, deadline);
      if (before.outcome != Outcome::ok) return before;
      held_.clear();
    }
    if (!now || message.empty()) return inner_->send(message, options, deadline);
    hold(message, options);
    return IoResult::sent();
  }

  void be_late() const {
    if (mutation_ != Mutation::late) return;
    sleep_until(Deadline::in(std::chrono::milliseconds(4 * contract_.deadline_slack_ms)));
  }
  void delay() {
    if (std::exchange(delayed_, true)) return;
    sleep_until(Deadline::in(std::chrono::milliseconds(3 * contract_.progress_bound_ms)));
  }

  const std::unique_ptr<Endpoint> inner_;
  const Mutation mutation_;
  const Contract contract_;
  const std::unique_ptr<Register> peers_;
  std::uint64_t operations_ = 0;
  bool delayed_ = false, refused_ = false;
  std::vector<std::byte> held_, last_;
  SendOptions held_options_;
  std::uint8_t last_priority_ = 0;
};

class MutantTransport final : public Transport {
 public:
  MutantTransport(std::unique_ptr<Transport> inner, const Options& options, Mutation mutation,
                  const Contract& contract)
      : inner_(std::move(inner)), options_(options), mutation_(mutation), contract_(contract) {}

  std::string unsupported() const override { return inner_->unsupported(); }
  void create() override {
    inner_->create();
    if (looks_for_the_dead(mutation_)) {
      create_shared_object(Register::name_of(options_), Register::bytes());
    }
    if (mutation_ != Mutation::litter) return;
    const std::string left = options_.directory + "/litter";
    own_descriptor(::open(left.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600), "open", left);
  }
  std::vector<Descriptor> take_handles() override { return inner_->take_handles(); }
  std::unique_ptr<Endpoint> attach(Role role, unsigned index, Deadline deadline) override {
    if (mutation_ == Mutation::bar && bars(index)) {
      throw_system_error("attach", options_.name, EACCES);
    }
    std::unique_ptr<Register> peers;
    if (looks_for_the_dead(mutation_)) peers = std::make_unique<Register>(options_);
    if (mutation_ == Mutation::leak) {
      [[maybe_unused]] const int lost = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    try {
      auto inner = inner_->attach(role, index, deadline);
      return std::make_unique<MutantEndpoint>(std::move(inner), mutation_, contract_,
                                              std::move(peers));
    } catch (const std::system_error&) {
      if (peers != nullptr) peers->leave();  // it did not die, and may try again
      throw;
    }
  }
  void destroy() noexcept override {
    if (looks_for_the_dead(mutation_)) unlink_shared_object(Register::name_of(options_));
    inner_->destroy();
  }

 private:
  // One peer in four, the same ones whenever the scenario is run.
  bool bars(unsigned index) const {
    const std::uint64_t scenario = options_.capacity + mix64(options_.message_max) +
                                   mix64(options_.producers + 256 * options_.consumers);
    return mix64(scenario + index) % 4 == 0;
  }

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
