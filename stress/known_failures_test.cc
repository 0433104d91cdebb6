// What known.toml may say, and what is refused with its place.
#include "stress/known_failures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ipctorture {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr const char* good = R"([[known]]
transport = "pipe"
fingerprint = "order/order: total/reordered"
reason = "waits for a fix"
link = "https://example.org/1"
expires = 2027-01-31
bundle = "bundles/a"

[[known]]
fingerprint = "leaks/nothing left behind/descriptors"
reason = "so be it"
expires = 2026-11-29
)";

std::vector<Selected> selected(std::initializer_list<const char*> names) {
  std::vector<Selected> all;
  for (const char* name : names) all.push_back({.registration = find_registration(name)});
  return all;
}

std::string refusal(const std::string& text) {
  try {
    parse_known(text, "known.toml");
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  return text.replace(text.find(from), from.size(), to);
}

TEST(KnownFailures, AreReadWithTheirPlaces) {
  const auto entries = parse_known(good, "a/known.toml");
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].transport, "pipe");
  EXPECT_EQ(entries[0].fingerprint, "order/order: total/reordered");
  EXPECT_EQ(entries[0].reason, "waits for a fix");
  EXPECT_EQ(entries[0].link, "https://example.org/1");
  EXPECT_EQ(entries[0].expires, "2027-01-31");
  EXPECT_EQ(entries[0].bundle, "a/bundles/a");
  EXPECT_EQ(entries[0].where, "a/known.toml:1");
  EXPECT_EQ(entries[1].transport, "*");
  EXPECT_EQ(entries[1].where, "a/known.toml:9");
  EXPECT_EQ(entries[1].bundle, "");
  EXPECT_THAT(parse_known("", "known.toml"), IsEmpty());
  EXPECT_THAT(parse_known("# nothing\n", "known.toml"), IsEmpty());
}

TEST(KnownFailures, WhatMakesNoSenseIsRefusedInOneLineWithItsPlace) {
  const struct {
    const char *from, *to, *says;
  } cases[] = {
      {"reason", "raeson", "known.toml:4: raeson is no key of an entry, did you mean 'reason'?"},
      {"fingerprint = \"order/order: total/reordered\"\n", "",
       "known.toml:1: an entry without fingerprint"},
      {"reason = \"waits for a fix\"\n", "", "known.toml:1: an entry without reason"},
      {"expires = 2027-01-31\n", "", "known.toml:1: an entry without expires"},
      {"2027-01-31", "\"2027-01-31\"", "known.toml:6: expires: a date without quotes"},
      {"2027-01-31", "2027-01-31T10:00:00Z", "known.toml:6: expires: a date without quotes"},
      {"2027-01-31", "2027-02-30", "known.toml:6: "},
      {"2027-01-31", "soon", "known.toml:6: "},
      {"\"waits for a fix\"", "7", "known.toml:4: reason: a text is wanted"},
      {"\"waits for a fix\"", "\"\"", "known.toml:4: reason: is empty"},
      {"waits for", "waits\\nfor", "known.toml:4: reason: is no single line"},
      {"order/order", "odrer/order", "'odrer' is no promise, did you mean 'order'?"},
      {"order/order: total/reordered", "order", "known.toml:3: fingerprint: is promise/term"},
      {"\"pipe\"", "[\"pipe\"]", "known.toml:2: transport: a text is wanted"},
      {"[[known]]", "[known]", "known.toml:"},
      {"[[known]]", "time = 3\n[[known]]", "known.toml:1: time: this file holds entries"},
      {"[[known]]", "[[know]]", "known.toml:1: know: this file holds entries"},
      {"[[known]]", "[[known", "known.toml:1: "},
  };
  for (const auto& one : cases) {
    const std::string said = refusal(replaced(good, one.from, one.to));
    EXPECT_THAT(said, AllOf(StartsWith("known.toml:"), HasSubstr(one.says))) << one.to;
    EXPECT_EQ(said.find('\n'), said.npos) << said;
  }
  EXPECT_THAT(refusal("known = [1, 2]\n"), HasSubstr("[[known]]"));
  EXPECT_THAT(refusal(replaced(good, "waits", std::string(1001, 'x'))), HasSubstr("above 1000"));
  EXPECT_THAT(refusal("\xff\xfe"), StartsWith("known.toml:1: "));
  // The library takes a key for granted there.
  for (const char* header : {"[\n", "[ \r\n", "[[\n", "[[ =x]]\n", "\t[+\n", "a\xef\xbb\xb7 = 1\n",
                             "a = \"\"\"b\"\"\"\n"}) {
    EXPECT_THAT(refusal("\n" + std::string(header)), StartsWith("known.toml:2: "));
  }
}

TEST(KnownFailures, TextsOfEveryLanguageAreRead) {
  const std::string text = replaced(good, "waits", "# \xd0\xbf\xf0\x9f\x90\x9e waits \\\"");
  const auto entries = parse_known("\xef\xbb\xbf# gr\xc3\xbcn\n" + text, "known.toml");
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].reason, "# \xd0\xbf\xf0\x9f\x90\x9e waits \" for a fix");
  EXPECT_EQ(entries[0].where, "known.toml:2");
  EXPECT_THAT(refusal("a = 0\"\xc3\xbc\"\nb = '\xc3\xbc'"), HasSubstr("known.toml:"));
  EXPECT_THAT(refusal("a = \"\xed\xa0\x80\""), HasSubstr("is no UTF-8"));
}

TEST(KnownFailures, TwoEntriesForTheSameAreRefused) {
  std::string text = replaced(good, "transport = \"pipe\"\n", "");
  text = replaced(text, "leaks/nothing left behind/descriptors", "order/order: total/reordered");
  EXPECT_THAT(refusal(text),
              HasSubstr("known.toml:8: a second entry for order/order: total/reordered of *"));
}

TEST(KnownFailures, TooManyAreRefused) {
  std::string text;
  for (int i = 0; i < 257; ++i) {
    text += "[[known]]\nfingerprint = \"order/a/" + std::to_string(i) +
            "\"\nreason = \"r\"\nexpires = 2027-01-31\n";
  }
  EXPECT_THAT(refusal(text), HasSubstr("above 256 entries"));
}

TEST(KnownFailures, CoverWhatTheySay) {
  const KnownFailures known(parse_known(good, "known.toml"), selected({"pipe", "tcp"}),
                            "2026-11-29");
  EXPECT_NE(known.find("pipe", "order/order: total/reordered"), nullptr);
  EXPECT_EQ(known.find("tcp", "order/order: total/reordered"), nullptr);
  EXPECT_EQ(known.find("pipe", "order/order: total/reorder"), nullptr);
  EXPECT_NE(known.find("tcp", "leaks/nothing left behind/descriptors"), nullptr);
  EXPECT_THAT(known.fingerprints_of("tcp"), ElementsAre("leaks/nothing left behind/descriptors"));
}

// The last day counts.
TEST(KnownFailures, ExpiredOnesAreNone) {
  const KnownFailures known(parse_known(good, "known.toml"), selected({"pipe"}), "2026-11-30");
  EXPECT_EQ(known.find("pipe", "leaks/nothing left behind/descriptors"), nullptr);
  const auto tallies = known.tallies();
  EXPECT_EQ(tallies[0].state, KnownState::unseen);
  EXPECT_EQ(tallies[1].state, KnownState::expired);
  EXPECT_EQ(tallies[1].note, "expired on 2026-11-29");
  EXPECT_TRUE(tallies[1].fails());
}

TEST(KnownFailures, OfOtherTransportsDoNotMatterUnlessThereAreNone) {
  const auto about = [](const std::string& transport) {
    const std::string text = replaced(good, "\"pipe\"", "\"" + transport + "\"");
    return KnownFailures(parse_known(text, "known.toml"), selected({"tcp"}), "2026-11-29")
        .entries()
        .size();
  };
  EXPECT_EQ(about("pipe"), 1u);
  EXPECT_EQ(about("p*"), 1u);
  EXPECT_EQ(about("t?p"), 2u);
  EXPECT_EQ(about("pipe__lose"), 1u);
  const auto refused = [&](const std::string& transport) -> std::string {
    try {
      about(transport);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(refused("pip"),
            "known.toml:1: transport: unknown transport 'pip', did you mean 'pipe'?");
  EXPECT_EQ(refused("zzz*"), "known.toml:1: transport: 'zzz*' matches none");
}

}  // namespace
}  // namespace ipctorture
