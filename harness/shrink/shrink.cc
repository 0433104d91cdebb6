#include "harness/shrink/shrink.h"

#include <algorithm>
#include <array>

#include "harness/shrink/ddmin.h"

namespace ipctorture {
namespace {

constexpr unsigned rounds_max = 8;

// A number of a scenario that can be made smaller, and how small it can be at the most.
struct Number {
  std::uint64_t (*get)(const Scenario&);
  void (*set)(Scenario&, std::uint64_t);
  std::uint64_t (*least)(const Scenario&, const Contract&);
  bool exactly = true;  // else an eighth more than the smallest that fails will do: durations
};

std::uint64_t none(const Scenario&, const Contract&) { return 0; }
std::uint64_t one(const Scenario&, const Contract&) { return 1; }
// Where there are some, one stays: taking all of them away is a feature's.
template <std::uint32_t Scenario::* field>
std::uint64_t one_if_any(const Scenario& s, const Contract&) {
  return std::min<std::uint64_t>(s.*field, 1);
}
template <std::uint32_t Faults::* field>
std::uint64_t one_fault_if_any(const Scenario& s, const Contract&) {
  return std::min<std::uint64_t>(s.faults.*field, 1);
}
template <auto field>
std::uint64_t get(const Scenario& s) {
  return s.*field;
}
template <std::uint32_t Scenario::* field>
void set(Scenario& s, std::uint64_t value) {
  s.*field = static_cast<std::uint32_t>(value);
}
template <std::uint32_t Faults::* field>
std::uint64_t get_fault(const Scenario& s) {
  return s.faults.*field;
}
template <std::uint32_t Faults::* field>
void set_fault(Scenario& s, std::uint64_t value) {
  s.faults.*field = static_cast<std::uint32_t>(value);
}
template <std::uint32_t Scenario::* field>
constexpr Number number(std::uint64_t (*least)(const Scenario&, const Contract&),
                        bool exactly = true) {
  return {get<field>, set<field>, least, exactly};
}
template <std::uint32_t Faults::* field>
constexpr Number fault(bool exactly = true) {
  return {get_fault<field>, set_fault<field>, one_fault_if_any<field>, exactly};
}

template <std::size_t i>
constexpr Number size() {
  return {[](const Scenario& s) { return std::uint64_t{s.sizes[i]}; },
          [](Scenario& s, std::uint64_t v) { s.sizes[i] = static_cast<std::uint32_t>(v); },
          [](const Scenario& s, const Contract& c) {
            // Below 8 bytes a message tells less of itself, which is not plainer.
            const std::uint32_t whole = std::max(c.message_min, std::min(8u, c.message_max));
            return std::uint64_t{i < s.size_count ? std::min(s.sizes[i], whole) : s.sizes[i]};
          }};
}

// In the order in which they cost time.
constexpr std::array numbers = {
    Number{get<&Scenario::messages>, [](Scenario& s, std::uint64_t v) { s.messages = v; }, one},
    number<&Scenario::producers>(one),
    number<&Scenario::consumers>(one),
    number<&Scenario::threads>(one),
    size<0>(),
    size<1>(),
    size<2>(),
    size<3>(),
    size<4>(),
    size<5>(),
    number<&Scenario::size_count>(one),
    number<&Scenario::capacity>(one),
    number<&Scenario::window>(one),
    number<&Scenario::gap_ms>(none, false),
    Number{
        get<&Scenario::gap_after>, [](Scenario& s, std::uint64_t v) { s.gap_after = v; },
        [](const Scenario& s, const Contract&) { return std::min<std::uint64_t>(s.gap_after, 1); }},
    number<&Scenario::burst>(one_if_any<&Scenario::burst>),
    number<&Scenario::burst_pause_us>(one_if_any<&Scenario::burst_pause_us>, false),
    number<&Scenario::consumer_delay_us>(one_if_any<&Scenario::consumer_delay_us>, false),
    number<&Scenario::late_producers>(one_if_any<&Scenario::late_producers>),
    number<&Scenario::late_consumers>(one_if_any<&Scenario::late_consumers>),
    number<&Scenario::early_producers>(one_if_any<&Scenario::early_producers>),
    number<&Scenario::early_consumers>(one_if_any<&Scenario::early_consumers>),
    number<&Scenario::nice_max>(one_if_any<&Scenario::nice_max>),
    fault<&Faults::producer_kills>(),
    fault<&Faults::consumer_kills>(),
    fault<&Faults::pauses>(),
    fault<&Faults::pause_us>(false),
    fault<&Faults::signals>(false),
};

class Shrinker {
 public:
  Shrinker(const Scenario& failing, const Contract& contract, const StillFails& still_fails,
           const ShrinkLimits& limits)
      : contract_(contract), still_fails_(still_fails), limits_(limits), best_(failing) {}

  Shrunk run() {
    Scenario before;
    unsigned rounds = 0;
    do {
      before = best_;
      fewer_features();
      for (const Number& n : numbers) smaller(n);
    } while (!(best_ == before) && !stopped() && ++rounds < rounds_max);
    return {.scenario = best_, .tries = tries_, .finished = best_ == before && !stopped_};
  }

 private:
  bool stopped() {
    stopped_ = stopped_ || tries_ >= limits_.tries || limits_.stop();
    return stopped_;
  }

  // Runs a candidate, unless it is no scenario of this transport or was tried before.
  bool fails(Scenario candidate) {
    fit(candidate);
    if (candidate == best_) return true;
    if (!scenario_faults(candidate, contract_).empty() || stopped()) return false;
    if (std::find(rejected_.begin(), rejected_.end(), candidate) != rejected_.end()) return false;
    ++tries_;
    if (!still_fails_(candidate)) {
      rejected_.push_back(candidate);
      return false;
    }
    best_ = candidate;
    return true;
  }

  void fewer_features() {
    const Scenario whole = best_;
    std::vector<const Feature*> present;
    for (const Feature& feature : features()) {
      Scenario without = whole;
      feature.take_away(without, contract_);
      if (!(without == whole)) present.push_back(&feature);
    }
    const auto with_only = [&](const std::vector<const Feature*>& kept) {
      Scenario candidate = whole;
      for (const Feature* feature : present) {
        if (std::find(kept.begin(), kept.end(), feature) != kept.end()) continue;
        feature->take_away(candidate, contract_);
      }
      return fails(candidate);
    };
    ddmin(present, with_only, [this] { return stopped(); });
  }

  // Halves the distance between what fails and what does not.
  void smaller(const Number& n) {
    std::uint64_t works = n.get(best_);
    std::uint64_t low = n.least(best_, contract_);
    const auto fails_with = [&](std::uint64_t value) {
      Scenario candidate = best_;
      n.set(candidate, value);
      return fails(candidate);
    };
    if (low >= works || stopped() || fails_with(low)) return;
    while (works - low > (n.exactly ? 1 : works / 8 + 1) && !stopped()) {
      const std::uint64_t middle = low + (works - low) / 2;
      if (fails_with(middle)) {
        works = middle;
      } else {
        low = middle;
      }
    }
  }

  const Contract& contract_;
  const StillFails& still_fails_;
  const ShrinkLimits& limits_;
  Scenario best_;
  std::vector<Scenario> rejected_;
  std::uint64_t tries_ = 0;
  bool stopped_ = false;
};

}  // namespace

Shrunk shrink(const Scenario& failing, const Contract& contract, const StillFails& still_fails,
              const ShrinkLimits& limits) {
  return Shrinker(failing, contract, still_fails, limits).run();
}

}  // namespace ipctorture
