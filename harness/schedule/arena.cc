#include "harness/schedule/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>

#include "harness/base/descriptor.h"

namespace ipctorture::schedule {

std::uint32_t* page_of = nullptr;
ObjectTable* objects = nullptr;

namespace {

constexpr std::size_t arena_pages = arena_bytes / page_bytes;
// Where the next search for room begins, and the end of what was ever used.
std::size_t next_page = 0;
std::size_t pages_used = 0;

std::size_t pages(std::size_t bytes) { return (bytes + page_bytes - 1) / page_bytes; }

SharedObject* object_of(std::uint64_t device, std::uint64_t inode, std::uint32_t pages_needed) {
  ObjectTable& table = *objects;
  for (std::uint32_t i = 0; i < table.count; ++i) {
    SharedObject& object = table.object[i];
    if (object.device != device || object.inode != inode) continue;
    if (pages_needed <= object.pages) return &object;
    // It grew. Its pages must stay together: only the newest object can be extended.
    const bool last = object.first_page + object.pages == table.pages;
    if (!last || object.first_page + pages_needed > canonical_pages_max) return nullptr;
    table.pages = object.first_page + pages_needed;
    object.pages = pages_needed;
    return &object;
  }
  if (table.count == objects_max || table.pages + pages_needed > canonical_pages_max)
    return nullptr;
  SharedObject& object = table.object[table.count++];
  object = {.device = device, .inode = inode, .first_page = table.pages, .pages = pages_needed};
  table.pages += pages_needed;
  return &object;
}

}  // namespace

void reserve_arena(ObjectTable* table) {
  objects = table;
  if (page_of != nullptr) return forget_addresses();  // inherited, and private
  void* range = ::mmap(reinterpret_cast<void*>(arena_begin), arena_bytes, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (range != reinterpret_cast<void*>(arena_begin)) {
    throw_system_error("mmap", "4 GiB of addresses for shared mappings");
  }
  void* numbers = ::mmap(nullptr, arena_pages * sizeof *page_of, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (numbers == MAP_FAILED) throw_system_error("mmap", "the table of shared pages");
  page_of = static_cast<std::uint32_t*>(numbers);
}

void* find_room(std::size_t bytes) {
  const std::size_t needed = pages(bytes) + 1;  // and a page that nobody may touch
  if (next_page + needed > arena_pages) return nullptr;
  void* address = reinterpret_cast<void*>(arena_begin + next_page * page_bytes);
  next_page += needed;
  pages_used = std::max(pages_used, next_page);
  return address;
}

bool note_mapped(void* address, std::size_t bytes, std::uint64_t device, std::uint64_t inode,
                 std::uint64_t offset) {
  const auto first = static_cast<std::uint32_t>(offset / page_bytes);
  const auto count = static_cast<std::uint32_t>(pages(bytes));
  const SharedObject* object = object_of(device, inode, first + count);
  if (object == nullptr) return false;
  const std::size_t page = (reinterpret_cast<std::uintptr_t>(address) - arena_begin) / page_bytes;
  for (std::uint32_t i = 0; i < count; ++i) page_of[page + i] = object->first_page + first + i + 1;
  return true;
}

void note_unbacked(const void* address, std::size_t bytes) {
  const std::uint64_t first = canonical(address) / page_bytes;
  for (std::uint64_t page = first; page < first + pages(bytes); ++page) {
    std::uint64_t& word = objects->unbacked[page / 64];
    if ((word >> page % 64 & 1) == 0) ++objects->unbacked_pages;
    word |= std::uint64_t{1} << page % 64;
  }
}

bool touch_unbacked(std::uint64_t key, std::size_t bytes) {
  bool first = false;
  for (std::uint64_t page = key / page_bytes; page * page_bytes < key + bytes; ++page) {
    std::uint64_t& word = objects->unbacked[page / 64];
    if ((word >> page % 64 & 1) == 0) continue;
    first = true;
    --objects->unbacked_pages;
    word &= ~(std::uint64_t{1} << page % 64);
  }
  return first;
}

void note_unmapped(void* address, std::size_t bytes) {
  const std::size_t page = (reinterpret_cast<std::uintptr_t>(address) - arena_begin) / page_bytes;
  std::fill_n(page_of + page, std::min(pages(bytes), arena_pages - page), 0u);
}

std::size_t arena_pages_used() { return pages_used; }

void forget_addresses() {
  std::fill_n(page_of, pages_used, 0u);
  // What the lanes gave back, and what they did not, ends here.
  ::mmap(reinterpret_cast<void*>(arena_begin), pages_used * page_bytes, PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  pages_used = next_page = 0;
}

void forget_objects() {
  objects->count = objects->pages = 0;
  if (objects->unbacked_pages == 0) return;
  objects->unbacked_pages = 0;
  std::fill(std::begin(objects->unbacked), std::end(objects->unbacked), 0u);
}

void describe_key(std::uint64_t key, char* text, std::size_t bytes) {
  // Above canonical offsets stand tags: 57, not in shared memory; 56, private in it.
  constexpr std::uint64_t elsewhere = std::uint64_t{1} << 57, only_here = std::uint64_t{1} << 56;
  if ((key & elsewhere) != 0) {
    std::snprintf(text, bytes, "its process' own memory");
    return;
  }
  const char* const whose = (key & only_here) != 0 ? " (private to its process)" : "";
  key &= (std::uint64_t{1} << 48) - 1;
  for (std::uint32_t i = 0; objects != nullptr && i < objects->count; ++i) {
    const SharedObject& object = objects->object[i];
    const std::uint64_t begin = std::uint64_t{object.first_page} * page_bytes;
    if (key < begin || key >= begin + std::uint64_t{object.pages} * page_bytes) continue;
    std::snprintf(text, bytes, "shared memory %u+0x%llx%s", i,
                  static_cast<unsigned long long>(key - begin), whose);
    return;
  }
  std::snprintf(text, bytes, "0x%llx", static_cast<unsigned long long>(key));
}

}  // namespace ipctorture::schedule
