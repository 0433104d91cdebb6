// TOML that a person wrote, for known.toml and ipctorture.toml. The one file that includes toml++.
#pragma once

#include <cassert>
#include <stdexcept>
#include <string>
#include <string_view>

namespace ipctorture {

// toml++ 3.3 takes some texts for impossible: assertions there, and undefined behaviour without
// assertions. Here, with both, it throws this instead; read_toml_text turns it into a UsageError.
struct TomlTakenForGranted : std::logic_error {
  using std::logic_error::logic_error;
};
[[noreturn]] void throw_taken_for_granted(const char* fact);

}  // namespace ipctorture

#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(fact) \
  (static_cast<bool>(fact) ? void() : ::ipctorture::throw_taken_for_granted(#fact))
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

namespace ipctorture {

// Throws UsageError: "known.toml:3: what is wrong".
toml::table read_toml_text(std::string_view text, const std::string& file);

}  // namespace ipctorture
