// libFuzzer: the reader of known.toml (stress/known_failures.h).
//
// It must answer with entries or with UsageError that begins with the file's name; what it accepts
// is complete, and each entry, written by itself, must read the same. Run: ci/fuzz known_reader
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz/broken.h"
#include "stress/known_failures.h"

namespace ipctorture {
namespace {

constexpr const char* file = "known.toml";

// A basic string of TOML.
std::string quoted(std::string_view text) {
  constexpr const char* digits = "0123456789ABCDEF";
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result += {'\\', c};
    } else if (byte == 0x7f || byte < ' ') {
      result += std::string("\\u00") + digits[byte >> 4] + digits[byte & 15];
    } else {
      result += c;
    }
  }
  return result + "\"";
}

std::string written(const KnownFailure& entry) {
  std::string text = "[[known]]\ntransport = " + quoted(entry.transport) +
                     "\nfingerprint = " + quoted(entry.fingerprint) +
                     "\nreason = " + quoted(entry.reason) + "\nexpires = " + entry.expires + "\n";
  if (!entry.link.empty()) text += "link = " + quoted(entry.link) + "\n";
  if (!entry.bundle.empty()) text += "bundle = " + quoted(entry.bundle) + "\n";
  return text;
}

void read_write_read(std::string_view text) {
  for (const KnownFailure& entry : parse_known(text, file)) {
    if (!entry.where.starts_with("known.toml:")) broken("an entry without its place", entry.where);
    (void)entry.covers("pipe");
    const std::string again_text = written(entry);
    std::vector<KnownFailure> again;
    try {
      again = parse_known(again_text, file);
    } catch (const UsageError& refused) {
      broken(refused.what(), again_text);
    }
    const bool same = again.size() == 1 && again[0].transport == entry.transport &&
                      again[0].fingerprint == entry.fingerprint &&
                      again[0].reason == entry.reason && again[0].expires == entry.expires &&
                      again[0].link == entry.link && again[0].bundle == entry.bundle;
    if (!same) broken("another entry when written and read", again_text);
  }
}

}  // namespace
}  // namespace ipctorture

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    ipctorture::read_write_read({reinterpret_cast<const char*>(data), size});
  } catch (const ipctorture::UsageError& refused) {
    if (!std::string_view(refused.what()).starts_with("known.toml:")) {
      ipctorture::broken("an error without its place", refused.what());
    }
  }
  return 0;
}
