// TOML that a person wrote, for known.toml and ipctorture.toml.
#pragma once

#include <toml++/toml.h>

#include <string>
#include <string_view>

namespace ipctorture {

// Throws UsageError: "known.toml:3: what is wrong".
toml::table read_toml_text(std::string_view text, const std::string& file);

}  // namespace ipctorture
