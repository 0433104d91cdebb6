// The XML of a campaign, by the letter, and what must never get into it.
#include "harness/report/junit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ipctorture {
namespace {

using testing::HasSubstr;
using testing::Not;

CampaignTally campaign() {
  TransportTally pipe{.transport = "pipe",
                      .verdict = Verdict::violation,
                      .scenarios = 10,
                      .elapsed_ns = 1'500'000'000};
  pipe.promises = {{.promise = Promise::integrity, .verdict = Verdict::pass, .occasions = 40},
                   {.promise = Promise::delivery,
                    .verdict = Verdict::violation,
                    .occasions = 40,
                    .what = "\"1\" < 2 & lost",
                    .seed = "g1:7",
                    .again = "pipe --seed g1:7 --case 3",
                    .bundle = "out/b"},
                   {.promise = Promise::stall, .verdict = Verdict::inconclusive, .what = "loaded"}};
  TransportTally mqueue{.transport = "posix_mq",
                        .verdict = Verdict::unsupported,
                        .unsupported_reason = "msgsize_max is 1024"};
  for (const Promise promise : {Promise::integrity, Promise::leaks}) {
    mqueue.promises.push_back(
        {.promise = promise, .verdict = Verdict::unsupported, .what = mqueue.unsupported_reason});
  }
  return {.seed = "g1:5",
          .started = "20261122T213600Z",
          .elapsed_ns = 2'000'000'000,
          .transports = {pipe, mqueue}};
}

TEST(Junit, ByTheLetter) {
  EXPECT_EQ(junit_xml(campaign()), R"(<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="ipctorture" tests="5" failures="1" errors="1" skipped="2" time="2.000">
  <testsuite name="ipctorture.pipe" tests="3" failures="1" errors="1" skipped="0" time="1.500" timestamp="2026-11-22T21:36:00">
    <testcase classname="ipctorture.pipe" name="integrity">
      <properties>
        <property name="seed" value="g1:5"/>
        <property name="occasions" value="40"/>
      </properties>
    </testcase>
    <testcase classname="ipctorture.pipe" name="delivery">
      <properties>
        <property name="seed" value="g1:7"/>
        <property name="again" value="pipe --seed g1:7 --case 3"/>
        <property name="bundle" value="out/b"/>
        <property name="occasions" value="40"/>
      </properties>
      <failure type="violation" message="&quot;1&quot; &lt; 2 &amp; lost"/>
    </testcase>
    <testcase classname="ipctorture.pipe" name="stall">
      <properties>
        <property name="seed" value="g1:5"/>
        <property name="occasions" value="0"/>
      </properties>
      <error type="inconclusive" message="loaded"/>
    </testcase>
  </testsuite>
  <testsuite name="ipctorture.posix_mq" tests="2" failures="0" errors="0" skipped="2" time="0.000" timestamp="2026-11-22T21:36:00">
    <testcase classname="ipctorture.posix_mq" name="integrity">
      <properties>
        <property name="seed" value="g1:5"/>
        <property name="occasions" value="0"/>
      </properties>
      <skipped message="msgsize_max is 1024"/>
    </testcase>
    <testcase classname="ipctorture.posix_mq" name="leaks">
      <properties>
        <property name="seed" value="g1:5"/>
        <property name="occasions" value="0"/>
      </properties>
      <skipped message="msgsize_max is 1024"/>
    </testcase>
  </testsuite>
</testsuites>
)");
}

// A transport that is inconclusive as a whole must not look like a pass.
TEST(Junit, AVerdictThatNoPromiseExplains) {
  CampaignTally tally = campaign();
  TransportTally& pipe = tally.transports[0];
  pipe.promises.resize(1);
  pipe.verdict = Verdict::inconclusive;
  pipe.inconclusive_reason = "3 of 10 scenarios";
  EXPECT_THAT(junit_xml(tally),
              HasSubstr("<error type=\"inconclusive\" message=\"3 of 10 scenarios\"/>"));
}

// Neither a pass nor a failure; an entry that fails the run is one.
TEST(Junit, KnownFailures) {
  CampaignTally tally = campaign();
  TransportTally& pipe = tally.transports[0];
  pipe.verdict = pipe.promises[1].verdict = Verdict::known;
  pipe.promises[1].what = "it broke";
  pipe.known = {{.promise = Promise::delivery,
                 .where = "known.toml:1",
                 .reason = "waits for a fix",
                 .expires = "2027-01-31"}};
  tally.known = {{.where = "known.toml:1",
                  .transport = "pipe",
                  .fingerprint = "delivery/a/b",
                  .state = KnownState::seen},
                 {.where = "known.toml:5",
                  .transport = "tcp",
                  .fingerprint = "order/a/b",
                  .state = KnownState::expired,
                  .note = "expired on 2026-01-31"},
                 {.where = "known.toml:9", .transport = "udp", .fingerprint = "order/a/b"}};
  const std::string xml = junit_xml(tally);
  EXPECT_THAT(xml, HasSubstr("<skipped type=\"known\" message=\"it broke&#10;known (known.toml:1): "
                             "waits for a fix, until 2027-01-31\"/>"));
  EXPECT_THAT(xml, HasSubstr("<testsuite name=\"ipctorture.known_failures\" tests=\"3\" "
                             "failures=\"1\" errors=\"0\" skipped=\"1\""));
  EXPECT_THAT(xml, HasSubstr("<failure type=\"violation\" message=\"known.toml:5: order/a/b of tcp "
                             "expired on 2026-01-31\"/>"));
  EXPECT_THAT(xml, HasSubstr("tests=\"8\" failures=\"1\" errors=\"1\" skipped=\"4\""));
}

TEST(Junit, EscapesAndCleans) {
  EXPECT_EQ(xml_escaped("<a b='c'>&\"\n\t"), "&lt;a b=&apos;c&apos;&gt;&amp;&quot;&#10;&#9;");
  EXPECT_EQ(xml_escaped(std::string_view("\x1b\0\x01\xff\xed\xa0\x80\xef\xbf\xbf", 10)),
            "??????????");
  EXPECT_EQ(xml_escaped("caf\xc3\xa9"), "caf\xc3\xa9");
  CampaignTally tally = campaign();
  tally.transports[0].transport = "\"/><script>";
  tally.started = "\"><x";
  EXPECT_THAT(junit_xml(tally), Not(HasSubstr("<script>")));
  EXPECT_THAT(junit_xml(tally), Not(HasSubstr("<x")));
}

}  // namespace
}  // namespace ipctorture
