#include "stress/bench/history_plot.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

namespace ipctorture {
namespace {

constexpr double left = 80, right = 520, top = 50, bottom = 350;
constexpr double shortest = 1e4, longest = 1e7;   // operations
constexpr double quickest = 1e-5, slowest = 1e1;  // seconds

double x_of(double operations) {
  return left + (right - left) * std::log10(operations / shortest) / std::log10(longest / shortest);
}
double y_of(double seconds) {
  return bottom - (bottom - top) * std::log10(seconds / quickest) / std::log10(slowest / quickest);
}

std::string polyline(const std::vector<Curve::Point>& points, std::string_view style) {
  std::string text = "<polyline fill=\"none\" " + std::string(style) + " points=\"";
  for (const auto& [operations, seconds] : points) {
    text += fmt::format("{:.1f},{:.1f} ", x_of(operations), y_of(seconds));
  }
  return text + "\"/>\n";
}

std::string label(double x, double y, std::string_view anchor, std::string_view text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor,
                     text);
}

std::string grid() {
  std::string text;
  for (int power = 4; power <= 7; ++power) {
    const double x = x_of(std::pow(10, power));
    text += fmt::format("<path stroke=\"#ccc\" d=\"M{:.1f} {}V{}\"/>\n", x, top, bottom);
    text += label(x, bottom + 18, "middle", fmt::format("10^{}", power));
  }
  constexpr std::array<const char*, 7> names{"10 µs", "0.1 ms", "1 ms", "10 ms",
                                             "0.1 s", "1 s",    "10 s"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    const double y = y_of(quickest * std::pow(10, static_cast<double>(i)));
    text += fmt::format("<path stroke=\"#ccc\" d=\"M{} {:.1f}H{}\"/>\n", left, y, right);
    text += label(left - 8, y + 4, "end", names[i]);
  }
  return text + label((left + right) / 2, bottom + 38, "middle", "operations");
}

}  // namespace

std::string plot_svg(const std::string& title, const std::vector<Curve>& curves) {
  constexpr std::array<const char*, 6> colours{"#1f77b4", "#d62728", "#2ca02c",
                                               "#9467bd", "#ff7f0e", "#8c564b"};
  std::string text =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"400\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"760\" height=\"400\" fill=\"white\"/>\n";
  text += label(left, 28, "start", title) + grid();
  double y = top + 10;
  const auto legend = [&](const std::string& style, const std::string& name) {
    text += fmt::format("<path {} d=\"M{} {:.1f}h24\"/>\n", style, right + 14, y - 4);
    text += label(right + 44, y, "start", name);
    y += 20;
  };
  for (std::size_t i = 0; i < curves.size(); ++i) {
    const std::string style =
        fmt::format("stroke=\"{}\" stroke-width=\"2\"", colours[i % colours.size()]);
    text += polyline(curves[i].points, style);
    for (const auto& [operations, seconds] : curves[i].points) {
      text += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>\n",
                          x_of(operations), y_of(seconds), colours[i % colours.size()]);
    }
    legend(style, curves[i].name);
  }
  if (!curves.empty() && !curves[0].points.empty()) {
    const auto [first, seconds] = curves[0].points.front();
    std::vector<Curve::Point> line;
    for (double n = first; n <= longest * 1.001; n *= 10) {
      line.push_back({n, seconds * (n * std::log(n)) / (first * std::log(first))});
    }
    const std::string style = "stroke=\"#555\" stroke-dasharray=\"4 4\"";
    text += polyline(line, style);
    legend(style, "n log n");
  }
  return text + "</svg>\n";
}

}  // namespace ipctorture
