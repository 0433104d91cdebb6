#include "stress/bench/figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace ipctorture {
namespace {

std::string amount(double value, const std::string& unit) {
  return unit == "/s" ? human_count(value) + unit : fmt::format("{:.2f} {}", value, unit);
}

}  // namespace

double median(std::vector<double> samples) {
  if (samples.empty()) throw std::invalid_argument("the median of nothing");
  const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
  std::nth_element(samples.begin(), middle, samples.end());
  return *middle;
}

std::string figure_table(const std::vector<Figure>& figures, const SummaryStyle& style) {
  Table table({{.title = "figure", .importance = 9},
               {.title = "asked", .align = Align::right, .importance = 7},
               {.title = "measured", .align = Align::right, .importance = 8},
               {.title = "", .importance = 6},
               {.title = "from", .importance = 1}});
  for (const Figure& figure : figures) {
    const char* sign = figure.asked == Asked::at_least ? ">=" : "<=";
    table.add({figure.name, fmt::format("{} {}", sign, amount(figure.bound, figure.unit)),
               amount(figure.measured, figure.unit), figure.met() ? "met" : "MISSED",
               figure.detail});
  }
  return table.text(style.width);
}

std::string figure_json(const Figure& figure) {
  const nlohmann::ordered_json json = {
      {"schema", "ipctorture-bench/1"},
      {"event", "figure"},
      {"name", figure.name},
      {"unit", figure.unit},
      {figure.asked == Asked::at_least ? "at_least" : "at_most", figure.bound},
      {"measured", figure.measured},
      {"met", figure.met()},
      {"detail", figure.detail}};
  return json.dump() + "\n";
}

}  // namespace ipctorture
