#include "harness/scenario/fuzz_input_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace ipctorture {
namespace {

constexpr std::string_view magic = "ICTF";
constexpr std::size_t version_at = 4, kind_at = 5, own_at = 6, name_at = 16, name_bytes = 48;
static_assert(own_at + sizeof FuzzInputHeader::own == name_at);
static_assert(name_at + name_bytes == fuzz_input_header_bytes);

[[noreturn]] void refuse(const std::string& why) {
  throw std::invalid_argument("fuzz input: " + why);
}

}  // namespace

FuzzInputHeader read_fuzz_input_header(std::span<const std::byte> bytes,
                                       const FuzzInputKind& kind) {
  if (bytes.size() < fuzz_input_header_bytes) refuse("shorter than its header");
  if (std::memcmp(bytes.data(), magic.data(), magic.size()) != 0)
    refuse("does not begin with ICTF");
  if (std::to_integer<char>(bytes[kind_at]) != kind.letter)
    refuse(fmt::format("is no {}", kind.name));
  const auto version = std::to_integer<unsigned>(bytes[version_at]);
  if (version != kind.version) {
    refuse(fmt::format("version {}, this program reads {}", version, kind.version));
  }
  FuzzInputHeader header;
  std::memcpy(header.own.data(), bytes.data() + own_at, header.own.size());
  const auto* name = reinterpret_cast<const char*>(bytes.data() + name_at);
  header.transport.assign(name, ::strnlen(name, name_bytes - 1));
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789_";
  const bool is_name = header.transport.find_first_not_of(letters) == std::string::npos;
  if (header.transport.empty() || !is_name) refuse("names no transport");
  return header;
}

char fuzz_input_letter(std::span<const std::byte> bytes) {
  const bool is_input = bytes.size() >= fuzz_input_header_bytes &&
                        std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
  return is_input ? std::to_integer<char>(bytes[kind_at]) : '\0';
}

std::vector<std::byte> write_fuzz_input_header(const FuzzInputHeader& header,
                                               const FuzzInputKind& kind) {
  std::vector<std::byte> bytes(fuzz_input_header_bytes);
  std::memcpy(bytes.data(), magic.data(), magic.size());
  bytes[version_at] = std::byte{kind.version};
  bytes[kind_at] = static_cast<std::byte>(kind.letter);
  std::memcpy(bytes.data() + own_at, header.own.data(), header.own.size());
  std::memcpy(bytes.data() + name_at, header.transport.data(),
              std::min(header.transport.size(), name_bytes - 1));
  return bytes;
}

}  // namespace ipctorture
