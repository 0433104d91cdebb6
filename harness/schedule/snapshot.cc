#include "harness/schedule/snapshot.h"

#include <link.h>

#include <cstddef>
#include <cstring>
#include <set>

#include "harness/schedule/arena.h"
#include "harness/schedule/lane_heap.h"

namespace ipctorture::schedule {
namespace {

struct Range {
  std::uintptr_t from = 0, to = 0;
};

struct Search {
  std::uintptr_t code;
  std::vector<Range> writable;
};

// dl_iterate_phdr(3): the writable parts of the object that holds an address, but for what the
// linker made read-only after relocating.
int look_at(dl_phdr_info* info, std::size_t, void* data) {
  auto& search = *static_cast<Search*>(data);
  bool holds = false;
  Range relro;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = info->dlpi_phdr[i];
    const std::uintptr_t from = info->dlpi_addr + header.p_vaddr;
    if (header.p_type == PT_LOAD && search.code - from < header.p_memsz) holds = true;
    if (header.p_type == PT_GNU_RELRO) relro = {from, from + header.p_memsz};
  }
  if (!holds) return 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = info->dlpi_phdr[i];
    if (header.p_type != PT_LOAD || (header.p_flags & PF_W) == 0) continue;
    Range range{info->dlpi_addr + header.p_vaddr, 0};
    range.to = range.from + header.p_memsz;
    const std::uintptr_t protected_to = (relro.to + page_bytes - 1) / page_bytes * page_bytes;
    if (relro.from <= range.from && protected_to > range.from) range.from = protected_to;
    if (range.from < range.to) search.writable.push_back(range);
  }
  return 1;
}

}  // namespace

bool Snapshot::keep(void* at, std::size_t bytes, bool shared) {
  total_ += bytes;
  if (total_ > snapshot_bytes_max) return false;
  auto* begin = static_cast<std::byte*>(at);
  pieces_.push_back({.at = begin, .bytes = {begin, begin + bytes}, .shared = shared});
  return true;
}

bool Snapshot::keep_variables(const void* code, std::span<const std::span<std::byte>> left_out) {
  if (code == nullptr) return true;
  Search search{.code = reinterpret_cast<std::uintptr_t>(code), .writable = {}};
  ::dl_iterate_phdr(look_at, &search);
  for (const Range& range : search.writable) {
    auto* from = reinterpret_cast<std::byte*>(range.from);
    auto* const to = reinterpret_cast<std::byte*>(range.to);
    for (const std::span<std::byte> hole : left_out) {
      std::byte* const end = hole.data() + hole.size();
      if (hole.data() < from || end > to) continue;
      if (!keep(from, static_cast<std::size_t>(hole.data() - from), false)) return false;
      from = end;
    }
    if (!keep(from, static_cast<std::size_t>(to - from), false)) return false;
  }
  return true;
}

bool Snapshot::keep_shared_memory() {
  std::set<std::uint32_t> kept;
  const std::size_t pages = arena_pages_used();
  for (std::size_t page = 0; page < pages; ++page) {
    const std::uint32_t number = page_of[page];
    if (number == 0 || !kept.insert(number).second) continue;
    if (!keep(reinterpret_cast<void*>(arena_begin + page * page_bytes), page_bytes, true)) {
      return false;
    }
  }
  auto* const backing =
      reinterpret_cast<std::byte*>(objects) + offsetof(ObjectTable, unbacked_pages);
  const auto backing_bytes = sizeof *objects - offsetof(ObjectTable, unbacked_pages);
  if (objects->unbacked_pages > 0 && !keep(backing, backing_bytes, true)) return false;
  const auto* table = reinterpret_cast<const unsigned char*>(page_of);
  page_table_.assign(table, table + pages * sizeof *page_of);
  return true;
}

bool Snapshot::take(const std::vector<unsigned>& lanes, Fiber* fibers, LaneVariables& variables,
                    const void* code, std::span<const std::span<std::byte>> left_out) {
  pieces_.clear();
  fibers_.clear();
  total_ = 0;
  for (const unsigned lane : lanes) {
    const Fiber& fiber = fibers[lane];
    auto* from = static_cast<std::byte*>(fiber.stack_pointer);
    const auto bytes = static_cast<std::size_t>(fiber.stack + fiber.stack_bytes - from);
    LaneHeap& heap = lane_heap(lane);
    if (heap.overflowed || !keep(from, bytes, false) || !keep(&heap, heap.used, false))
      return false;
    fibers_.emplace_back(lane, fiber);
  }
  if (!variables.empty() && !keep(variables.kept(0), lanes_max * variables.bytes(), false)) {
    return false;
  }
  return keep_variables(code, left_out) && keep_shared_memory();
}

void Snapshot::restore(Fiber* fibers, bool shared) const {
  for (const Piece& piece : pieces_) {
    if (piece.shared && !shared) continue;
    std::memcpy(piece.at, piece.bytes.data(), piece.bytes.size());
  }
  std::memcpy(page_of, page_table_.data(), page_table_.size());
  for (const auto& [lane, fiber] : fibers_) fibers[lane] = fiber;
}

}  // namespace ipctorture::schedule
