#include "harness/scenario/options.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>

#include "harness/base/descriptor.h"

namespace ipctorture {
namespace {

constexpr std::uint32_t identified_bytes = 8;  // marks are at least so long

std::uint64_t random_token() {
  std::uint64_t token = 0;
  while (::getrandom(&token, sizeof token, 0) != static_cast<ssize_t>(sizeof token)) {
    if (errno != EINTR) throw_system_error("getrandom", "");
  }
  return token;
}

std::string hex(std::uint64_t value) {
  std::string text(16, '0');
  for (auto digit = text.rbegin(); digit != text.rend(); ++digit, value >>= 4) {
    *digit = "0123456789abcdef"[value & 15];
  }
  return text;
}

}  // namespace

Options make_options(const Scenario& scenario, const Contract& contract, unsigned channel,
                     const std::string& directory) {
  Options o;
  o.token = random_token();
  o.name = "ipct-" + hex(o.token);
  o.token = random_token();  // the name is visible to others, the token is not
  o.directory = directory;
  // On the reply channel the servers produce.
  o.producers = scenario.identities(channel == 0 ? Role::producer : Role::consumer);
  o.consumers = scenario.identities(channel == 0 ? Role::consumer : Role::producer);
  o.capacity = scenario.capacity;
  o.message_max =
      std::min(std::max(scenario.largest_message(), identified_bytes), contract.message_max);
  o.counter_start = scenario.counter_start;
  return o;
}

}  // namespace ipctorture
