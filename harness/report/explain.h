// A failure in words: the broken promise, the events that show it in one column per worker, what
// would have been legal, the fingerprint, and how to do it again. Pure text, ASCII but for what
// findings say.
#pragma once

#include <cstddef>
#include <string>

#include "harness/check/check.h"

namespace ipctorture {

struct ExplainStyle {
  // Cells. 80 hold eight workers side by side, 120 twelve; more get one event per line instead.
  std::size_t width = 100;
  std::size_t events_max = 20;
};

// What one finding says and shows; lines no wider than `style.width` where words allow.
std::string explain_finding(const Finding& finding, const History& history,
                            const ExplainStyle& style);

// The whole page: the scenario in a line, the worst finding, the others that are not a pass in a
// line each, evidence, then `replay` (a command line; empty: left out). For a pass: how often each
// promise could have been broken. Never throws for a witness that does not exist.
std::string explain(const Judgement& judgement, const History& history, const Scenario& scenario,
                    const Contract& contract, const std::string& replay = {},
                    const ExplainStyle& style = {});

// "send 1:17 64 B now -> ok": one record, as in the columns.
std::string describe_record(const Record& record);

}  // namespace ipctorture
