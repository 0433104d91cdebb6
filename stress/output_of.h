// Another program's standard output: no shell in between, its standard error thrown away.
//
// It starts with no signal blocked, is found by PATH when the first word has no slash, and is told
// to end (SIGTERM) when the calling thread ends, or by SIGINT when `stop` is set meanwhile; it is
// waited for all the same. It leads a process group of its own, so a terminal's ^C does not reach
// it.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ipctorture {

// Empty when it cannot be started; at most 4 MiB.
std::string output_of(const std::vector<std::string>& command,
                      const std::atomic<bool>* stop = nullptr);
// Of our own, IPCTORTURE_..., which stand for flags.
enum class Variables : std::uint8_t { inherited, none_of_ours };

// Line by line, as they come, without their ends; lines above 1 MiB are left out.
void for_each_line(const std::vector<std::string>& command,
                   const std::function<void(std::string_view)>& hear,
                   const std::atomic<bool>* stop = nullptr,
                   Variables variables = Variables::inherited);

}  // namespace ipctorture
