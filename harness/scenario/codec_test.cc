// Scenarios survive the way through JSON bit by bit, and nothing hostile does.
#include "harness/scenario/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <stdexcept>

#include "harness/scenario/generate.h"
#include "harness/scenario/strict_json.h"
#include "harness/scenario/synthetic_contracts.h"

namespace ipctorture {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string refused(std::string_view text) {
  try {
    scenario_from_json(text);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}
// A scenario with `fields` beside what must be there.
std::string with(std::string_view fields) {
  return R"({"schema": "ipctorture-scenario/1", "transport": "pipe", )" + std::string(fields) + "}";
}

TEST(Codec, RoundTripOfGeneratedScenarios) {
  for (const auto& [name, contract] : synthetic::contracts()) {
    for (std::uint64_t k = 0; k < 300; ++k) {
      const Scenario s = generate(case_seed(1, name, k), name, contract, {});
      ASSERT_EQ(scenario_from_json(scenario_to_json(s)), s) << scenario_to_json(s);
    }
  }
}

TEST(Codec, SeedsKeepAllTheirBits) {
  Scenario s;
  s.set_transport("pipe");
  s.seed = 0xfffffffffffffffbu;
  s.counter_start = (std::uint64_t{1} << 53) + 1;
  EXPECT_EQ(scenario_from_json(scenario_to_json(s)), s);
  EXPECT_EQ(scenario_from_json(with(R"("seed": 18446744073709551611)")).seed, s.seed);
  EXPECT_EQ(scenario_from_json(with(R"("seed": "18446744073709551611")")).seed, s.seed);
}

TEST(Codec, MissingFieldsKeepTheirDefaults) {
  Scenario expected;
  expected.set_transport("pipe");
  expected.messages = 7;
  EXPECT_EQ(scenario_from_json(with(R"("messages": 7)")), expected);
}

// A peer in another language knows a scenario from docs/worker-protocol.md alone.
TEST(Codec, EveryFieldIsInTheProtocolsPage) {
  std::ifstream file(IPCTORTURE_DOCS "/worker-protocol.md");
  const std::string page(std::istreambuf_iterator<char>(file), {});
  const auto expect_all = [&](auto& self, const nlohmann::json& object) -> void {
    for (const auto& [key, value] : object.items()) {
      EXPECT_THAT(page, HasSubstr("`" + key + "`"));
      if (value.is_object()) self(self, value);
    }
  };
  expect_all(expect_all, nlohmann::json::parse(scenario_to_json(Scenario{})));
}

TEST(Codec, RefusesWithThePath) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("sizes": [8, 64, 4294967296])", "scenario: sizes[2]: 4294967296 is above 1048576"},
      {R"("sizes": [])", "scenario: sizes: must not be empty"},
      {R"("sizes": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1])",
       "scenario: sizes: 17 entries, at most 16"},
      {R"("sizes": 5)", "scenario: sizes: must be a list"},
      {R"("producers": 0)", "scenario: producers: 0 is below 1"},
      {R"("producers": -1)", "scenario: producers: -1 is below 1"},
      {R"("producers": 1.5)", "scenario: producers: must be a whole number"},
      {R"("producers": "1")", "scenario: producers: must be a whole number"},
      {R"("producers": null)", "scenario: producers: must be a whole number"},
      {R"("producers": 4294967297)", "scenario: producers: 4294967297 is above 255"},
      {R"("producers": 18446744073709551617)", "scenario: producers: must be a whole number"},
      {R"("seed": "18446744073709551616")", "scenario: seed: must be a decimal number"},
      {R"("seed": " 1")", "scenario: seed: must be a decimal number"},
      {R"("seed": "")", "scenario: seed: must be a decimal number"},
      {R"("seed": -1)", "scenario: seed: -1 is below 0"},
      {R"("workload": "storm")",
       "scenario: workload: must be one of stream, request_reply, broadcast, latest_value"},
      {R"("handoff": 1)", "scenario: handoff: must be true or false"},
      {R"("send_deadlines": 3)", "scenario: send_deadlines: must be an object"},
      {R"("send_deadlines": {"at_us": 0})", "scenario: send_deadlines.at_us: 0 is below 1"},
      {R"("consumer_noise": {"volume": 11})", "scenario: consumer_noise.volume: unknown field"},
      {R"("colour": "blue")", "scenario: colour: unknown field"},
      {R"("seed": 1, "seed": 2)", "scenario: seed: given twice"},
      {R"("colour": [[[[]]]])", "scenario: nested deeper than 4"},
  };
  for (const auto& [fields, said] : cases) EXPECT_THAT(refused(with(fields)), StartsWith(said));
}

TEST(Codec, RefusesOtherThings) {
  EXPECT_THAT(refused(""), StartsWith("scenario: "));
  EXPECT_THAT(refused("[]"), HasSubstr("must be an object"));
  EXPECT_THAT(refused("7"), HasSubstr("must be an object"));
  EXPECT_THAT(refused("{}"), HasSubstr("schema: must be"));
  EXPECT_THAT(refused(R"({"schema": "ipctorture-scenario/2"})"), HasSubstr("schema: must be"));
  EXPECT_THAT(refused(R"({"schema": "ipctorture-scenario/1"})"),
              HasSubstr("transport: is missing"));
  EXPECT_THAT(refused(with(R"("seed": 1)") + "x"), HasSubstr("line 1"));
  EXPECT_THAT(refused(std::string(70'000, ' ')), HasSubstr("70000 bytes, at most 65536"));
  EXPECT_THAT(refused(std::string(60'000, '[')), HasSubstr("nested deeper than 4"));
  for (const char* name : {"", "Pipe", "a/b", "..", "a b"}) {
    EXPECT_THAT(refused(R"({"schema": "ipctorture-scenario/1", "transport": ")" +
                        std::string(name) + "\"}"),
                HasSubstr("transport: must be 1 to 47"));
  }
  // What comes back in the message is short and printable.
  const std::string shown = refused("\x1b[31m" + std::string(10'000, 'a'));
  EXPECT_LT(shown.size(), 300u);
  EXPECT_EQ(shown.find('\x1b'), shown.npos);
}

TEST(Codec, EveryTruncationIsRefused) {
  const std::string text =
      scenario_to_json(generate(1, "queue", synthetic::contracts()[0].second, {}));
  for (std::size_t size = 0; size + 2 < text.size(); ++size) {
    EXPECT_NE(refused(std::string_view(text).substr(0, size)), "accepted") << size;
  }
}

TEST(Codec, AnyChangedByteIsReadOrRefused) {
  const std::string text =
      scenario_to_json(generate(2, "queue", synthetic::contracts()[0].second, {}));
  Prng rng(3);
  for (int i = 0; i < 5000; ++i) {
    std::string changed = text;
    for (std::uint64_t k = rng.between(1, 3); k > 0; --k) {
      changed[rng.below(changed.size())] = static_cast<char>(rng.next());
    }
    refused(changed);  // throws nothing else
  }
}

}  // namespace
}  // namespace ipctorture
