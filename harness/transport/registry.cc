#include "harness/transport/registry.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <mutex>
#include <string>

namespace ipctorture {
namespace {

std::vector<Registration>& all() {
  static std::vector<Registration> registrations;
  return registrations;
}

[[noreturn]] void reject(std::string_view name, std::string_view why) {
  std::fprintf(stderr, "ipctorture: transport %.*s cannot be registered: %.*s\n",
               static_cast<int>(name.size()), name.data(), static_cast<int>(why.size()),
               why.data());
  std::abort();
}

struct Mutant {
  std::string name;
  Registration registration;
};

const Registration* find_mutant(std::string_view name) {
  static std::mutex mutex;
  static std::list<Mutant> mutants;
  const MutantName parsed = parse_mutant(name);
  if (parsed.mutation == Mutation::none) return nullptr;
  const auto original = std::find_if(all().begin(), all().end(), [&](const Registration& r) {
    return r.name == parsed.transport;
  });
  if (original == all().end()) return nullptr;
  const std::lock_guard lock(mutex);
  for (const Mutant& mutant : mutants) {
    if (mutant.name == name) return &mutant.registration;
  }
  Mutant& made = mutants.emplace_back(std::string(name), *original);
  made.registration.name = made.name;
  made.registration.mutation = parsed.mutation;
  return &made.registration;
}

bool valid_name(std::string_view name) {
  return !name.empty() && name.size() <= 40 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

const std::vector<Registration>& registrations() { return all(); }

const Registration* find_registration(std::string_view name) {
  const auto found = std::find_if(all().begin(), all().end(),
                                  [&](const Registration& r) { return r.name == name; });
  return found == all().end() ? find_mutant(name) : &*found;
}

Registered::Registered(const Registration& registration) {
  if (!valid_name(registration.name)) reject(registration.name, "the name must be [a-z0-9_]{1,40}");
  if (find_registration(registration.name) != nullptr) {
    reject(registration.name, "the name is taken");
  }
  if (registration.make == nullptr) reject(registration.name, "it has no .make");
  const auto faults = contract_faults(registration.contract);
  if (!faults.empty()) reject(registration.name, faults.front());
  auto position = std::upper_bound(
      all().begin(), all().end(), registration,
      [](const Registration& a, const Registration& b) { return a.name < b.name; });
  all().insert(position, registration);
}

}  // namespace ipctorture
