// How a fuzz target says that what it watches over does not hold: in words, then SIGABRT, which
// libFuzzer and fuzz/replay_inputs.cc take for a find.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace ipctorture {

// `text`: what it happened with; may be empty.
[[noreturn]] inline void broken(std::string_view what, std::string_view text = {}) {
  std::fprintf(stderr, "%.*s\n%.*s\n", static_cast<int>(what.size()), what.data(),
               static_cast<int>(text.size()), text.data());
  std::abort();
}

// Who refuses must say why.
inline void must_say_why(std::string_view reason) {
  if (reason.empty()) broken("refused without a reason");
}

}  // namespace ipctorture
