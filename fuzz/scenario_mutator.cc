#include "fuzz/scenario_mutator.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <stdexcept>

#include "harness/scenario/scenario_input.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t size_max);

namespace ipctorture {
namespace {

constexpr unsigned stacked_max = 4;
constexpr std::size_t records_usual = 24;  // few differ from the small scenario at a time

class ScenarioEditor {
 public:
  ScenarioEditor(ScenarioInput& input, unsigned seed) : input_(input), random_(seed) {}

  void apply() {
    auto& all = input_.settings;
    switch (draw(8)) {
      case 0:
      case 1:
      case 2:
        return add();
      case 3:
        if (!all.empty()) all.erase(all.begin() + draw(all.size()));
        return;
      case 4:
        return copy();
      default:
        return alter();
    }
  }
  std::uint32_t draw(std::uint64_t bound) {
    return bound == 0 ? 0 : static_cast<std::uint32_t>(random_() % bound);
  }

 private:
  // Uniform, at the ends, or where counters wrap.
  std::uint32_t value_of(std::uint32_t field) {
    const ScenarioField& about = scenario_fields()[field];
    const std::uint64_t distance = std::uint64_t{about.high} - about.low + 1;
    constexpr std::uint32_t wraps[] = {0, 1u << 8, 1u << 12, 1u << 16, 1u << 31};
    switch (draw(4)) {
      case 0:
        return about.low + draw(std::min<std::uint64_t>(distance, 4));
      case 1:
        return about.high - draw(std::min<std::uint64_t>(distance, 4));
      case 2:
        return wraps[draw(std::size(wraps))] + draw(17) - 8;
      default:
        return about.low + draw(distance);
    }
  }
  FieldSetting made_up() {
    const std::uint32_t field = draw(scenario_fields().size());
    return {.field = static_cast<std::uint16_t>(field), .value = value_of(field)};
  }
  void add() {
    auto& all = input_.settings;
    if (all.size() >= records_usual) return alter();
    all.insert(all.begin() + draw(all.size() + 1), made_up());
  }
  void alter() {
    auto& all = input_.settings;
    if (all.empty()) return add();
    FieldSetting& one = all[draw(all.size())];
    switch (draw(4)) {
      case 0:
        one.value += draw(9) - 4;
        break;
      case 1:
        one.value ^= 1u << draw(32);
        break;
      case 2:
        one = made_up();
        break;
      default:
        one.value = value_of(static_cast<std::uint32_t>(one.field % scenario_fields().size()));
    }
  }
  void copy() {
    auto& all = input_.settings;
    if (all.empty() || all.size() >= records_usual) return add();
    const FieldSetting one = all[draw(all.size())];
    all.insert(all.begin() + draw(all.size() + 1), one);
  }

  ScenarioInput& input_;
  std::mt19937 random_;
};

ScenarioInput input_from(std::span<const std::uint8_t> bytes, const std::string& transport) {
  try {
    ScenarioInput input = scenario_input_from_bytes(std::as_bytes(bytes));
    if (input.transport == transport) return input;
  } catch (const std::invalid_argument&) {
    // Made anew.
  }
  return {.transport = transport, .settings = {}};
}

}  // namespace

std::size_t mutate_scenario(std::span<std::uint8_t> bytes, std::size_t size,
                            const std::string& transport, unsigned seed) {
  ScenarioInput input = input_from(bytes.first(size), transport);
  ScenarioEditor editor(input, seed);
  const bool blind = editor.draw(2) == 0 && !input.settings.empty();
  if (!blind) {
    for (unsigned left = 1 + editor.draw(stacked_max); left > 0; --left) editor.apply();
  }
  const std::vector<std::byte> made = to_bytes(input);
  if (made.size() > bytes.size()) return size;
  std::memcpy(bytes.data(), made.data(), made.size());
  if (!blind) return made.size();
  constexpr std::size_t header = fuzz_input_header_bytes;
  std::size_t records = made.size() - header;
  const std::size_t room =
      std::min(bytes.size() - header, std::max(records, records_usual * scenario_record_bytes));
  for (unsigned left = 1 + editor.draw(stacked_max); left > 0; --left) {
    records = LLVMFuzzerMutate(bytes.data() + header, records, room);
  }
  return header + records;
}

}  // namespace ipctorture
