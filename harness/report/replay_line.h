// The line that a person copies into a shell to see a failure again.
#pragma once

#include <string>
#include <string_view>

namespace ipctorture {

// "PROGRAM replay BUNDLE", each quoted where a POSIX shell would take it apart.
std::string replay_line(std::string_view program, std::string_view bundle);

// For a case that has no bundle: "PROGRAM run FLAGS", FLAGS being words that need no quotes
// ("pipe --seed g1:c0ffee --case 17").
std::string rerun_line(std::string_view program, std::string_view flags);

// One word, quoted where a POSIX shell would take it apart.
std::string shell_word(std::string_view text);

}  // namespace ipctorture
