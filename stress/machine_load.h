// How much of the machine others used while a campaign ran: on a loaded machine more scenarios may
// be inconclusive, and the report says so.
#pragma once

#include <cstdint>
#include <optional>

namespace ipctorture {

// Clock ticks since boot: of the whole machine, and of this process group with what it reaped.
struct CpuUse {
  std::uint64_t all = 0;   // busy or idle, all cores
  std::uint64_t busy = 0;  // stolen time included
  std::uint64_t own = 0;
};
// Nothing where /proc cannot be read.
std::optional<CpuUse> cpu_use();

// Per mille of the machine that was busy with something else between the two.
unsigned others_permille(const CpuUse& before, const CpuUse& after);

inline constexpr unsigned loaded_permille = 250;

}  // namespace ipctorture
