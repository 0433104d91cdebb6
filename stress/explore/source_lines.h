// From addresses in the transport's shared object to places in its source, by
// addr2line(1) of binutils; nothing where that is not installed or the object has no debug
// information.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace ipctorture {

// "spsc_slots.h:141", for the innermost frame that is not of the standard library.
std::map<const void*, std::string> source_lines(const std::vector<const void*>& addresses);

}  // namespace ipctorture
