#include "fuzz/schedule_mutator.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <stdexcept>

#include "harness/scenario/fuzz_input_header.h"
#include "harness/schedule/schedule_input.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t size_max);

namespace ipctorture {
namespace {

using schedule::Change;
using schedule::Departure;
using schedule::ScheduleInput;

constexpr unsigned stacked_max = 4, steps_usual = 160;

class ScheduleEditor {
 public:
  ScheduleEditor(ScheduleInput& input, bool processes, unsigned seed)
      : input_(input), processes_(processes), random_(seed) {}

  void apply() {
    switch (draw(8)) {
      case 0:
      case 1:
      case 2:
        return add();
      case 3:
        return leave_out();
      case 4:
      case 5:
        return alter();
      case 6:
        return copy();
      default:
        if (draw(16) == 0) return reshape();
        return add();
    }
  }
  unsigned draw(unsigned bound) {
    return bound == 0 ? 0 : static_cast<unsigned>(random_() % bound);
  }

 private:
  Departure made_up() {
    Departure departure{.step = 1 + draw(draw(2) == 0 ? steps_usual / 8 : steps_usual),
                        .lane = static_cast<std::uint8_t>(draw(lanes())),
                        .change = Change::run,
                        .value = static_cast<std::uint8_t>(draw(lanes()))};
    const unsigned kind = draw(8);
    if (kind == 0) departure.change = Change::time_out;
    if (kind == 1 && input_.shape.peers != 0) departure.change = Change::kill;
    if (kind >= 2 && kind <= 4 && input_.shape.extra != 0) {
      departure.change = Change::answer;
      departure.value = static_cast<std::uint8_t>(draw(draw(2) == 0 ? 6 : 256));
    }
    return departure;
  }
  unsigned lanes() const {
    return std::min(schedule::lanes_max, 2u + input_.shape.producers + input_.shape.consumers);
  }
  void add() {
    auto& all = input_.departures;
    if (all.size() < schedule::schedule_records_max) {
      all.insert(all.begin() + draw(static_cast<unsigned>(all.size()) + 1), made_up());
    }
  }
  void leave_out() {
    auto& all = input_.departures;
    if (!all.empty()) all.erase(all.begin() + draw(static_cast<unsigned>(all.size())));
  }
  void alter() {
    auto& all = input_.departures;
    if (all.empty()) return add();
    Departure& one = all[draw(static_cast<unsigned>(all.size()))];
    switch (draw(4)) {
      case 0:
        one.step = std::max(1u, one.step + draw(9) - 4);
        break;
      case 1:
        one.value = made_up().value;
        break;
      case 2:
        one.lane = static_cast<std::uint8_t>(draw(lanes()));
        break;
      default:
        one = made_up();
    }
    if (one.step > UINT16_MAX) one.step = 1;
  }
  void copy() {
    auto& all = input_.departures;
    if (all.empty() || all.size() >= schedule::schedule_records_max) return add();
    Departure one = all[draw(static_cast<unsigned>(all.size()))];
    one.step = std::min<std::uint32_t>(one.step + 1 + draw(24), UINT16_MAX);
    all.push_back(one);
  }
  void reshape() {
    auto& shape = input_.shape;
    const auto one = [this](unsigned bound) { return static_cast<std::uint8_t>(draw(bound)); };
    switch (draw(8)) {
      case 0:
        return void(shape.producers = 1 + one(3));
      case 1:
        return void(shape.consumers = 1 + one(3));
      case 2:
        return void(shape.messages = 1 + one(8));
      case 3:
        return void(shape.sizes = one(6));
      case 4:
      case 5:
        return void(shape.extra = one(schedule::extra_count));
      case 6:
        return void(shape.peers = processes_ ? one(schedule::peers_count) : 0);
      default:
        shape.flags ^= static_cast<std::uint8_t>(1 + one(2));
    }
  }

  ScheduleInput& input_;
  const bool processes_;
  std::minstd_rand random_;
};

ScheduleInput input_from(std::span<const std::uint8_t> bytes, const std::string& transport) {
  try {
    ScheduleInput input = schedule::schedule_input_from_bytes(std::as_bytes(bytes));
    if (input.transport == transport) return input;
  } catch (const std::invalid_argument&) {
    // Made anew.
  }
  return {.transport = transport, .shape = {}, .departures = {}};
}

}  // namespace

std::size_t mutate_schedule(std::span<std::uint8_t> bytes, std::size_t size,
                            const std::string& transport, bool processes, unsigned seed) {
  ScheduleInput input = input_from(bytes.first(size), transport);
  ScheduleEditor editor(input, processes, seed);
  const bool blind = editor.draw(2) == 0 && !input.departures.empty();
  if (!blind) {
    for (unsigned left = 1 + editor.draw(stacked_max); left > 0; --left) editor.apply();
  }
  std::vector<std::byte> made = to_bytes(input);
  if (made.size() > bytes.size()) return size;
  std::memcpy(bytes.data(), made.data(), made.size());
  if (!blind) return made.size();
  constexpr std::size_t header = fuzz_input_header_bytes;
  return header +
         LLVMFuzzerMutate(bytes.data() + header, made.size() - header, bytes.size() - header);
}

}  // namespace ipctorture
