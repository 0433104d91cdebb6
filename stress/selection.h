// Which transports a command is about: names and globs, and what is excluded.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "harness/transport/registry.h"
#include "stress/exit_code.h"

namespace ipctorture {

struct Selected {
  const Registration* registration = nullptr;
  AskedFor asked = AskedFor::with_others;  // by_name: literally
};

struct SelectionRequest {
  std::vector<std::string> names;    // names and globs (* ? [..]); empty: all shipped
  std::vector<std::string> exclude;  // likewise
  std::vector<Kind> also;            // kinds that no name and globs mean beside the shipped ones
};

// In the order of the registry, each once. A glob means shipped transports (and `also`); one that
// matches none of these means faulty ones and canaries, which otherwise must be named. Throws
// UsageError for a name that does not exist, with the nearest. An empty result is no error here.
std::vector<Selected> select_transports(const SelectionRequest& request,
                                        const std::vector<Registration>& all);

// The registration of exactly this name; throws UsageError with the nearest one.
const Registration& transport_named(std::string_view name);

bool is_glob(std::string_view name);

}  // namespace ipctorture
