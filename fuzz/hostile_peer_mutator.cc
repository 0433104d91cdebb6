#include "fuzz/hostile_peer_mutator.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <stdexcept>

#include "harness/scenario/fuzz_input_header.h"
#include "harness/scenario/hostile_input.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t size_max);

namespace ipctorture {
namespace {

using Bytes = std::vector<std::byte>;

constexpr unsigned stacked_max = 4, word_bytes_max = 64, ways_usual = 4;
constexpr std::size_t action_bytes_max = 2048;

class HostileEditor {
 public:
  HostileEditor(HostileInput& input, const HostileMaterial& material, unsigned seed)
      : input_(input), material_(material), random_(seed) {}

  void apply() {
    switch (draw(10)) {
      case 0:
      case 1:
        return add();
      case 2:
        return leave_out();
      case 3:
        return copy();
      case 4:
        // Rarely: most of what is found costs a channel of its own then.
        if (draw(4) == 0) input_.flags ^= static_cast<std::uint8_t>(1u << draw(7));
        return alter();
      case 5:
        return move();
      default:
        return alter();
    }
  }
  unsigned draw(std::size_t bound) {
    return bound == 0 ? 0 : static_cast<unsigned>(random_() % bound);
  }

 private:
  Bytes number(std::uint64_t value, std::size_t size) {
    Bytes bytes(size);
    std::memcpy(bytes.data(), &value, size);
    return bytes;
  }
  // Part of an honest peer's wire, a length, or noise.
  Bytes word() {
    const std::uint64_t lengths[] = {0,
                                     1,
                                     0xff,
                                     0xffff,
                                     0x7fffffff,
                                     0xffffffff,
                                     UINT64_MAX,
                                     material_.message_max,
                                     material_.message_max + 1u,
                                     draw(64)};
    switch (draw(4)) {
      case 0:
        return number(lengths[draw(std::size(lengths))], std::size_t{1} << draw(4));
      case 1: {
        Bytes noise(1 + draw(word_bytes_max));
        for (std::byte& byte : noise) byte = static_cast<std::byte>(draw(256));
        return noise;
      }
      default: {
        if (material_.wire.empty()) return number(draw(256), 1);
        const Bytes& whole = material_.wire[draw(material_.wire.size())];
        if (draw(2) == 0) return whole;
        const std::size_t from = draw(2) == 0 ? 0 : draw(whole.size());
        const std::size_t size =
            std::min<std::size_t>(whole.size() - from, 1 + draw(word_bytes_max));
        const auto begin = whole.begin() + static_cast<std::ptrdiff_t>(from);
        return {begin, begin + static_cast<std::ptrdiff_t>(size)};
      }
    }
  }
  HostileAction made_up() {
    const auto act = static_cast<HostileAct>(draw(2) == 0 ? static_cast<unsigned>(HostileAct::write)
                                                          : draw(hostile_act_count));
    HostileAction action{
        .act = act,
        .which = static_cast<std::uint8_t>(draw(4) == 0 ? draw(256) : draw(ways_usual)),
        .bytes = word()};
    if (act == HostileAct::repeat) {
      const Bytes count = number(draw(8) == 0 ? draw(hostile_repeat_max) : draw(512), 4);
      action.bytes.insert(action.bytes.begin(), count.begin(), count.end());
    }
    return action;
  }
  std::size_t place() { return draw(input_.actions.size()); }
  void insert(HostileAction action) {
    auto& all = input_.actions;
    if (all.size() >= hostile_acts_max) return;
    all.insert(all.begin() + draw(all.size() + 1), std::move(action));
  }
  void add() { insert(made_up()); }
  void copy() {
    if (input_.actions.empty()) return add();
    insert(input_.actions[place()]);
  }
  void leave_out() {
    auto& all = input_.actions;
    if (!all.empty()) all.erase(all.begin() + static_cast<std::ptrdiff_t>(place()));
  }
  void move() {
    auto& all = input_.actions;
    if (all.size() < 2) return add();
    std::swap(all[place()], all[place()]);
  }
  void alter() {
    if (input_.actions.empty()) return add();
    HostileAction& one = input_.actions[place()];
    Bytes& bytes = one.bytes;
    const auto at = bytes.begin() + draw(bytes.size() + 1);
    switch (draw(6)) {
      case 0:
        one.which = static_cast<std::uint8_t>(draw(256));
        break;
      case 1: {
        const Bytes more = word();
        bytes.insert(at, more.begin(), more.end());
        break;
      }
      case 2: {
        const Bytes other = word();
        std::copy_n(other.begin(), std::min<std::ptrdiff_t>(std::ssize(other), bytes.end() - at),
                    at);
        break;
      }
      case 3:
        bytes.erase(at, at + draw(static_cast<std::size_t>(bytes.end() - at) + 1));
        break;
      case 4:
        if (at != bytes.end()) *at ^= static_cast<std::byte>(1u << draw(8));
        break;
      default:
        one = made_up();
    }
    if (bytes.size() > action_bytes_max) bytes.resize(action_bytes_max);
  }

  HostileInput& input_;
  const HostileMaterial& material_;
  std::minstd_rand random_;
};

HostileInput input_from(std::span<const std::uint8_t> bytes, const std::string& transport) {
  try {
    HostileInput input = hostile_input_from_bytes(std::as_bytes(bytes));
    if (input.transport == transport) return input;
  } catch (const std::invalid_argument&) {
    // Made anew.
  }
  return {.transport = transport, .flags = hostile_more, .actions = {}};
}

}  // namespace

std::size_t mutate_hostile(std::span<std::uint8_t> bytes, std::size_t size,
                           const HostileMaterial& material, unsigned seed) {
  HostileInput input = input_from(bytes.first(size), material.transport);
  HostileEditor editor(input, material, seed);
  const bool blind = editor.draw(2) == 0 && !input.actions.empty();
  if (!blind) {
    for (unsigned left = 1 + editor.draw(stacked_max); left > 0; --left) editor.apply();
  }
  const std::vector<std::byte> made = to_bytes(input);
  if (made.size() > bytes.size()) return size;
  std::memcpy(bytes.data(), made.data(), made.size());
  if (!blind) return made.size();
  constexpr std::size_t header = fuzz_input_header_bytes;
  return header +
         LLVMFuzzerMutate(bytes.data() + header, made.size() - header, bytes.size() - header);
}

}  // namespace ipctorture
