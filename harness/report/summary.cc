#include "harness/report/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "harness/report/replay_line.h"

namespace ipctorture {
namespace {

constexpr std::int64_t us = 1000, ms = 1000 * us, second = 1000 * ms;

// Three digits at the most: 9.5 and 95 and 950.
std::string short_number(double value, std::string_view unit) {
  return value < 9.95 ? fmt::format("{:.1f}{}", value, unit) : fmt::format("{:.0f}{}", value, unit);
}

std::string count_or_dash(const TransportTally& t, std::uint64_t value) {
  return t.scenarios == 0 ? "-" : human_count(static_cast<double>(value));
}

std::string latency_or_dash(std::int64_t ns) { return ns <= 0 ? "-" : human_duration(ns); }

std::string promise_lines(const PromiseTally& promise, const std::string& program) {
  std::string text = fmt::format("  {}: {}\n", to_string(promise.promise), promise.what);
  if (promise.verdict == Verdict::violation && !promise.fingerprint.empty()) {
    text += fmt::format("    fingerprint: {}\n", promise.fingerprint);
  }
  if (!promise.bundle.empty()) text += "    " + replay_line(program, promise.bundle) + "\n";
  if (promise.bundle.empty() && !promise.again.empty()) {
    text += "    " + rerun_line(program, promise.again) + "\n";
  }
  return text;
}

// "  known (known.toml:3): order/...: in 12 scenarios: waits for a fix, https://..., until ..."
std::string known_lines(const TransportTally& t) {
  std::string text;
  for (const KnownTally& known : t.known) {
    std::string seen;
    if (known.scenarios > 0) seen = fmt::format("{} scenarios", known.scenarios);
    if (known.histories > 0) {
      seen +=
          fmt::format("{}{} histories under control", seen.empty() ? "" : " and ", known.histories);
    }
    text += fmt::format("  known ({}): {}, in {}: {}\n", known.where, known.fingerprint, seen,
                        known_reason(known.reason, known.link, known.expires));
  }
  return text;
}

// What became of the entries: a line for each that fails the run, or was not seen; a count.
std::string known_entry_lines(const CampaignTally& tally, const SummaryStyle& style) {
  if (tally.known.empty()) return {};
  std::string text;
  std::size_t reproduced = 0;
  for (const KnownEntryTally& entry : tally.known) {
    reproduced += entry.state == KnownState::seen || entry.state == KnownState::replayed;
    if (entry.state == KnownState::seen) continue;
    text += fmt::format("{}{}\n",
                        entry.fails()
                            ? painted(Verdict::violation, style.colour, "known failures") + ": "
                            : std::string("known failures: "),
                        known_entry_text(entry));
  }
  return text +
         fmt::format("known failures: {} of {} reproduced\n", reproduced, tally.known.size());
}

std::string transport_lines(const TransportTally& t, const SummaryStyle& style) {
  const std::string name = painted(t.verdict, style.colour, t.transport);
  if (t.verdict == Verdict::unsupported) {
    const std::string& why = t.unsupported_reason;
    return fmt::format("{}: not run: {}\n", name, why.empty() ? "there was no time for it" : why);
  }
  std::string text = fmt::format("{}: {}\n", name, to_string(t.verdict));
  for (const PromiseTally& promise : t.promises) {
    if (promise.verdict == t.verdict) text += promise_lines(promise, style.program);
  }
  text += known_lines(t);
  if (!t.doubt.empty()) text += fmt::format("  under control: {}\n", t.doubt);
  if (t.inconclusive_scenarios > 0) {
    text +=
        fmt::format("  {} of {} scenarios inconclusive{}{}\n", t.inconclusive_scenarios,
                    t.scenarios, t.inconclusive_reason.empty() ? "" : ": ", t.inconclusive_reason);
  }
  return text;
}

// "refusal of tcp (too large is refused), 12 occasions": the least tried term of all that ran.
std::string least_tried(const CampaignTally& tally) {
  std::string least;
  std::uint64_t occasions = std::numeric_limits<std::uint64_t>::max();
  const auto compare = [&](const TransportTally& t, const PromiseTally& p, std::uint64_t tried,
                           std::string_view term) {
    if (tried >= occasions) return;
    occasions = tried;
    least = fmt::format("{} of {}{}{}{}, {} occasion{}", to_string(p.promise), t.transport,
                        term.empty() ? "" : " (", term, term.empty() ? "" : ")",
                        human_count(static_cast<double>(tried)), tried == 1 ? "" : "s");
  };
  for (const TransportTally& t : tally.transports) {
    if (t.verdict == Verdict::unsupported) continue;
    for (const PromiseTally& p : t.promises) {
      if (p.terms.size() < 2) compare(t, p, p.occasions, "");
      for (const TermTally& term : p.terms) {
        if (p.terms.size() > 1) compare(t, p, term.occasions, to_string(term.term));
      }
    }
  }
  return least;
}

std::string tried_line(const CampaignTally& tally) {
  const std::string least = least_tried(tally);
  if (least.empty()) return {};
  std::uint64_t scenarios = 0, inconclusive = 0;
  for (const TransportTally& t : tally.transports) {
    scenarios += t.scenarios;
    inconclusive += t.inconclusive_scenarios;
  }
  return fmt::format("least tried: {}; {} of {} scenarios inconclusive\n", least, inconclusive,
                     scenarios);
}

// The transport with the least, or the most, of something.
template <typename Value>
const TransportTally* most_of(const CampaignTally& tally, Value value) {
  const TransportTally* most = nullptr;
  for (const TransportTally& t : tally.transports) {
    if (value(t) > 0 && (most == nullptr || value(t) > value(*most))) most = &t;
  }
  return most;
}

// Waits and shares, each of the transport where it was worst. Nothing of it is a verdict.
std::string fairness_line(const CampaignTally& tally) {
  std::vector<std::string> parts;
  const auto wait = [](const TransportTally& t) { return t.fairness.wait_ns; };
  if (const auto* t = most_of(tally, wait)) {
    parts.push_back(
        fmt::format("a message waited {} ({})", human_duration(wait(*t)), t->transport));
  }
  const auto overtakes = [](const TransportTally& t) { return t.fairness.overtakes; };
  if (const auto* t = most_of(tally, overtakes)) {
    parts.push_back(fmt::format("one was overtaken {} times ({})", overtakes(*t), t->transport));
  }
  const auto share = [&](const char* whose, FairnessTally::Shares FairnessTally::* shares) {
    const auto lack = [&](const TransportTally& t) { return 1 - (t.fairness.*shares).least; };
    const auto* t = most_of(tally, lack);
    if (t == nullptr) return;
    parts.push_back(fmt::format("Jain's index of {} {:.2f} ({})", whose,
                                (t->fairness.*shares).least, t->transport));
  };
  share("producers", &FairnessTally::producers);
  share("consumers", &FairnessTally::consumers);
  if (parts.empty()) return {};
  return fmt::format("least even: {}\n", fmt::join(parts, ", "));
}

}  // namespace

std::string human_count(double count) {
  constexpr std::array<std::string_view, 5> units{"", "k", "M", "G", "T"};
  if (count < 999.5) return fmt::format("{:.0f}", count);
  std::size_t unit = 0;
  while (count >= 999.5 && unit + 1 < units.size()) {
    count /= 1000;
    ++unit;
  }
  return short_number(count, units[unit]);
}

std::string human_duration(std::int64_t ns) {
  const auto value = static_cast<double>(ns);
  if (ns < us) return fmt::format("{}ns", std::max<std::int64_t>(ns, 0));
  if (value < 999.5 * us) return short_number(value / us, "us");
  if (value < 999.5 * ms) return short_number(value / ms, "ms");
  if (value < 99.5 * second) return short_number(value / second, "s");
  const std::int64_t seconds = (ns + second / 2) / second;
  if (seconds < 6000) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
}

std::string human_bytes(std::uint64_t bytes) {
  if (bytes >= 1u << 20 && bytes % (1u << 20) == 0) return fmt::format("{}MiB", bytes >> 20);
  if (bytes >= 1u << 10 && bytes % (1u << 10) == 0) return fmt::format("{}KiB", bytes >> 10);
  return fmt::format("{}", bytes);
}

std::string painted(Verdict verdict, Colour colour, std::string text) {
  if (colour == Colour::none) return text;
  constexpr std::array<std::string_view, verdict_count> codes{"2", "32", "36", "33", "1;31"};
  return fmt::format("\x1b[{}m{}\x1b[0m", codes[static_cast<std::size_t>(verdict) % verdict_count],
                     text);
}

std::string known_reason(const std::string& reason, const std::string& link,
                         const std::string& expires) {
  return fmt::format("{}{}{}, until {}", reason, link.empty() ? "" : ", ", link, expires);
}

std::string known_entry_text(const KnownEntryTally& entry) {
  return fmt::format("{}: {} of {}{}{}", entry.where, entry.fingerprint, entry.transport,
                     entry.note.empty() ? " was not seen" : " ", entry.note);
}

std::string verdict_table(const CampaignTally& tally, const SummaryStyle& style) {
  Table table({{"transport", Align::left, 9},
               {"scenarios", Align::right, 3},
               {"messages", Align::right, 2},
               {"messages/s", Align::right, 4},
               {"p50", Align::right, 1},
               {"p99", Align::right, 1},
               {"verdict", Align::left, 9}});
  for (const TransportTally& t : tally.transports) {
    table.add({t.transport, count_or_dash(t, t.scenarios), count_or_dash(t, t.messages),
               t.messages_per_second > 0 ? human_count(t.messages_per_second) : "-",
               latency_or_dash(t.p50_ns), latency_or_dash(t.p99_ns),
               std::string(to_string(t.verdict))});
  }
  std::string text = table.text(style.width);
  if (style.colour == Colour::none) return text;
  // The verdict is the last word of its line: painted afterwards, so that widths stay what they
  // are.
  std::string coloured = text.substr(0, text.find('\n') + 1);
  std::size_t line = coloured.size();
  for (const TransportTally& t : tally.transports) {
    const std::string verdict(to_string(t.verdict));
    const std::size_t end = text.find('\n', line);
    const std::size_t start = end - std::min(end - line, verdict.size());
    coloured += text.substr(line, start - line);
    coloured += painted(t.verdict, style.colour, text.substr(start, end - start)) + "\n";
    line = end + 1;
  }
  return coloured;
}

std::string verdict_details(const CampaignTally& tally, const SummaryStyle& style) {
  std::string text;
  std::uint64_t scenarios = 0, messages = 0;
  std::array<unsigned, verdict_count> verdicts{};
  const auto of = [&](Verdict verdict) { return verdicts[static_cast<std::size_t>(verdict)]; };
  for (const TransportTally& t : tally.transports) {
    scenarios += t.scenarios;
    messages += t.messages;
    ++verdicts[static_cast<std::size_t>(t.verdict) % verdict_count];
    if (t.verdict != Verdict::pass) text += transport_lines(t, style);
  }
  text += fmt::format("{} scenarios, {} messages verified in {}: {} pass", scenarios,
                      human_count(static_cast<double>(messages)), human_duration(tally.elapsed_ns),
                      of(Verdict::pass));
  const auto add = [&](Verdict verdict, std::string_view words) {
    if (of(verdict) > 0) text += fmt::format(", {} {}", of(verdict), words);
  };
  add(Verdict::violation, "in violation");
  add(Verdict::known, "with known failures alone");
  add(Verdict::inconclusive, "inconclusive");
  add(Verdict::unsupported, "not run");
  std::uint64_t schedules = 0;
  for (const TransportTally& t : tally.transports) schedules += t.schedules;
  if (schedules > 0) {
    text +=
        fmt::format("\nunder control: {} schedules", human_count(static_cast<double>(schedules)));
  }
  return text + "\n" + tried_line(tally) + fairness_line(tally) + known_entry_lines(tally, style);
}

}  // namespace ipctorture
