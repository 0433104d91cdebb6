#include "stress/known_failures.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <set>

#include "harness/base/clock.h"
#include "harness/check/verdict.h"
#include "stress/nearest.h"
#include "stress/toml_text.h"

namespace ipctorture {
namespace {

constexpr std::size_t entries_max = 256;
constexpr std::size_t text_bytes_max = 1000;
constexpr std::array<std::string_view, 6> keys{"transport", "fingerprint", "reason",
                                               "link",      "expires",     "bundle"};

std::string place(const std::string& file, const toml::node& node) {
  return fmt::format("{}:{}", file, node.source().begin.line);
}

std::string one_line(const toml::node& node, const std::string& where) {
  const auto* text = node.as_string();
  if (text == nullptr) throw UsageError(where + ": a text is wanted");
  const std::string& value = text->get();
  if (value.empty()) throw UsageError(where + ": is empty");
  if (value.size() > text_bytes_max) throw UsageError(where + ": is above 1000 bytes");
  if (std::any_of(value.begin(), value.end(), [](char c) { return c >= 0 && c < ' '; })) {
    throw UsageError(where + ": is no single line");
  }
  return value;
}

std::string date(const toml::node& node, const std::string& where) {
  const auto* value = node.as_date();
  if (value == nullptr) {
    throw UsageError(where + ": a date without quotes is wanted, such as 2027-01-31");
  }
  const toml::date& day = value->get();
  return fmt::format("{:04}-{:02}-{:02}", day.year, day.month, day.day);
}

// "order/total/reordered": a promise, and two more parts that only the checkers know.
void check_fingerprint(const std::string& text, const std::string& where) {
  const std::string promise = text.substr(0, text.find('/'));
  std::vector<std::string> promises;
  promises.reserve(promise_count);
  for (unsigned p = 0; p < promise_count; ++p) {
    promises.emplace_back(to_string(static_cast<Promise>(p)));
  }
  if (std::find(promises.begin(), promises.end(), promise) == promises.end()) {
    throw UsageError(
        fmt::format("{}: '{}' is no promise{}", where, promise, did_you_mean(promise, promises)));
  }
  if (std::count(text.begin(), text.end(), '/') < 2) {
    throw UsageError(where + ": is promise/term/symptom, as a run prints it");
  }
}

std::string beside(const std::string& file, const std::string& path) {
  const std::size_t slash = file.rfind('/');
  return path.starts_with('/') || slash == std::string::npos ? path
                                                             : file.substr(0, slash + 1) + path;
}

KnownFailure read_entry(const toml::table& table, const std::string& file) {
  KnownFailure entry{.where = place(file, table)};
  for (const auto& [key, node] : table) {
    const std::string_view name = key.str();
    const std::string where = fmt::format("{}: {}", place(file, node), name);
    if (std::find(keys.begin(), keys.end(), name) == keys.end()) {
      throw UsageError(where + " is no key of an entry" +
                       did_you_mean(name, {keys.begin(), keys.end()}));
    }
    if (name == "expires") {
      entry.expires = date(node, where);
      continue;
    }
    const std::string text = one_line(node, where);
    if (name == "transport") entry.transport = text;
    if (name == "fingerprint") entry.fingerprint = text;
    if (name == "fingerprint") check_fingerprint(text, where);
    if (name == "reason") entry.reason = text;
    if (name == "link") entry.link = text;
    if (name == "bundle") entry.bundle = beside(file, text);
  }
  const auto demand = [&](const std::string& value, std::string_view name) {
    if (value.empty()) throw UsageError(fmt::format("{}: an entry without {}", entry.where, name));
  };
  demand(entry.fingerprint, "fingerprint");
  demand(entry.reason, "reason");
  demand(entry.expires, "expires");
  return entry;
}

// A slip here would make an entry that is about nothing, and so never missed.
void refuse_unknown_transport(const KnownFailure& entry) {
  const std::string where = entry.where + ": transport";
  if (is_glob(entry.transport)) {
    const auto& all = registrations();
    if (std::any_of(all.begin(), all.end(), [&](const auto& r) { return entry.covers(r.name); })) {
      return;
    }
    throw UsageError(fmt::format("{}: '{}' matches none", where, entry.transport));
  }
  try {
    transport_named(entry.transport);
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("{}: {}", where, error.what()));
  }
}

std::string today_utc() {
  const std::string now = calendar_utc();  // "20261122T213600Z"
  return fmt::format("{}-{}-{}", now.substr(0, 4), now.substr(4, 2), now.substr(6, 2));
}

constexpr const char* default_file = "known.toml";

}  // namespace

bool KnownFailure::covers(std::string_view name) const {
  return ::fnmatch(transport.c_str(), std::string(name).c_str(), 0) == 0;
}

std::vector<KnownFailure> parse_known(std::string_view text, const std::string& file) {
  const toml::table table = read_toml_text(text, file);
  std::vector<KnownFailure> entries;
  std::set<std::pair<std::string, std::string>> listed;
  for (const auto& [key, node] : table) {
    const std::string where = fmt::format("{}: {}", place(file, node), key.str());
    const toml::array* list = node.as_array();
    if (key.str() != "known" || list == nullptr || !list->is_array_of_tables()) {
      throw UsageError(where + ": this file holds entries that begin with [[known]], nothing else");
    }
    if (list->size() > entries_max) throw UsageError(where + ": above 256 entries");
    for (const toml::node& one : *list) {
      KnownFailure entry = read_entry(*one.as_table(), file);
      if (!listed.emplace(entry.transport, entry.fingerprint).second) {
        throw UsageError(fmt::format("{}: a second entry for {} of {}", entry.where,
                                     entry.fingerprint, entry.transport));
      }
      entries.push_back(std::move(entry));
    }
  }
  return entries;
}

std::string known_file(const Settings& settings) {
  if (const auto named = settings.find("known")) return named->text;
  return read_small_file(default_file) ? default_file : "";
}

KnownFailures::KnownFailures(std::vector<KnownFailure> entries,
                             const std::vector<Selected>& transports, std::string today)
    : today_(std::move(today)) {
  for (KnownFailure& entry : entries) {
    const bool asked = std::any_of(transports.begin(), transports.end(), [&](const Selected& one) {
      return entry.covers(one.registration->name);
    });
    if (!asked) refuse_unknown_transport(entry);
    if (asked) entries_.push_back(std::move(entry));
  }
}

const KnownFailure* KnownFailures::find(std::string_view transport,
                                        std::string_view fingerprint) const {
  for (const KnownFailure& entry : entries_) {
    if (entry.fingerprint == fingerprint && entry.covers(transport) && !expired(entry)) {
      return &entry;
    }
  }
  return nullptr;
}

std::vector<std::string> KnownFailures::fingerprints_of(std::string_view transport) const {
  std::set<std::string> prints;
  for (const KnownFailure& entry : entries_) {
    if (entry.covers(transport) && !expired(entry)) prints.insert(entry.fingerprint);
  }
  return {prints.begin(), prints.end()};
}

std::vector<KnownEntryTally> KnownFailures::tallies() const {
  std::vector<KnownEntryTally> tallies;
  for (const KnownFailure& entry : entries_) {
    tallies.push_back({.where = entry.where,
                       .transport = entry.transport,
                       .fingerprint = entry.fingerprint,
                       .reason = entry.reason,
                       .link = entry.link,
                       .expires = entry.expires});
    if (!expired(entry)) continue;
    tallies.back().state = KnownState::expired;
    tallies.back().note = "expired on " + entry.expires;
  }
  return tallies;
}

KnownFailures read_known_failures(const Settings& settings,
                                  const std::vector<Selected>& transports) {
  const std::string file = known_file(settings);
  if (file.empty()) return {};
  const auto text = read_small_file(file);
  if (!text) throw UsageError(file + ": " + std::generic_category().message(ENOENT));
  return {parse_known(*text, file), transports, today_utc()};
}

}  // namespace ipctorture
