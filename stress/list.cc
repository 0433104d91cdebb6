// `ipctorture list`: the contracts, as a table for people or as JSON with every term.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "harness/check/check.h"
#include "harness/report/json_lines.h"
#include "harness/report/table.h"
#include "stress/selection.h"
#include "stress/terminal.h"
#include "stress/verbs.h"

namespace ipctorture {
namespace {

using Json = nlohmann::ordered_json;

std::string_view kind_text(Kind kind) {
  constexpr std::string_view names[] = {"shipped", "faulty", "canary"};
  return names[static_cast<unsigned>(kind) % 3];
}

Json contract_json(const Contract& c) {
  return {{"delivery", to_string(c.delivery)},
          {"ordering", to_string(c.ordering)},
          {"fan_out", to_string(c.fan_out)},
          {"late_consumer", to_string(c.late_consumer)},
          {"late_producer", c.late_producer},
          {"reports_closed", c.reports_closed},
          {"when_full", to_string(c.when_full)},
          {"exact_empty", c.exact_empty},
          {"exact_full", c.exact_full},
          {"capacity_max", c.capacity_max},
          {"message_min", c.message_min},
          {"message_max", c.message_max},
          {"priorities", c.priorities},
          {"producers_max", c.producers_max},
          {"consumers_max", c.consumers_max},
          {"lives_max", c.lives_max},
          {"rejoins", c.rejoins},
          {"threads", c.threads},
          {"attach", to_string(c.attach)},
          {"exec_only", c.exec_only},
          {"deadline_now", c.deadline_now},
          {"now_message_max", c.now_message_max},
          {"deadline_at", c.deadline_at},
          {"deadline_slack_ms", c.deadline_slack_ms},
          {"progress_bound_ms", c.progress_bound_ms},
          {"overtakes_max", c.overtakes_max ? Json(*c.overtakes_max) : Json()},
          {"fires_only_on_change", c.fires_only_on_change},
          {"accepted_survives_close", c.accepted_survives_close},
          {"survives_producer_death", c.survives_producer_death},
          {"survives_consumer_death", c.survives_consumer_death},
          {"lost_per_death_max", c.lost_per_death_max},
          {"hostile", c.hostile == Hostile::only_errors ? "only errors" : "not promised"},
          {"may_share_address_space", c.may_share_address_space}};
}

// One line per transport: {"schema": ..., "transport": ..., "contract": {...}, "promises": [...]}.
std::string as_json_line(const Registration& registration) {
  Json json = {{"schema", "ipctorture-list/1"},
               {"transport", registration.name},
               {"summary", registration.summary},
               {"kind", kind_text(registration.kind)},
               {"contract", contract_json(registration.contract)},
               {"promises", Json::array()}};
  for (unsigned p = 0; p < promise_count; ++p) {
    const auto promise = static_cast<Promise>(p);
    if (promise_applies(promise, registration.contract)) {
      json["promises"].push_back(to_string(promise));
    }
  }
  return json_line(json);
}

// The table has 80 columns: shorter words than the contract's, which --json has.
std::string delivery_text(const Contract& c) {
  if (c.delivery == Delivery::latest_value) return "latest value";
  return fmt::format("{}, {}", c.delivery == Delivery::exactly_once ? "once" : "at most once",
                     c.ordering == Ordering::none ? "any" : to_string(c.ordering));
}

std::string_view full_text(WhenFull when) {
  return when == WhenFull::overwrites_oldest ? "drops oldest" : to_string(when);
}

std::string table_text(const std::vector<Selected>& selected, std::size_t width) {
  Table table({{"transport", Align::left, 9},
               {"delivery, order", Align::left, 8},
               {"PxC", Align::right, 7},
               {"up to", Align::right, 6},
               {"when full", Align::left, 5},
               {"attach", Align::left, 4},
               {"closed", Align::left, 2}});
  for (const Selected& one : selected) {
    const Contract& c = one.registration->contract;
    table.add({std::string(one.registration->name), delivery_text(c),
               fmt::format("{}x{}", c.producers_max, c.consumers_max), human_bytes(c.message_max),
               std::string(full_text(c.when_full)), std::string(to_string(c.attach)),
               c.reports_closed ? "yes" : "no"});
  }
  return table.text(width);
}

// "Label: a, b, c", in lines of at most `width`; nothing when there are none.
std::string named_lines(std::string_view label, const std::vector<std::string>& names,
                        std::size_t width) {
  if (names.empty()) return {};
  std::string lines, line(label);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string word = names[i] + (i + 1 < names.size() ? "," : "");
    if (line.size() + 1 + word.size() > width) {
      lines += line + "\n";
      line = " ";
    }
    line += " " + cut_text(word, width - 2);
  }
  return lines + line + "\n";
}

// What a peer that writes anything can do: the table has no room for it.
std::string hostile_text(const std::vector<Selected>& selected, std::size_t width) {
  std::vector<std::string> withstand, defenceless;
  for (const Selected& one : selected) {
    const bool withstands = one.registration->contract.hostile == Hostile::only_errors;
    (withstands ? withstand : defenceless).emplace_back(one.registration->name);
  }
  return named_lines("withstand a hostile peer:", withstand, width) +
         named_lines("do not defend themselves:", defenceless, width);
}

}  // namespace

ExitCode list_transports(const Settings& settings, const Selection& selection) {
  if (selection.contracts) return list_contracts(settings);
  SelectionRequest request{.names = selection.names, .exclude = settings.list("exclude")};
  if (selection.faulty) request.also.push_back(Kind::faulty);
  if (selection.canary) request.also.push_back(Kind::canary);
  const auto selected = select_transports(request, registrations());
  if (selected.empty()) {
    print_note("ipctorture: nothing selected\n");
    return ExitCode::nothing_selected;
  }
  if (!settings.on("json")) {
    const std::size_t width = this_terminal(settings).results.width;
    print_result(table_text(selected, width) + "\n" + hostile_text(selected, width));
    return ExitCode::pass;
  }
  for (const Selected& one : selected) print_result(as_json_line(*one.registration));
  return ExitCode::pass;
}

}  // namespace ipctorture
