#include "harness/check/verdict.h"

#include <algorithm>

namespace ipctorture {

std::string fingerprint(const Finding& finding) {
  std::string print(to_string(finding.promise));
  print += "/" + finding.term + "/" + finding.symptom;
  return print;
}

const Finding* Judgement::worst() const {
  const auto it =
      std::max_element(findings.begin(), findings.end(),
                       [](const Finding& a, const Finding& b) { return a.verdict < b.verdict; });
  return it == findings.end() ? nullptr : &*it;
}

Verdict Judgement::verdict() const {
  const Finding* finding = worst();
  return finding == nullptr ? Verdict::pass : finding->verdict;
}

}  // namespace ipctorture
