#include "fuzz/hostile_peer_input.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace ipctorture {
namespace {

constexpr char magic[4] = {'I', 'C', 'T', 'F'};
constexpr std::uint8_t kind = 'H';
constexpr std::size_t version_at = 4, kind_at = 5, flags_at = 6, name_at = 16, name_bytes = 48;
static_assert(name_at + name_bytes == hostile_input_header_bytes);

}  // namespace

HostileInput hostile_input_from_bytes(std::span<const std::byte> bytes) {
  const auto refuse = [](const std::string& why) {
    throw std::invalid_argument("fuzz input: " + why);
  };
  if (bytes.size() < hostile_input_header_bytes) refuse("shorter than its header");
  if (std::memcmp(bytes.data(), magic, sizeof magic) != 0) refuse("does not begin with ICTF");
  if (bytes[version_at] != std::byte{hostile_input_version}) {
    refuse("version " + std::to_string(std::to_integer<unsigned>(bytes[version_at])) +
           ", this program reads " + std::to_string(hostile_input_version));
  }
  if (bytes[kind_at] != std::byte{kind}) refuse("is not about a hostile peer");
  HostileInput input;
  input.flags = std::to_integer<std::uint8_t>(bytes[flags_at]);
  const auto* name = reinterpret_cast<const char*>(bytes.data() + name_at);
  input.transport.assign(name, ::strnlen(name, name_bytes - 1));
  auto rest = bytes.subspan(hostile_input_header_bytes);
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
  std::vector<std::byte> bytes(hostile_input_header_bytes);
  std::memcpy(bytes.data(), magic, sizeof magic);
  bytes[version_at] = std::byte{hostile_input_version};
  bytes[kind_at] = std::byte{kind};
  bytes[flags_at] = std::byte{input.flags};
  std::memcpy(bytes.data() + name_at, input.transport.data(),
              std::min(input.transport.size(), name_bytes - 1));
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
