// The machine and the build that a failure was seen on, as named texts: enough to say, at a replay,
// what is different here.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace ipctorture {

using Environment = std::map<std::string, std::string>;

// Of this process, now. Never throws for what cannot be found out: that key is missing.
Environment this_environment();

// "cores: 64 then, 2 here", one line per difference.
std::vector<std::string> environment_differences(const Environment& then, const Environment& here);

}  // namespace ipctorture
