// How transports are found: each file registers itself from a static initialiser, so a new
// transport is one new file. Link transports as objects, never from a static library: the linker
// would drop them without a word (cmake: ipctorture_add_transport does it right).
//
//   const Registered registered{{.name = "pipe", .summary = "...", .contract = kContract,
//                                .make = make_transport<Pipe>}};
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "harness/transport/mutant.h"
#include "harness/transport/transport.h"

namespace ipctorture {

// Builds this process's own object; `handles` are the descriptors that a worker inherited (empty
// for the creator and for named transports). Throws std::system_error.
using MakeTransport = std::unique_ptr<Transport> (*)(const Options& options,
                                                     std::vector<Descriptor> handles);

enum class Kind : std::uint8_t { shipped, faulty, canary };  // the last two run only when selected

struct Registration {
  std::string_view name;     // [a-z0-9_]+, unique
  std::string_view summary;  // one line for `ipctorture list`
  Contract contract;
  MakeTransport make = nullptr;
  Kind kind = Kind::shipped;
  Mutation mutation = Mutation::none;  // of a mutant, whose other fields are its original's

  // This process's own object: what make() says, with the mutation.
  std::unique_ptr<Transport> build(const Options& options, std::vector<Descriptor> handles) const {
    return mutated(make(options, std::move(handles)), options, mutation, contract);
  }
};

// All registrations, sorted by name. Thread-safe once main has begun.
const std::vector<Registration>& registrations();
// Null when there is none of that name. Mutants ("pipe__lose", mutant.h) are made when first asked
// for, and stay.
const Registration* find_registration(std::string_view name);

struct Registered {
  // Aborts with a message when the name is taken or the contract contradicts itself.
  explicit Registered(const Registration& registration);
};

// For classes with a constructor (const Options&, std::vector<Descriptor>).
template <typename T>
std::unique_ptr<Transport> make_transport(const Options& options, std::vector<Descriptor> handles) {
  return std::make_unique<T>(options, std::move(handles));
}

}  // namespace ipctorture
