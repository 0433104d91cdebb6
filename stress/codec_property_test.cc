// What is written is read back as it was, and whatever else is read is refused in words: scenarios
// as JSON, and what a person may set. And the seeds of all properties: RC_PARAMS="seed=N" brings
// the same cases back, in this process and in the next.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "harness/scenario/codec.h"
#include "harness/scenario/fields.h"
#include "stress/hand_over.h"
#include "stress/output_of.h"
#include "stress/properties.h"
#include "stress/settings.h"

namespace ipctorture {
namespace {

// Draws every field of a scenario from the whole of its range: more than any contract allows.
class AnyField {
 public:
  void name(const char*, std::array<char, 48>& text) {
    const auto drawn = *rc::gen::nonEmpty(
        rc::gen::container<std::string>(rc::gen::elementOf(std::string("abcxyz0189_"))));
    text = {};
    std::copy_n(drawn.begin(), std::min<std::size_t>(drawn.size(), text.size() - 1), text.begin());
  }
  template <typename T>
  void number(const char*, T& value, std::uint64_t min, std::uint64_t max) {
    const std::uint64_t most = std::min<std::uint64_t>(max, std::numeric_limits<T>::max());
    value = static_cast<T>(*rc::gen::oneOf(rc::gen::elementOf(std::vector{min, most}),
                                           rc::gen::inRange(min, most + 1)));
  }
  void seed(const char*, std::uint64_t& value) {
    value = *rc::gen::oneOf(rc::gen::just(UINT64_MAX), any_word());
  }
  void flag(const char*, bool& value) { value = *rc::gen::arbitrary<bool>(); }
  template <typename Enum>
  void words(const char*, Enum& value, unsigned count) {
    value = static_cast<Enum>(*rc::gen::inRange(0u, count));
  }
  void list(const char*, std::array<std::uint32_t, sizes_max>& sizes, std::uint32_t& count,
            std::uint64_t max) {
    sizes = {};
    count = *rc::gen::inRange(1u, sizes_max + 1);
    for (std::uint32_t i = 0; i < count; ++i) number("", sizes[i], 0, max);
  }
  template <typename Function>
  void object(const char*, Function visit) {
    visit(*this);
  }

  // All bits alike: arbitrary() prefers small ones.
  static rc::Gen<std::uint64_t> any_word() {
    return rc::Gen<std::uint64_t>([](const rc::Random& random, int) {
      return rc::shrinkable::just(rc::Random(random).next());
    });
  }
};

TEST(CodecProperty, AnyScenarioIsReadAsItWasWritten) {
  const PropertyRun run = check_property("scenario", 300, [] {
    Scenario before;
    AnyField any;
    visit_fields(any, before);
    const std::string text = scenario_to_json(before);
    const Scenario after = scenario_from_json(text);
    RC_ASSERT(after == before);
    RC_ASSERT(scenario_to_json(after) == text);
  });
  EXPECT_TRUE(run.passed) << run.text;
}

// Reads, or refuses with what() saying something: no other exception, no crash.
template <typename Refusal, typename Read>
void read_or_refused(const Read& read) {
  try {
    read();
  } catch (const Refusal& refusal) {
    RC_ASSERT(!std::string_view(refusal.what()).empty());
  }
}

TEST(CodecProperty, ADamagedScenarioIsReadOrRefused) {
  const PropertyRun run = check_property("damaged scenario", 300, [] {
    std::string text = scenario_to_json(Scenario());
    const auto from = *rc::gen::inRange<std::size_t>(0, text.size());
    const auto length = *rc::gen::inRange<std::size_t>(0, 40);
    text.replace(from, std::min(length, text.size() - from), *rc::gen::arbitrary<std::string>());
    read_or_refused<std::invalid_argument>([&] {
      const Scenario read = scenario_from_json(text);
      RC_ASSERT(scenario_from_json(scenario_to_json(read)) == read);
    });
  });
  EXPECT_TRUE(run.passed) << run.text;
}

Settings::Value given(std::string text) { return {.text = std::move(text), .origin = "--test"}; }

TEST(CodecProperty, DurationsAreWhatTheySay) {
  const PropertyRun run = check_property("durations", 500, [] {
    const std::vector<std::pair<std::string, std::int64_t>> units = {
        {"ms", 1'000'000}, {"s", 1'000'000'000}, {"m", 60'000'000'000}, {"h", 3'600'000'000'000}};
    const auto [unit, ns] = *rc::gen::elementOf(units);
    const std::int64_t most = 30 * 24 * 3'600'000'000'000 / ns;
    const auto number = *rc::gen::inRange<std::int64_t>(1, most + 1);
    RC_ASSERT(parse_duration_ns(given(fmt::format("{}{}", number, unit))) == number * ns);
    const std::string beyond = fmt::format("{}{}", most + number, unit);
    RC_ASSERT_THROWS_AS(parse_duration_ns(given(beyond)), UsageError);
    // A thousandth of a unit, exactly as far as a double goes.
    const auto part = *rc::gen::inRange(0, 1000);
    const std::int64_t wanted = number * ns + part * ns / 1000;
    if (number == most) return;
    const auto read = parse_duration_ns(given(fmt::format("{}.{:03}{}", number, part, unit)));
    RC_ASSERT(std::abs(read - wanted) <= 1);
  });
  EXPECT_TRUE(run.passed) << run.text;
}

TEST(CodecProperty, SeedsShardsAndCountsAreReadAsTheyAreWritten) {
  const PropertyRun run = check_property("seeds", 500, [] {
    const std::uint64_t seed = *AnyField::any_word();
    RC_ASSERT(parse_seed(given(seed_text(seed))) == seed);
    RC_ASSERT(parse_count(given(fmt::format("{}", seed)), 0, UINT64_MAX) == seed);
    const auto count = *rc::gen::inRange(1u, 100'001u);
    const auto index = *rc::gen::inRange(1u, count + 1);
    const Shard shard = parse_shard(given(fmt::format("{}/{}", index, count)));
    RC_ASSERT(shard.index == index);
    RC_ASSERT(shard.count == count);
  });
  EXPECT_TRUE(run.passed) << run.text;
}

TEST(CodecProperty, WhateverIsSetIsReadOrRefused) {
  const PropertyRun run = check_property("settings", 1000, [] {
    const auto word = *rc::gen::oneOf(
        rc::gen::arbitrary<std::string>(),
        rc::gen::container<std::string>(rc::gen::elementOf(std::string("0123456789.eE+-/:gmsh"))));
    const Settings::Value value = given(word);
    read_or_refused<UsageError>([&] {
      const std::int64_t ns = parse_duration_ns(value);
      RC_ASSERT(ns >= 1'000'000);
      RC_ASSERT(ns <= 30 * 24 * 3'600'000'000'000);
    });
    read_or_refused<UsageError>([&] { RC_ASSERT(parse_count(value, 3, 70) - 3 <= 67); });
    read_or_refused<UsageError>([&] { parse_seed(value); });
    read_or_refused<UsageError>([&] {
      const Shard shard = parse_shard(value);
      RC_ASSERT(shard.index >= 1u);
      RC_ASSERT(shard.index <= shard.count);
    });
    read_or_refused<UsageError>([&] { Settings().read_toml(word, "file"); });
  });
  EXPECT_TRUE(run.passed) << run.text;
}

std::string drawn_with(const rc::detail::TestParams& params) {
  std::string drawn;
  check_property("draws", params, [&drawn] {
    drawn += fmt::format(" {}", fmt::join(*rc::gen::arbitrary<std::vector<int>>(), ","));
  });
  return drawn;
}

TEST(PropertySeed, TheSameSeedDrawsTheSame) {
  rc::detail::TestParams params = asked_params(20);
  const std::string first = drawn_with(params);
  EXPECT_EQ(drawn_with(params), first);
  ++params.seed;
  EXPECT_NE(drawn_with(params), first);
}

// Also for the child of the next test, which reads what it prints.
TEST(PropertySeed, WithoutRcParamsItIsAlwaysTheSame) {
  const rc::detail::TestParams params = asked_params(5);
  fmt::print("drawn: {} {}\n", rerun_words(params), drawn_with(params));
  if (std::getenv("RC_PARAMS") != nullptr) return;
  EXPECT_EQ(rerun_words(params), "RC_PARAMS=\"seed=1 max_success=5\"");
}

std::string drawn_in_another_process(const std::string& rc_params) {
  const std::string said = output_of(
      {"/usr/bin/env", rc_params, own_path(), "--gtest_filter=PropertySeed.WithoutRcParams*"});
  const std::size_t from = said.find("drawn: ");
  return from == said.npos ? "" : said.substr(from, said.find('\n', from) - from);
}

TEST(PropertySeed, RcParamsBringItBackInAnotherProcess) {
  const std::string first = drawn_in_another_process("RC_PARAMS=seed=7 max_success=4");
  EXPECT_THAT(first, testing::HasSubstr("RC_PARAMS=\"seed=7 max_success=4\""));
  EXPECT_EQ(drawn_in_another_process("RC_PARAMS=seed=7 max_success=4"), first);
  EXPECT_NE(drawn_in_another_process("RC_PARAMS=seed=8 max_success=4").substr(40),
            first.substr(40));
}

}  // namespace
}  // namespace ipctorture
