#include "stress/merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "stress/latency.h"
#include "stress/settings.h"
#include "stress/transport_verdict.h"

namespace ipctorture {
namespace {

constexpr std::size_t ranges_told = 8;

std::string joined(const std::vector<std::string>& texts) {
  return fmt::format("{}", fmt::join(texts, " "));
}

void refuse_foreign(const ResultLines& first, const ResultLines& other) {
  const auto same = [&](std::string_view what, const std::string& a, const std::string& b) {
    if (a == b) return;
    const auto shown = [](const std::string& text) {
      return text.empty() ? "none" : text.substr(0, 200);
    };
    throw UsageError(fmt::format("{}:1: another campaign: {} {}, but {} in {}", other.file, what,
                                 shown(b), shown(a), first.file));
  };
  const CampaignStart &a = first.start, &b = other.start;
  same("kind", first.explored ? "explore" : "run", other.explored ? "explore" : "run");
  same("seed", a.seed, b.seed);
  same("version", a.version, b.version);
  same("commit", a.commit, b.commit);
  same("number of shards", std::to_string(a.shards), std::to_string(b.shards));
  same("transports", joined(a.transports), joined(b.transports));
  same("scenarios of each", std::to_string(a.runs), std::to_string(b.runs));
  same("options", a.options, b.options);
}

// What two copies of the same results have in common, wherever their bundles are.
std::string told(ResultLines lines) {
  lines.start.out.clear();
  for_each_bundle(&lines, [](std::string* path) { path->clear(); });
  return results_text(lines);
}

const TransportTally* tally_of(const ResultLines& lines, const std::string& transport) {
  for (const TransportTally& one : lines.tally.transports) {
    if (one.transport == transport) return &one;
  }
  return nullptr;
}

const ExploreTally* exploration_of(const ResultLines& lines, const std::string& transport) {
  for (const ExploreTally& one : lines.explorations) {
    if (one.transport == transport) return &one;
  }
  return nullptr;
}

ExitCode code_of(const ResultLines& lines) {
  return lines.exit_code ? static_cast<ExitCode>(*lines.exit_code) : ExitCode::inconclusive;
}

class Union {
 public:
  explicit Union(const std::vector<ResultLines>& parts) : parts_(parts) {
    ResultLines& lines = merged_.lines;
    lines.explored = parts[0].explored;
    lines.start = parts[0].start;
    lines.tally.seed = lines.start.seed;
    lines.tally.started = lines.start.started;
    for (const ResultLines& part : parts) {
      refuse_foreign(parts[0], part);
      if (!part.start.merged.empty()) {
        throw UsageError(part.file + ":1: of several shards united, without their own results");
      }
    }
  }

  Merged make() {
    choose();
    tell_missing_shards();
    for (const auto& [shard, part] : chosen_) add_events(*part);
    for (const ResultLines* part : set_aside_) keep_violations(*part);
    for (const std::string& transport : merged_.lines.start.transports) {
      if (merged_.lines.explored) {
        unite_explorations(transport);
      } else {
        unite_tallies(transport);
      }
    }
    apply_kept_violations();
    add_known_entries();
    decide();
    return std::move(merged_);
  }

 private:
  // One execution of each shard.
  void choose() {
    for (const ResultLines& part : parts_) {
      const ResultLines*& chosen = chosen_[part.start.shard];
      if (chosen == nullptr) {
        chosen = &part;
      } else {
        settle_twice(&chosen, part);
      }
    }
  }

  void settle_twice(const ResultLines** chosen, const ResultLines& other) {
    const ResultLines& first = **chosen;
    const std::string which = fmt::format("shard {}", other.start.shard);
    if (told(first) == told(other)) {
      merged_.notes.push_back(
          fmt::format("{} is there twice, counted once: {} and {}", which, first.file, other.file));
      return;
    }
    // Half of an execution, beside a whole one that was started in its place.
    const auto half = [](const ResultLines& one) {
      return !one.exit_code && one.failures.empty() &&
             std::all_of(one.explorations.begin(), one.explorations.end(),
                         [](const ExploreTally& tally) { return tally.failures.empty(); });
    };
    if (half(first) != half(other)) {
      const ResultLines& whole = half(first) ? other : first;
      merged_.notes.push_back(fmt::format("{}: {} ended early, {} is counted", which,
                                          (half(first) ? first : other).file, whole.file));
      *chosen = &whole;
      return;
    }
    for (const ExploreTally& one : first.explorations) {
      const ExploreTally* two = exploration_of(other, one.transport);
      const std::string why = two == nullptr ? std::string() : contradiction(one, *two);
      if (why.empty()) continue;
      merged_.contradictions.push_back(
          fmt::format("{} twice, in {} and {}: {}", which, first.file, other.file, why));
    }
    const bool graver_other = graver(code_of(first), code_of(other)) != code_of(first);
    const ResultLines& taken = graver_other ? other : first;
    set_aside_.push_back(graver_other ? &first : &other);
    merged_.lines.holes.push_back(fmt::format(
        "{} is there twice with different results, in {} and {}: of the latter only the violations "
        "are counted",
        which, taken.file, set_aside_.back()->file));
    *chosen = &taken;
  }

  void tell_missing_shards() {
    const std::uint32_t shards = merged_.lines.start.shards;
    std::vector<CaseRange> there, missing;
    for (std::uint32_t shard = 1; shard <= shards; ++shard) {
      add_case(chosen_.contains(shard) ? &there : &missing, shard, 1);
    }
    const auto text = [](const std::vector<CaseRange>& ranges) {
      std::string all;
      for (const CaseRange& one : ranges) {
        all += fmt::format("{}{}{}", all.empty() ? "" : ", ", one.first,
                           one.last > one.first ? fmt::format("-{}", one.last) : "");
      }
      return all;
    };
    merged_.lines.start.merged = fmt::format("{} of {}", text(there), shards);
    if (missing.empty()) return;
    merged_.lines.holes.push_back(
        fmt::format("shards missing of {}: {}; shard i has the cases i, i + {} ...", shards,
                    text(missing), shards));
  }

  void add_events(const ResultLines& part) {
    ResultLines& all = merged_.lines;
    for (const Failure& failure : part.failures) all.failures.push_back(failure);
    for (const Failure& exact : part.exact) all.exact.push_back(exact);
    for (const auto& failure : part.harness_failures) all.harness_failures.push_back(failure);
    for (const std::string& hole : part.holes) all.holes.push_back(hole);
    all.tally.elapsed_ns = std::max(all.tally.elapsed_ns, part.tally.elapsed_ns);
    const std::string which = fmt::format("shard {} ({})", part.start.shard, part.file);
    if (!part.exit_code) {
      all.holes.push_back(which + " ended early, without an end of its results");
      for (const Failure& failure : part.failures) kept_.push_back(failure);
      return;
    }
    const ExitCode code = code_of(part);
    if (code == ExitCode::harness_failed || code == ExitCode::interrupted ||
        code == ExitCode::terminated) {
      merged_.code = graver(merged_.code, code);
    }
    if (code == ExitCode::interrupted || code == ExitCode::terminated) {
      all.holes.push_back(which + " was interrupted");
    }
  }

  // Of an execution that is not counted.
  void keep_violations(const ResultLines& part) {
    for (const Failure& failure : part.failures) {
      if (failure.verdict != Verdict::violation) continue;
      merged_.lines.failures.push_back(failure);
      kept_.push_back(failure);
    }
    for (const ExploreTally& one : part.explorations) {
      for (const auto& failure : one.failures) explored_kept_[one.transport].push_back(failure);
    }
  }

  // The parts that have results of this transport; what is missing is told.
  template <typename Tally>
  std::vector<const Tally*> parts_of(const std::string& transport,
                                     const Tally* (*find)(const ResultLines&, const std::string&)) {
    std::vector<const Tally*> found;
    for (const auto& [shard, part] : chosen_) {
      const Tally* one = find(*part, transport);
      if (one != nullptr) {
        found.push_back(one);
      } else if (part->exit_code) {
        hole(*part, transport, "no results");
      }
    }
    return found;
  }

  void hole(const ResultLines& part, const std::string& transport, const std::string& what) {
    merged_.lines.holes.push_back(
        fmt::format("shard {} ({}): {}: {}", part.start.shard, part.file, transport, what));
  }

  void unite_explorations(const std::string& transport) {
    const auto parts = parts_of<ExploreTally>(transport, exploration_of);
    if (parts.empty()) return;
    const bool whole = parts.size() == merged_.lines.start.shards;
    ExploreTally all = united_explorations(parts, whole);
    for (const auto& failure : explored_kept_[transport]) all.failures.push_back(failure);
    for (const auto& [shard, part] : chosen_) {
      const ExploreTally* one = exploration_of(*part, transport);
      if (one == nullptr || one->unsupported.empty() || !all.unsupported.empty()) continue;
      hole(*part, transport, "could not run there: " + one->unsupported);
    }
    merged_.lines.explorations.push_back(std::move(all));
  }

  void unite_tallies(const std::string& transport) {
    const auto parts = parts_of<TransportTally>(transport, tally_of);
    if (parts.empty()) {
      merged_.lines.tally.transports.push_back(
          {.transport = transport, .unsupported_reason = "no part has finished"});
      return;
    }
    const bool ran = std::any_of(parts.begin(), parts.end(), [](const TransportTally* one) {
      return one->verdict != Verdict::unsupported;
    });
    if (!ran) {
      merged_.lines.tally.transports.push_back(*parts.front());
      return;
    }
    TransportTally all{.transport = transport};
    std::uint64_t allowed = 0;
    for (const auto& [shard, part] : chosen_) {
      const TransportTally* one = tally_of(*part, transport);
      if (one == nullptr) continue;
      if (one->verdict == Verdict::unsupported) {
        hole(*part, transport, "could not run there: " + one->unsupported_reason);
        continue;
      }
      add_tally(&all, *one);
      allowed += one->scenarios * part->tally.inconclusive_permille_max;
      tell_missing_cases(*part, *one);
    }
    std::sort(all.cases.begin(), all.cases.end(),
              [](const CaseRange& a, const CaseRange& b) { return a.first < b.first; });
    LatencyHistogram latency;
    latency.add(all.latency);
    all.p50_ns = latency.percentile_ns(500);
    all.p99_ns = latency.percentile_ns(990);
    all.latency = latency.sparse();
    if (all.traffic_ns > 0) {
      all.messages_per_second =
          static_cast<double>(all.traffic_messages) * 1e9 / static_cast<double>(all.traffic_ns);
    }
    settle(all, allowed, one_case() ? Whole::no : Whole::yes);
    merged_.lines.tally.transports.push_back(std::move(all));
  }

  bool one_case() const { return merged_.lines.start.options.find("--case") != std::string::npos; }

  void tell_missing_cases(const ResultLines& part, const TransportTally& one) {
    if (one_case()) return;
    const std::uint64_t shard = part.start.shard, shards = part.start.shards;
    const auto own = [&](std::uint64_t k) { return k >= shard && (k - shard) % shards == 0; };
    std::uint64_t before = 0;
    for (const CaseRange& range : one.cases) {
      if (!own(range.first) || !own(range.last) || range.first <= before) {
        throw UsageError(fmt::format("{}: {}: cases {}-{} are not of shard {}/{}", part.file,
                                     one.transport, range.first, range.last, shard, shards));
      }
      before = range.last;
    }
    if (part.start.runs == 0) return;
    const std::string missing =
        missing_cases(one.cases, part.start.shard, part.start.shards, part.start.runs);
    if (!missing.empty()) hole(part, one.transport, "not run: cases " + missing);
  }

  static void add_tally(TransportTally* all, const TransportTally& one) {
    all->scenarios += one.scenarios;
    if (one.inconclusive_scenarios > all->inconclusive_scenarios) {
      all->inconclusive_reason = one.inconclusive_reason;
    }
    all->inconclusive_scenarios += one.inconclusive_scenarios;
    all->schedules += one.schedules;
    if (all->doubt.empty()) all->doubt = one.doubt;
    all->messages += one.messages;
    all->traffic_messages += one.traffic_messages;
    all->traffic_ns += one.traffic_ns;
    all->elapsed_ns += one.elapsed_ns;
    all->latency.insert(all->latency.end(), one.latency.begin(), one.latency.end());
    for (const CaseRange& range : one.cases) all->cases.push_back(range);
    add_fairness(&all->fairness, one.fairness);
    for (const PromiseTally& promise : one.promises) add_promise(all, promise);
    for (const KnownTally& known : one.known) {
      const auto same = [&](const KnownTally& other) {
        return other.fingerprint == known.fingerprint;
      };
      const auto found = std::find_if(all->known.begin(), all->known.end(), same);
      if (found == all->known.end()) {
        all->known.push_back(known);
      } else {
        found->scenarios += known.scenarios;
        found->histories += known.histories;
      }
    }
  }

  static void add_fairness(FairnessTally* all, const FairnessTally& one) {
    all->overtakes = std::max(all->overtakes, one.overtakes);
    all->wait_ns = std::max(all->wait_ns, one.wait_ns);
    all->peer_overtakes = std::max(all->peer_overtakes, one.peer_overtakes);
    all->peer_wait_ns = std::max(all->peer_wait_ns, one.peer_wait_ns);
    for (const auto shares : {&FairnessTally::producers, &FairnessTally::consumers}) {
      FairnessTally::Shares& to = all->*shares;
      const FairnessTally::Shares& from = one.*shares;
      if (from.scenarios == 0) continue;
      const auto before = static_cast<double>(to.scenarios),
                 more = static_cast<double>(from.scenarios);
      to.mean = (to.mean * before + from.mean * more) / (before + more);
      to.least = std::min(to.least, from.least);
      to.scenarios += from.scenarios;
    }
  }

  static PromiseTally& promise_of(TransportTally* all, Promise which) {
    for (PromiseTally& promise : all->promises) {
      if (promise.promise == which) return promise;
    }
    all->promises.push_back({.promise = which});
    return all->promises.back();
  }

  static void add_promise(TransportTally* all, const PromiseTally& one) {
    PromiseTally& to = promise_of(all, one.promise);
    to.occasions += one.occasions;
    to.scenarios += one.scenarios;
    to.tried_scenarios += one.tried_scenarios;
    to.inconclusive_scenarios += one.inconclusive_scenarios;
    for (const TermTally& term : one.terms) {
      const auto same = [&](const TermTally& other) { return other.term == term.term; };
      const auto found = std::find_if(to.terms.begin(), to.terms.end(), same);
      if (found == to.terms.end()) {
        to.terms.push_back(term);
      } else {
        found->occasions += term.occasions;
        found->scenarios += term.scenarios;
      }
    }
    // As found, before it was weighed: what is known is decided anew, and how many may be
    // inconclusive.
    Verdict verdict = Verdict::pass;
    if (one.inconclusive_scenarios > 0) verdict = Verdict::inconclusive;
    if (one.verdict == Verdict::violation) verdict = Verdict::violation;
    if (verdict <= to.verdict) return;
    to.verdict = verdict;
    to.what = one.what;
    to.fingerprint = one.fingerprint;
    to.seed = one.seed;
    to.again = one.again;
    to.bundle = one.bundle;
  }

  // Of executions without results, or that are not counted: what broke is broken.
  void apply_kept_violations() {
    for (const Failure& failure : kept_) {
      if (failure.verdict != Verdict::violation) continue;
      for (TransportTally& t : merged_.lines.tally.transports) {
        if (t.transport != failure.transport) continue;
        t.verdict = Verdict::violation;
        for (unsigned p = 0; p < promise_count; ++p) {
          const auto promise = static_cast<Promise>(p);
          if (!failure.fingerprint.starts_with(fmt::format("{}/", to_string(promise)))) continue;
          PromiseTally& to = promise_of(&t, promise);
          if (to.verdict == Verdict::violation) continue;
          to.verdict = Verdict::violation;
          to.what = failure.what;
          to.fingerprint = failure.fingerprint;
          to.seed = failure.seed;
          to.again = failure.again;
          to.bundle = failure.bundle;
        }
      }
    }
  }

  // An entry that one part saw was seen; what fails, fails.
  void add_known_entries() {
    const auto weight = [](KnownState state) {
      constexpr unsigned weights[] = {0, 4, 3, 1, 5};  // unseen, seen, replayed, gone, expired
      return weights[static_cast<unsigned>(state) % 5];
    };
    std::vector<KnownEntryTally>& all = merged_.lines.tally.known;
    for (const auto& [shard, part] : chosen_) {
      for (const KnownEntryTally& entry : part->tally.known) {
        const auto same = [&](const KnownEntryTally& other) { return other.where == entry.where; };
        const auto found = std::find_if(all.begin(), all.end(), same);
        if (found == all.end()) {
          all.push_back(entry);
        } else if (weight(entry.state) > weight(found->state)) {
          *found = entry;
        }
      }
    }
  }

  void decide() {
    ResultLines& lines = merged_.lines;
    ExitCode& code = merged_.code;
    const auto& named = lines.start.named;
    const auto asked = [&](const std::string& transport) {
      return std::find(named.begin(), named.end(), transport) != named.end()
                 ? AskedFor::by_name
                 : AskedFor::with_others;
    };
    for (const TransportTally& one : lines.tally.transports) {
      code = graver(code, exit_code_of(one.verdict, asked(one.transport)));
    }
    for (const ExploreTally& one : lines.explorations) {
      code = graver(code, exit_code_of(explore_verdict(one), asked(one.transport)));
      if (!one.harness_failure.empty()) code = graver(code, ExitCode::harness_failed);
    }
    for (const KnownEntryTally& entry : lines.tally.known) {
      if (entry.fails()) code = graver(code, ExitCode::violation);
    }
    if (!lines.harness_failures.empty()) code = graver(code, ExitCode::harness_failed);
    if (!merged_.contradictions.empty()) code = graver(code, ExitCode::harness_failed);
    if (!lines.holes.empty()) code = graver(code, ExitCode::inconclusive);
    lines.exit_code = static_cast<int>(code);
  }

  const std::vector<ResultLines>& parts_;
  Merged merged_;
  std::map<std::uint32_t, const ResultLines*> chosen_;  // by shard
  std::vector<const ResultLines*> set_aside_;           // other executions of these
  std::vector<Failure> kept_;                           // violations that no counted tally has
  std::map<std::string, std::vector<ExploreTally::Failure>> explored_kept_;
};

}  // namespace

std::string missing_cases(const std::vector<CaseRange>& ranges, std::uint32_t shard,
                          std::uint32_t shards, std::uint64_t runs) {
  std::vector<CaseRange> gaps;
  std::uint64_t next = shard;
  for (const CaseRange& range : ranges) {
    if (range.first > next) gaps.push_back({next, range.first - shards});
    next = range.last + shards;
  }
  if (next <= runs) gaps.push_back({next, next + (runs - next) / shards * shards});
  std::string text;
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < gaps.size(); ++i) {
    count += (gaps[i].last - gaps[i].first) / shards + 1;
    if (i >= ranges_told) continue;
    text += fmt::format("{}{}{}", text.empty() ? "" : ", ", gaps[i].first,
                        gaps[i].last > gaps[i].first ? fmt::format("-{}", gaps[i].last) : "");
  }
  if (text.empty()) return {};
  return fmt::format("{}{} ({} case{})", text, gaps.size() > ranges_told ? " ..." : "", count,
                     count == 1 ? "" : "s");
}

Merged unite(const std::vector<ResultLines>& parts) { return Union(parts).make(); }

}  // namespace ipctorture
