// Where shared mappings live in a controlled process: one reserved range of addresses, so that an
// instrumented access is told from a private one by one comparison. mmap and shmat are led here
// (calls/memory.cc).
//
// Peers map the same object at different addresses, or twice in one address space. So what counts
// is the canonical offset: each page of each object has a number, the same in every process, in
// the order in which objects were first mapped. Canonical offset = page number * 4096 + offset.
//
// Its table of objects is in the memory that processes share; its table of addresses is each
// process's own. Only the running lane uses it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ipctorture::schedule {

inline constexpr std::uintptr_t arena_begin = 0x1000'0000'0000;
inline constexpr std::size_t arena_bytes = std::size_t{4} << 30;
inline constexpr std::size_t page_bytes = 4096;
inline constexpr std::uint32_t canonical_pages_max = 1u << 14;  // 64 MiB of shared objects

struct SharedObject {
  std::uint64_t device = 0, inode = 0;  // of a System V segment: UINT64_MAX and its id
  std::uint32_t first_page = 0, pages = 0;
};
inline constexpr unsigned objects_max = 64;
struct ObjectTable {
  std::uint32_t count = 0;
  std::uint32_t pages = 0;
  SharedObject object[objects_max];
  // Pages of a file on a medium that can be full, to which no room is given yet: bit per page.
  std::uint32_t unbacked_pages = 0;
  std::uint64_t unbacked[canonical_pages_max / 64] = {};
};

// Of this process: arena page -> canonical page + 1; 0: nothing is mapped there.
extern std::uint32_t* page_of;
extern ObjectTable* objects;

// Reserves the range, in the process from which workers are forked, and begins to use `table`.
// Throws std::system_error.
void reserve_arena(ObjectTable* table);

inline bool in_arena(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address) - arena_begin < arena_bytes;
}
inline bool in_arena(const void* address, std::size_t bytes) {
  return reinterpret_cast<std::uintptr_t>(address) - arena_begin < arena_bytes - bytes;
}
// Of an address in the arena; no_canonical when nothing is mapped there.
inline constexpr std::uint64_t no_canonical = UINT64_MAX;
inline std::uint64_t canonical(const void* address) {
  const std::uintptr_t offset = reinterpret_cast<std::uintptr_t>(address) - arena_begin;
  const std::uint32_t page = page_of[offset / page_bytes];
  return page == 0 ? no_canonical : (std::uint64_t{page} - 1) * page_bytes + offset % page_bytes;
}

// An address range in the arena for `bytes` (rounded up to pages) that is free here; null: full.
void* find_room(std::size_t bytes);
// `address` .. now maps pages of the object, from the offset on. False: too many objects or pages.
bool note_mapped(void* address, std::size_t bytes, std::uint64_t device, std::uint64_t inode,
                 std::uint64_t offset);
// Nothing backs these pages of a mapping; touching one makes it backed.
void note_unbacked(const void* address, std::size_t bytes);
// The first touch of a page among these? It is backed afterwards.
bool touch_unbacked(std::uint64_t key, std::size_t bytes);
void note_unmapped(void* address, std::size_t bytes);
// How many pages of the arena this process ever used, from its beginning.
std::size_t arena_pages_used();
// Forgets what is mapped in this process; and all objects, in every process (before a session is
// set up anew).
void forget_addresses();
void forget_objects();
// "object 0 + 0x140" for people.
void describe_key(std::uint64_t key, char* text, std::size_t bytes);

}  // namespace ipctorture::schedule
