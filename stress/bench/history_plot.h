// A picture of measured times over lengths, both scales logarithmic, beside n log n.
#pragma once

#include <string>
#include <vector>

namespace ipctorture {

struct Curve {
  struct Point {
    double operations, seconds;
  };
  std::string name;
  std::vector<Point> points;  // by operations
};

// The first curve also gives where the line of n log n begins. SVG, readable on light and dark.
std::string plot_svg(const std::string& title, const std::vector<Curve>& curves);

}  // namespace ipctorture
