#include "stress/recheck_flags.h"

namespace ipctorture {

void add_recheck_flags(CLI::App& verb, RecheckRequest& request) {
  verb.add_option("path", request.paths, "a bundle, or the files of one plain history")
      ->type_name("FILE...");
  const char* const group = "Plain histories";
  verb.add_option("--contract", request.contract,
                  "what to hold it to; `ipctorture list --contracts`")
      ->type_name("NAME")
      ->group(group);
  verb.add_option("--capacity", request.capacity, "how many values the queue holds [unbounded]")
      ->type_name("N")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 32))
      ->group(group);
  verb.add_flag("--bench", request.bench, "how fast histories are judged and read; takes a minute")
      ->group(group);
  verb.add_option("--plot", request.plot, "of --bench: a picture of times over lengths")
      ->type_name("FILE.svg")
      ->group(group);
  verb.add_option("--export", request.export_file,
                  "write the bundle's history as a plain one; -: standard output")
      ->type_name("FILE")
      ->group(group);
  verb.footer(
      "A plain history is text, one event a line, of any program:\n"
      "  1 invoke send a     1 ok send     2 invoke receive     2 ok receive a\n"
      "docs/check-your-own-history.md has all of it.\n"
      "Exit codes: 0 pass, 1 violation, 2 inconclusive, 64 not a history.");
}

void add_contracts_flag(CLI::App& verb, Selection& selection) {
  verb.add_flag("--contracts", selection.contracts,
                "what plain histories can be held to (recheck)");
}

}  // namespace ipctorture
