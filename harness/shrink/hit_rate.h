// How often does a racy failure come back, and is a scenario good enough at showing it? Pure
// arithmetic over the attempts that somebody else makes.
#pragma once

#include <cstdint>
#include <optional>

namespace ipctorture {

struct Hits {
  std::uint64_t hits = 0, attempts = 0;
  void count(bool hit) { ++attempts, hits += hit ? 1 : 0; }
};

// Measured until `hits_enough` hits: such a count divided by its attempts is too high, since it
// ends with a hit; (hits - 1) / (attempts - 1) is right on the average. In [0, 1]; 0 without hits.
double hit_rate(const Hits& hits);

// A hit rate that is still worth having, where the failure had `rate` before it was made smaller: a
// third, of a frequent one half (to tell more from less takes many attempts where hits are rare).
double rate_worth_having(double rate);

// Wald's sequential test, "Sequential tests of statistical hypotheses" (1945), between a candidate
// as good as `rate` and one no better than rate_worth_having(rate), wrong one time in twenty. It
// takes few attempts where the answer is plain: of a failure that always comes back five hits, or
// two misses. A candidate that it could not decide in many attempts is not worth it.
class SequentialTest {
 public:
  explicit SequentialTest(double rate);  // above 0
  // Nothing: one more attempt, please.
  std::optional<bool> after(bool hit);
  const Hits& hits() const { return hits_; }

 private:
  double of_hit_, of_miss_, evidence_ = 0;
  std::uint64_t attempts_max_;
  Hits hits_;
};

// So few hits that a rate of at least rate_worth_having(rate) is out of the question (below one in
// twenty).
bool too_few(const Hits& hits, double rate);

}  // namespace ipctorture
