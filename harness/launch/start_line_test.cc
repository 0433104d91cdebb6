// The line that starts a separate worker says all that it needs, also to one in another language.
#include "harness/launch/start_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "harness/transport/registry.h"

namespace ipctorture {
namespace {

std::unique_ptr<Transport> none(const Options&, std::vector<Descriptor>) { return nullptr; }

const Registered registered{{"start_line_toy",
                             "",
                             {.reports_closed = true,
                              .when_full = WhenFull::rejects,
                              .message_max = 4096,
                              .priorities = 8,
                              .now_message_max = 512},
                             none}};

StartLine example() {
  StartLine start{.worker = 1, .options = {{.name = "ipct-1", .directory = "/tmp/x"}}};
  start.scenario.set_transport("start_line_toy");
  start.scenario.early_consumers = 1;
  start.scenario.consumers = 2;
  start.options[0].token = ~std::uint64_t{0};
  start.lanes = {"/tmp/x/lane-0", "/tmp/x/lane-1", "/tmp/x/lane-2"};
  return start;
}

TEST(StartLine, RoundTrip) {
  const StartLine start = example();
  const StartLine read = parse_start_line(start_line(start));
  EXPECT_EQ(read.scenario, start.scenario);
  EXPECT_EQ(read.worker, 1u);
  EXPECT_EQ(read.lanes, start.lanes);
  ASSERT_EQ(read.options.size(), 1u);
  EXPECT_EQ(read.options[0].token, start.options[0].token);
}

TEST(StartLine, CarriesTheTermsOfTheContract) {
  const auto json = nlohmann::json::parse(start_line(example())).at("start").at("contract");
  const nlohmann::json expected = {{"reports_closed", true}, {"when_full", "rejects"},
                                   {"message_max", 4096},    {"now_message_max", 512},
                                   {"priorities", 8},        {"deadline_now", true}};
  EXPECT_EQ(json, expected);
}

TEST(StartLine, RefusesWhatDoesNotFit) {
  StartLine start = example();
  start.lanes.pop_back();
  EXPECT_THROW(parse_start_line(start_line(start)), std::invalid_argument);
  EXPECT_THROW(parse_start_line("{"), std::invalid_argument);
  EXPECT_THROW(parse_start_line("{}"), std::invalid_argument);
}

std::string refusal(const std::string& from, const std::string& to) {
  std::string line = start_line(example());
  line.replace(line.find(from), from.size(), to);
  try {
    parse_start_line(line);
  } catch (const std::invalid_argument& refused) {
    return refused.what();
  }
  return "accepted";
}

TEST(StartLine, RefusesWhatNoSupervisorWrites) {
  using testing::HasSubstr;
  EXPECT_THAT(refusal("\"18446744073709551615\"", "\"18446744073709551616\""), HasSubstr("token"));
  EXPECT_THAT(refusal("\"worker\":1", "\"worker\":3"), HasSubstr("worker: 3 is above 2"));
  EXPECT_THAT(refusal("\"protocol\":1", "\"protocol\":2"), HasSubstr("version 1"));
  EXPECT_THAT(refusal("/tmp/x/lane-1", "/tmp/x/lane\\u0000"), HasSubstr("zero byte"));
  EXPECT_THAT(refusal("\"capacity\":64", "\"capacity\":-1"), HasSubstr("capacity"));
  EXPECT_EQ(refusal("\"worker\":1", "\"later\":[],\"worker\":1"), "accepted");
  const std::string deep(100'000, '[');
  EXPECT_THAT(refusal("\"worker\":1", "\"worker\":1,\"x\":" + deep), HasSubstr("nested deeper"));
}

}  // namespace
}  // namespace ipctorture
