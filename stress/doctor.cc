// `ipctorture doctor`: what this machine lacks, each with the command that mends it; `--clean`
// removes what dead runs left.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "harness/launch/run_directory.h"
#include "harness/report/json_lines.h"
#include "harness/report/table.h"
#include "harness/transport/registry.h"
#include "stress/checkup.h"
#include "stress/terminal.h"
#include "stress/verbs.h"

namespace ipctorture {
namespace {

using State = CheckupItem::State;
using Json = nlohmann::ordered_json;

std::string_view state_text(State state) {
  constexpr std::string_view names[] = {"ok", "weaker", "LACKING"};
  return names[static_cast<unsigned>(state) % 3];
}

// Shipped transports that say themselves that they cannot run here.
std::vector<CheckupItem> check_up_transports() {
  std::vector<CheckupItem> items;
  for (const Registration& registration : registrations()) {
    if (registration.kind != Kind::shipped) continue;
    const Options options{.name = fmt::format("ipctorture-doctor-{}", ::getpid()),
                          .directory = run_base_directory(),
                          .token = 1,
                          .capacity = 8,
                          .message_max = registration.contract.message_max};
    CheckupItem item{.name = fmt::format("transport {}", registration.name), .found = "can run"};
    try {
      const std::string why = registration.build(options, {})->unsupported();
      if (!why.empty()) item = {item.name, State::lacking, why, ""};
    } catch (const std::exception& error) {
      item = {item.name, State::lacking, error.what(), ""};
    }
    items.push_back(item);
  }
  return items;
}

void print_item(const CheckupItem& item, std::size_t name_width) {
  print_result(fmt::format("{:<7}  {:<{}}  {}\n", state_text(item.state), item.name, name_width,
                           item.found));
  if (!item.mend.empty() && item.state != State::good) {
    print_result(fmt::format("{:<7}  {:<{}}  mend: {}\n", "", "", name_width, item.mend));
  }
}

std::string as_json_line(const CheckupItem& item) {
  Json json = {{"schema", "ipctorture-doctor/1"},
               {"name", item.name},
               {"state", item.state == State::lacking ? "lacking" : state_text(item.state)},
               {"found", item.found}};
  if (!item.mend.empty() && item.state != State::good) json["mend"] = item.mend;
  return json_line(json);
}

ExitCode clean() {
  const CleanReport report = clean_dead_runs(run_base_directory(), nullptr);
  print_result(
      fmt::format("removed {} dead runs and the names of {} transports; {} runs are alive\n",
                  report.runs_removed, report.transports_destroyed, report.runs_alive));
  for (const std::string& problem : report.problems) {
    print_note(fmt::format("ipctorture: {}\n", problem));
  }
  return report.problems.empty() ? ExitCode::pass : ExitCode::unsupported;
}

}  // namespace

ExitCode doctor(const Settings& settings, Clean clean_too) {
  if (clean_too == Clean::yes) return clean();
  std::vector<CheckupItem> items = check_up_limits();
  for (auto& more : {check_up_tools(), check_up_transports()}) {
    items.insert(items.end(), more.begin(), more.end());
  }
  const bool json = settings.on("json");
  std::size_t name_width = 0, lacking = 0;
  for (const CheckupItem& item : items) {
    name_width = std::max(name_width, text_width(item.name));
    lacking += item.state == State::lacking ? 1 : 0;
  }
  for (const CheckupItem& item : items) {
    if (json) {
      print_result(as_json_line(item));
    } else {
      print_item(item, name_width);
    }
  }
  if (!json && lacking == 0) print_result("nothing is lacking\n");
  return lacking == 0 ? ExitCode::pass : ExitCode::unsupported;
}

}  // namespace ipctorture
