// `ipctorture recheck FILE... --contract NAME`: judges a plain history, of any program, and
// `ipctorture list --contracts`: to what one can be held.
#include <fmt/format.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "harness/linear/contract.h"
#include "harness/linear/text.h"
#include "harness/report/json_lines.h"
#include "harness/report/presentable.h"
#include "stress/bench/history_bench.h"
#include "stress/nearest.h"
#include "stress/terminal.h"
#include "stress/verbs.h"

namespace ipctorture {
namespace {

constexpr std::size_t witness_lines_max = 40;
constexpr std::size_t words_bytes_max = 4000;

bool is_file(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && !S_ISDIR(status.st_mode);
}

linear::Contract contract_of(const std::string& name) {
  if (const auto contract = linear::contract_named(name)) return *contract;
  std::string known;
  for (const linear::Contract contract : linear::all_contracts) {
    known += fmt::format("{}{}", known.empty() ? "" : ", ", to_string(contract));
  }
  throw UsageError(fmt::format("--contract: '{}' is none of {}", name, known));
}

// A file was forgotten, or nothing happened: nothing to judge.
std::string one_sided(const linear::History& history) {
  bool sends = false, receives = false;
  for (linear::Index i = 0; i < history.size(); ++i) {
    (history.kind[i] == linear::Kind::send ? sends : receives) = true;
  }
  if (!sends && !receives) return "the history is empty";
  if (!sends) return "nothing is sent in this history";
  if (!receives) return "nothing is received in this history";
  return "";
}

struct Result {
  linear::Contract contract;
  std::uint64_t capacity;
  linear::Answer answer;
  std::string words;
  Verdict verdict;
};

Result judged(const linear::Recorded& recorded, linear::Contract contract, std::uint64_t capacity) {
  Result result{contract, capacity, {}, one_sided(recorded.history), Verdict::inconclusive};
  if (!result.words.empty()) return result;
  result.answer = judge(recorded.history, contract, capacity);
  result.words =
      presentable(in_words(result.answer, recorded.history, recorded.names), words_bytes_max);
  if (result.answer.truth == linear::Truth::linearizable) result.verdict = Verdict::pass;
  if (result.answer.truth == linear::Truth::violation) result.verdict = Verdict::violation;
  if (result.verdict == Verdict::pass && !result.answer.exact) {
    result.words = "no violation found; not every one can be found here, see list --contracts";
  }
  return result;
}

std::string_view word_of(linear::Outcome outcome) {
  constexpr std::string_view words[] = {"ok",      "full", "empty",  "closed",
                                        "timeout", "fail", "unknown"};
  return words[static_cast<std::size_t>(outcome)];
}

std::string operation_line(const linear::Recorded& recorded, linear::Index index) {
  const linear::Operation operation = recorded.history.operation(index);
  const bool valued = operation.value != linear::no_value;
  const std::string returned = recorded.place(operation.returned);
  return presentable(
             fmt::format(
                 "  process {}: {}{}{}, {} ({}{}{})", recorded.names.process(operation.process),
                 operation.kind == linear::Kind::send ? "send" : "receive", valued ? " " : "",
                 valued ? recorded.names.value(operation.value) : "", word_of(operation.outcome),
                 recorded.place(operation.invoked), returned.empty() ? "" : " to ", returned),
             words_bytes_max) +
         "\n";
}

std::string as_text(const linear::Recorded& recorded, const Result& result) {
  std::string text =
      fmt::format("{}: {}{}{}\n", to_string(result.contract), to_string(result.verdict),
                  result.words.empty() ? "" : ": ", result.words);
  const auto& witness = result.answer.operations;
  for (std::size_t i = 0; i < std::min(witness.size(), witness_lines_max); ++i) {
    text += operation_line(recorded, witness[i]);
  }
  if (witness.size() > witness_lines_max) {
    text += fmt::format("  and {} operations more; --json lists them\n",
                        witness.size() - witness_lines_max);
  }
  return text;
}

std::string as_json(const linear::Recorded& recorded, const Result& result, ExitCode code) {
  nlohmann::ordered_json json = {
      {"schema", "ipctorture-recheck-history/1"}, {"contract", to_string(result.contract)},
      {"verdict", json_word(result.verdict)},     {"exact", result.answer.exact},
      {"exit_code", static_cast<int>(code)},      {"operations", recorded.history.size()},
      {"values", recorded.history.values}};
  if (result.capacity != 0) json["capacity"] = result.capacity;
  if (!result.words.empty()) json["what"] = result.words;
  if (result.verdict == Verdict::violation) json["witness"] = nlohmann::ordered_json::array();
  for (const linear::Index index : result.answer.operations) {
    const linear::Operation operation = recorded.history.operation(index);
    nlohmann::ordered_json one = {
        {"process", recorded.names.process(operation.process)},
        {"operation", operation.kind == linear::Kind::send ? "send" : "receive"},
        {"outcome", word_of(operation.outcome)},
        {"invoked", recorded.place(operation.invoked)}};
    if (operation.value != linear::no_value) one["value"] = recorded.names.value(operation.value);
    const std::string returned = recorded.place(operation.returned);
    if (!returned.empty()) one["returned"] = returned;
    json["witness"].push_back(std::move(one));
  }
  return json_line(json);
}

}  // namespace

ExitCode recheck(const Settings& settings, const RecheckRequest& request) {
  if (request.bench) {
    if (!request.paths.empty()) throw UsageError("--bench takes no history");
    return bench_histories(settings, request.plot);
  }
  if (request.paths.empty())
    throw UsageError("recheck: a path is missing: a bundle, or the files of a history");
  if (request.contract.empty()) {
    if (request.paths.size() > 1 || is_file(request.paths[0])) {
      throw UsageError(request.paths[0] +
                       ": a history is held to a contract: give --contract NAME "
                       "(`ipctorture list --contracts` shows them)");
    }
    return recheck_bundle(settings, request.paths[0], request.export_file);
  }
  if (!request.export_file.empty()) throw UsageError("--export is for a bundle");
  const linear::Contract contract = contract_of(request.contract);
  linear::Recorded recorded;
  try {
    recorded = linear::read_history(request.paths, contract == linear::Contract::latest
                                                       ? linear::Values::may_repeat
                                                       : linear::Values::sent_once);
  } catch (const linear::BadHistory& error) {
    throw UsageError(error.what());
  }
  const Result result = judged(recorded, contract, request.capacity);
  const ExitCode code = exit_code_of(result.verdict, AskedFor::by_name);
  print_result(settings.on("json") ? as_json(recorded, result, code) : as_text(recorded, result));
  return code;
}

ExitCode list_contracts(const Settings& settings) {
  for (const linear::Contract contract : linear::all_contracts) {
    if (settings.on("json")) {
      print_result(json_line({{"schema", "ipctorture-list-contracts/1"},
                              {"contract", to_string(contract)},
                              {"explanation", explanation_of(contract)}}));
      continue;
    }
    print_result(fmt::format("{}{}\n{}\n", contract == linear::all_contracts[0] ? "" : "\n",
                             to_string(contract), explanation_of(contract)));
  }
  return ExitCode::pass;
}

}  // namespace ipctorture
