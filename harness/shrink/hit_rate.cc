#include "harness/shrink/hit_rate.h"

#include <algorithm>
#include <cmath>

namespace ipctorture {
namespace {

constexpr double wrong = 0.05;
constexpr double rate_most = 0.95;  // nothing is certain, or one miss would decide
constexpr double attempts_per_hit_max = 30;

}  // namespace

double hit_rate(const Hits& hits) {
  if (hits.hits == 0) return 0;
  if (hits.hits == 1 || hits.attempts == 1) return 1.0 / static_cast<double>(hits.attempts);
  return static_cast<double>(hits.hits - 1) / static_cast<double>(hits.attempts - 1);
}

double rate_worth_having(double rate) {
  const double good = std::min(rate, rate_most);
  return good < 0.5 ? good / 3 : good / 2;
}

SequentialTest::SequentialTest(double rate) {
  const double good = std::clamp(rate, 1e-6, rate_most);
  const double bad = rate_worth_having(good);
  of_hit_ = std::log(good / bad);
  of_miss_ = std::log((1 - good) / (1 - bad));
  attempts_max_ = static_cast<std::uint64_t>(attempts_per_hit_max / good) + 1;
}

std::optional<bool> SequentialTest::after(bool hit) {
  hits_.count(hit);
  evidence_ += hit ? of_hit_ : of_miss_;
  const double enough = std::log((1 - wrong) / wrong);
  if (evidence_ >= enough) return true;
  if (evidence_ <= -enough || hits_.attempts >= attempts_max_) return false;
  return std::nullopt;
}

bool too_few(const Hits& hits, double rate) {
  const double p = rate_worth_having(rate);
  double term = std::pow(1 - p, static_cast<double>(hits.attempts)), sum = term;
  for (std::uint64_t k = 1; k <= hits.hits; ++k) {
    term *= static_cast<double>(hits.attempts - k + 1) / static_cast<double>(k) * p / (1 - p);
    sum += term;
  }
  return sum < wrong;
}

}  // namespace ipctorture
