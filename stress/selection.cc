#include "stress/selection.h"

#include <fnmatch.h>

#include <algorithm>
#include <map>

#include "stress/nearest.h"
#include "stress/settings.h"

namespace ipctorture {
namespace {

bool matches(const std::string& pattern, const Registration& registration) {
  return ::fnmatch(pattern.c_str(), std::string(registration.name).c_str(), 0) == 0;
}

const Registration& named(const std::string& name, const std::vector<Registration>& all) {
  for (const Registration& registration : all) {
    if (registration.name == name) return registration;
  }
  if (const Registration* mutant = find_registration(name)) return *mutant;
  std::vector<std::string> known;
  known.reserve(all.size());
  for (const Registration& registration : all) known.emplace_back(registration.name);
  const std::string guess = did_you_mean(name, known);
  throw UsageError("unknown transport '" + name + "'" +
                   (guess.empty() ? "; `ipctorture list` shows all" : guess));
}

}  // namespace

const Registration& transport_named(std::string_view name) {
  return named(std::string(name), registrations());
}

bool is_glob(std::string_view name) { return name.find_first_of("*?[") != std::string_view::npos; }

std::vector<Selected> select_transports(const SelectionRequest& request,
                                        const std::vector<Registration>& all) {
  const auto ordinary = [&](const Registration& registration) {
    return registration.kind == Kind::shipped || std::find(request.also.begin(), request.also.end(),
                                                           registration.kind) != request.also.end();
  };
  std::map<const Registration*, AskedFor> chosen;
  const auto add_glob = [&](const std::string& pattern, auto eligible) {
    bool any = false;
    for (const Registration& registration : all) {
      if (!eligible(registration) || !matches(pattern, registration)) continue;
      chosen.emplace(&registration, AskedFor::with_others);
      any = true;
    }
    return any;
  };
  if (request.names.empty()) add_glob("*", ordinary);
  for (const std::string& name : request.names) {
    if (!is_glob(name)) {
      chosen[&named(name, all)] = AskedFor::by_name;
    } else if (!add_glob(name, ordinary)) {
      add_glob(name, [](const Registration&) { return true; });
    }
  }
  for (const std::string& name : request.exclude) {
    if (!is_glob(name)) named(name, all);  // a slip in an exclusion must not go unseen
    std::erase_if(chosen, [&](const auto& entry) { return matches(name, *entry.first); });
  }
  std::vector<Selected> selected;
  for (const Registration& registration : all) {
    const auto found = chosen.find(&registration);
    if (found != chosen.end()) selected.push_back({found->first, found->second});
  }
  for (const auto& [registration, asked] : chosen) {
    if (registration->mutation != Mutation::none) selected.push_back({registration, asked});
  }
  return selected;
}

}  // namespace ipctorture
