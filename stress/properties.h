// Tests only: how a rapidcheck property is run. The same cases every time, unless RC_PARAMS says
// else (RC_PARAMS="seed=7 max_success=100", read by rapidcheck); a failure prints the RC_PARAMS
// that bring it back.
//
//   const PropertyRun run = check_property("pipe", 30, [] { const auto x =
//   *rc::gen::arbitrary<int>(); ... }); EXPECT_TRUE(run.passed) << run.text;
#pragma once

#include <fmt/format.h>
#include <rapidcheck.h>
#include <rapidcheck/detail/Configuration.h>

#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>

#include "harness/scenario/generate.h"

namespace ipctorture {

struct PropertyRun {
  bool passed = false;
  std::string text;  // what failed, as small as rapidcheck could make it, and the RC_PARAMS
};

// What RC_PARAMS says, and else the seed 1 and so many cases.
inline rc::detail::TestParams asked_params(int cases) {
  rc::detail::TestParams params;
  params.maxSuccess = cases;
  params.seed = 1;
  if (const char* wanted = std::getenv("RC_PARAMS")) {
    const rc::detail::TestParams& given = rc::detail::configuration().testParams;
    const std::string_view words = wanted;
    if (words.find("max_success") != words.npos) params.maxSuccess = given.maxSuccess;
    if (words.find("seed") != words.npos) params.seed = given.seed;
  }
  return params;
}

// Words for a shell; the name is mixed in below, so they hold for the property that failed.
inline std::string rerun_words(const rc::detail::TestParams& asked) {
  return fmt::format("RC_PARAMS=\"seed={} max_success={}\"", asked.seed, asked.maxSuccess);
}

// `name` is mixed into the seed: transports are to differ.
template <typename Property>
PropertyRun check_property(std::string_view name, const rc::detail::TestParams& asked,
                           const Property& property) {
  rc::detail::TestParams params = asked;
  params.seed = case_seed(asked.seed, name, 0);
  const auto result = rc::detail::checkTestable(property, rc::detail::TestMetadata{}, params);
  if (result.template is<rc::detail::SuccessResult>()) return {.passed = true, .text = {}};
  std::ostringstream text;
  rc::detail::printResultMessage(result, text);
  return {.text = text.str() + "\nto see it again: " + rerun_words(asked) + "\n"};
}
template <typename Property>
PropertyRun check_property(std::string_view name, int cases, const Property& property) {
  return check_property(name, asked_params(cases), property);
}

}  // namespace ipctorture
