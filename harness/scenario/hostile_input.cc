#include "harness/scenario/hostile_input.h"

#include <algorithm>

#include "harness/scenario/fuzz_input_header.h"

namespace ipctorture {
namespace {

constexpr FuzzInputKind kind{.letter = hostile_input_letter,
                             .version = hostile_input_version,
                             .name = "list of a hostile peer's acts"};

}  // namespace

std::string_view to_string(HostileAct act) {
  constexpr std::string_view words[hostile_act_count] = {"write", "repeat", "valid",   "pass",
                                                         "read",  "shut",   "connect", "listen",
                                                         "leave", "name",   "honest"};
  return words[static_cast<unsigned>(act)];
}

HostileInput hostile_input_from_bytes(std::span<const std::byte> bytes) {
  const FuzzInputHeader header = read_fuzz_input_header(bytes, kind);
  HostileInput input{.transport = header.transport, .flags = header.own[0], .actions = {}};
  auto rest = bytes.subspan(fuzz_input_header_bytes);
  while (rest.size() >= hostile_record_header_bytes && input.actions.size() < hostile_acts_max) {
    const auto at = [&](unsigned n) { return std::to_integer<unsigned>(rest[n]); };
    HostileAction action{.act = static_cast<HostileAct>(at(0) % hostile_act_count),
                         .which = static_cast<std::uint8_t>(at(1)),
                         .bytes = {}};
    const std::size_t size = at(2) + at(3) * 256;
    rest = rest.subspan(hostile_record_header_bytes);
    const auto content = rest.first(std::min(size, rest.size()));
    action.bytes.assign(content.begin(), content.end());
    rest = rest.subspan(content.size());
    input.actions.push_back(std::move(action));
  }
  return input;
}

std::vector<std::byte> to_bytes(const HostileInput& input) {
  FuzzInputHeader header{.transport = input.transport};
  header.own[0] = input.flags;
  std::vector<std::byte> bytes = write_fuzz_input_header(header, kind);
  for (const HostileAction& action : input.actions) {
    const std::size_t size = std::min<std::size_t>(action.bytes.size(), UINT16_MAX);
    bytes.push_back(static_cast<std::byte>(action.act));
    bytes.push_back(std::byte{action.which});
    bytes.push_back(static_cast<std::byte>(size % 256));
    bytes.push_back(static_cast<std::byte>(size / 256));
    bytes.insert(bytes.end(), action.bytes.begin(),
                 action.bytes.begin() + static_cast<std::ptrdiff_t>(size));
  }
  return bytes;
}

}  // namespace ipctorture
