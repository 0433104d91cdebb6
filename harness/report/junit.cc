// The dialect of Jenkins and GitLab, the common part: testsuites > testsuite > testcase with
// failure, error or skipped, properties within (testmoapp/junitxml describes it). A transport whose
// verdict no promise explains (too many inconclusive scenarios) gets the case "whole" beside them;
// one that is unsupported has every case that it would have elsewhere, skipped.
#include "harness/report/junit.h"

#include <fmt/format.h>

#include <limits>
#include <vector>

#include "harness/report/presentable.h"
#include "harness/report/summary.h"

namespace ipctorture {
namespace {

constexpr std::size_t text_bytes_max = 64 << 10;

struct Case {
  std::string name;
  Verdict verdict{};
  std::string what;
  std::string seed;
  std::string again;
  std::string bundle;
  std::uint64_t occasions = 0;
};

struct Counts {
  std::size_t cases = 0, failures = 0, errors = 0, skipped = 0;
  void add(const std::vector<Case>& all) {
    cases += all.size();
    for (const Case& c : all) {
      failures += c.verdict == Verdict::violation;
      errors += c.verdict == Verdict::inconclusive;
      skipped += c.verdict == Verdict::unsupported || c.verdict == Verdict::known;
    }
  }
  std::string attributes(std::int64_t elapsed_ns) const {
    return fmt::format(R"(tests="{}" failures="{}" errors="{}" skipped="{}" time="{:.3f}")", cases,
                       failures, errors, skipped, static_cast<double>(elapsed_ns) / 1e9);
  }
};

std::vector<Case> cases_of(const TransportTally& tally, const std::string& seed) {
  std::vector<Case> cases;
  Verdict explained = Verdict::unsupported;
  for (const PromiseTally& p : tally.promises) {
    std::string what = p.what;
    for (const KnownTally& known : tally.known) {
      if (known.promise != p.promise || p.verdict != Verdict::known) continue;
      what += fmt::format("\nknown ({}): {}", known.where,
                          known_reason(known.reason, known.link, known.expires));
    }
    cases.push_back({std::string(to_string(p.promise)), p.verdict, std::move(what),
                     p.seed.empty() ? seed : p.seed, p.again, p.bundle, p.occasions});
    explained = worse(explained, p.verdict);
  }
  if (cases.empty() || explained < tally.verdict) {
    const std::string& why = tally.verdict == Verdict::unsupported ? tally.unsupported_reason
                                                                   : tally.inconclusive_reason;
    cases.push_back({"whole", tally.verdict, why, seed, {}, {}, tally.scenarios});
  }
  return cases;
}

std::string property(std::string_view name, std::string_view value) {
  if (value.empty()) return {};
  return fmt::format("        <property name=\"{}\" value=\"{}\"/>\n", name, xml_escaped(value));
}

std::string case_xml(const Case& c, const std::string& transport) {
  std::string xml = fmt::format("    <testcase classname=\"ipctorture.{}\" name=\"{}\">\n",
                                xml_escaped(transport), xml_escaped(c.name));
  xml += "      <properties>\n" + property("seed", c.seed) + property("again", c.again) +
         property("bundle", c.bundle) + property("occasions", std::to_string(c.occasions)) +
         "      </properties>\n";
  const std::string what = xml_escaped(c.what);
  switch (c.verdict) {
    case Verdict::violation:
      xml += fmt::format("      <failure type=\"violation\" message=\"{}\"/>\n", what);
      break;
    case Verdict::inconclusive:
      xml += fmt::format("      <error type=\"inconclusive\" message=\"{}\"/>\n", what);
      break;
    case Verdict::unsupported:
      xml += fmt::format("      <skipped message=\"{}\"/>\n", what);
      break;
    case Verdict::known:  // as pytest writes what is expected to fail
      xml += fmt::format("      <skipped type=\"known\" message=\"{}\"/>\n", what);
      break;
    case Verdict::pass:
      break;
  }
  return xml + "    </testcase>\n";
}

// Entries of known.toml: one that fails the run is a failure like a broken promise's, so that it is
// seen why.
std::string known_suite(const CampaignTally& tally, Counts* all) {
  if (tally.known.empty()) return {};
  std::vector<Case> cases;
  std::string xml;
  for (const KnownEntryTally& entry : tally.known) {
    const bool told = entry.state == KnownState::seen || entry.state == KnownState::replayed;
    cases.push_back({.name = fmt::format("{} of {}", entry.fingerprint, entry.transport),
                     .verdict = entry.fails() ? Verdict::violation
                                : told        ? Verdict::pass
                                              : Verdict::unsupported,
                     .what = known_entry_text(entry)});
    xml += case_xml(cases.back(), "known_failures");
  }
  Counts counts;
  counts.add(cases);
  all->add(cases);
  return fmt::format("  <testsuite name=\"ipctorture.known_failures\" {}>\n{}  </testsuite>\n",
                     counts.attributes(0), xml);
}

// "20261122T213600Z" as XML wants it; anything else is left out.
std::string timestamp(const std::string& t) {
  if (t.size() != 16 || t.find_first_not_of("0123456789TZ") != t.npos) return {};
  return fmt::format(" timestamp=\"{}-{}-{}T{}:{}:{}\"", t.substr(0, 4), t.substr(4, 2),
                     t.substr(6, 2), t.substr(9, 2), t.substr(11, 2), t.substr(13, 2));
}

}  // namespace

std::string xml_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : presentable(text, text_bytes_max)) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&apos;";
        break;
      case '\n':
        escaped += "&#10;";  // a bare one becomes a blank within an attribute
        break;
      case '\t':
        escaped += "&#9;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string junit_xml(const CampaignTally& tally) {
  Counts all;
  std::string suites;
  for (const TransportTally& transport : tally.transports) {
    const std::vector<Case> cases = cases_of(transport, tally.seed);
    Counts counts;
    counts.add(cases);
    all.add(cases);
    suites +=
        fmt::format("  <testsuite name=\"ipctorture.{}\" {}{}>\n", xml_escaped(transport.transport),
                    counts.attributes(transport.elapsed_ns), timestamp(tally.started));
    for (const Case& c : cases) suites += case_xml(c, transport.transport);
    suites += "  </testsuite>\n";
  }
  suites += known_suite(tally, &all);
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" +
         fmt::format("<testsuites name=\"ipctorture\" {}>\n", all.attributes(tally.elapsed_ns)) +
         suites + "</testsuites>\n";
}

}  // namespace ipctorture
