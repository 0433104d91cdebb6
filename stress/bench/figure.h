// One measured number beside the one that was asked for, and what a benchmark prints of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/report/summary.h"

namespace ipctorture {

enum class Asked : std::uint8_t { at_least, at_most };

struct Figure {
  std::string name;  // "pipe, 64 B: of a bare loop"
  std::string unit;  // "x", "/s", "ms", "s", "MB"
  Asked asked = Asked::at_least;
  double bound = 0;
  double measured = 0;  // the median
  std::string detail;   // what it was computed from
  bool met() const { return asked == Asked::at_least ? measured >= bound : measured <= bound; }
};

// Of an odd number of samples the middle one; throws std::invalid_argument for none.
double median(std::vector<double> samples);

std::string figure_table(const std::vector<Figure>& figures, const SummaryStyle& style);
std::string figure_json(const Figure& figure);  // one line

}  // namespace ipctorture
