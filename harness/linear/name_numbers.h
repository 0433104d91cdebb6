// Numbers names as they come: a hash table with 8 bytes a slot, because looking values up is what
// reading a long history takes most of its time for.
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "harness/linear/history.h"

namespace ipctorture::linear {

class NameNumbers {
 public:
  // `names` is empty, and must outlive this.
  explicit NameNumbers(NameList& names) : names_(names), slots_(1024) {}

  Index count() const { return count_; }

  static std::uint32_t hash_of(std::string_view name) {
    return static_cast<std::uint32_t>(XXH3_64bits(name.data(), name.size()));
  }
  // Fetches what `of` will look at.
  void prepare(std::uint32_t hash) const {
    __builtin_prefetch(&slots_[hash & (slots_.size() - 1)]);
  }

  // Of a new name the next number.
  Index of(std::string_view name) { return of(name, hash_of(name)); }
  Index of(std::string_view name, std::uint32_t hash) {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
      Slot& slot = slots_[at];
      if (slot.number == no_value) {
        slot = {hash, count_};
        names_.add(name);
        if (2 * std::size_t{++count_} > slots_.size()) grow();
        return count_ - 1;
      }
      if (slot.hash == hash && names_[slot.number] == name) return slot.number;
    }
  }

 private:
  struct Slot {
    std::uint32_t hash = 0;
    Index number = no_value;
  };

  void grow() {
    std::vector<Slot> larger(slots_.size() * 4);
    const std::size_t mask = larger.size() - 1;
    for (const Slot& slot : slots_) {
      if (slot.number == no_value) continue;
      std::size_t at = slot.hash & mask;
      while (larger[at].number != no_value) at = (at + 1) & mask;
      larger[at] = slot;
    }
    slots_.swap(larger);
  }

  NameList& names_;
  std::vector<Slot> slots_;  // a power of two, at most half of them used
  Index count_ = 0;
};

}  // namespace ipctorture::linear
