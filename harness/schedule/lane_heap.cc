#include "harness/schedule/lane_heap.h"

#include <errno.h>
#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "harness/base/descriptor.h"
#include "harness/schedule/interpose.h"

// glibc's own, under the names by which it lets them be replaced.
extern "C" {
void* __libc_malloc(size_t);
void __libc_free(void*);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
}

namespace ipctorture::schedule {
namespace {

std::byte* heaps = nullptr;

struct alignas(16) BlockHeader {
  std::size_t bytes;      // that the block can hold
  std::size_t requested;  // of them
};

bool is_lane_memory(const void* pointer) {
  return heaps != nullptr && static_cast<std::size_t>(static_cast<const std::byte*>(pointer) -
                                                      heaps) < lanes_max * lane_heap_bytes;
}

BlockHeader& header_of(void* pointer) { return static_cast<BlockHeader*>(pointer)[-1]; }

void* allocate(std::size_t bytes) {
  LaneHeap& heap = lane_heap(static_cast<unsigned>(current_lane));
  const std::size_t rounded = std::bit_ceil(std::max<std::size_t>(bytes, 16));
  const auto size_class = static_cast<unsigned>(std::countr_zero(rounded));
  if (size_class >= LaneHeap::classes || rounded < bytes) {
    heap.overflowed = true;
    return __libc_malloc(bytes);
  }
  if (void* block = heap.free_blocks[size_class]; block != nullptr) {
    std::memcpy(&heap.free_blocks[size_class], block, sizeof block);
    header_of(block).requested = bytes;
    return block;
  }
  if (heap.used + sizeof(BlockHeader) + rounded > lane_heap_bytes) {
    heap.overflowed = true;
    return __libc_malloc(bytes);
  }
  auto* header = reinterpret_cast<BlockHeader*>(reinterpret_cast<std::byte*>(&heap) + heap.used);
  heap.used += sizeof(BlockHeader) + rounded;
  header->bytes = rounded;
  header->requested = bytes;
  return header + 1;
}

void release(void* pointer) {
  const std::size_t offset = static_cast<std::size_t>(static_cast<std::byte*>(pointer) - heaps);
  LaneHeap& heap = lane_heap(static_cast<unsigned>(offset / lane_heap_bytes));
  const auto size_class = static_cast<unsigned>(std::countr_zero(header_of(pointer).bytes));
  if (size_class >= LaneHeap::classes) return;  // an aligned block: of odd size, never reused
  std::memcpy(pointer, &heap.free_blocks[size_class], sizeof(void*));
  heap.free_blocks[size_class] = pointer;
}

// Larger alignments than 16 come from a larger block, which is not reused.
void* allocate_aligned(std::size_t alignment, std::size_t bytes) {
  if (alignment <= alignof(BlockHeader)) return allocate(bytes);
  auto* block = static_cast<std::byte*>(allocate(bytes + alignment + sizeof(BlockHeader)));
  if (block == nullptr || !is_lane_memory(block)) {
    __libc_free(block);
    return __libc_memalign(alignment, bytes);
  }
  const auto begin = reinterpret_cast<std::uintptr_t>(block + sizeof(BlockHeader));
  auto* aligned = reinterpret_cast<void*>((begin + alignment - 1) / alignment * alignment);
  header_of(aligned).bytes = bytes | (std::size_t{1} << 40);  // no power of two: see release()
  header_of(aligned).requested = bytes;
  return aligned;
}

}  // namespace

void make_lane_heaps() {
  if (heaps != nullptr) return;
  void* memory = ::mmap(nullptr, lanes_max * lane_heap_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw_system_error("mmap", "the heaps of lanes");
  heaps = static_cast<std::byte*>(memory);
  for (unsigned lane = 0; lane < lanes_max; ++lane) clear_lane_heap(lane);
}

LaneHeap& lane_heap(unsigned lane) {
  return *reinterpret_cast<LaneHeap*>(heaps + lane * lane_heap_bytes);
}

void clear_lane_heap(unsigned lane) {
  LaneHeap& heap = *new (heaps + lane * lane_heap_bytes) LaneHeap;
  heap.used = (sizeof(LaneHeap) + 15) / 16 * 16;
}

std::size_t room_at(const void* address) {
  if (!is_lane_memory(address)) return SIZE_MAX;
  const auto* at = static_cast<const std::byte*>(address);
  const auto lane = static_cast<unsigned>(static_cast<std::size_t>(at - heaps) / lane_heap_bytes);
  const LaneHeap& heap = lane_heap(lane);
  const auto* begin = reinterpret_cast<const std::byte*>(&heap);
  const auto* header = begin + (sizeof(LaneHeap) + 15) / 16 * 16;
  while (header < begin + heap.used) {
    BlockHeader block;
    std::memcpy(&block, header, sizeof block);
    const std::byte* const data = header + sizeof block;
    const std::byte* const end = data + block.bytes;
    if (at < end) {
      const auto offset = static_cast<std::size_t>(at - data);
      return at >= data && offset <= block.requested ? block.requested - offset : 0;
    }
    header = end;
  }
  return 0;
}

}  // namespace ipctorture::schedule

using namespace ipctorture::schedule;

namespace {
constexpr std::size_t odd_bit = std::size_t{1} << 40;
}

extern "C" {

void* malloc(size_t bytes) { return controlled() ? allocate(bytes) : __libc_malloc(bytes); }

void free(void* pointer) {
  if (pointer == nullptr) return;
  if (!is_lane_memory(pointer)) return __libc_free(pointer);
  if ((header_of(pointer).bytes & odd_bit) == 0) release(pointer);
}

void* calloc(size_t count, size_t bytes) {
  if (!controlled()) return __libc_calloc(count, bytes);
  if (bytes != 0 && count > SIZE_MAX / bytes) {
    errno = ENOMEM;
    return nullptr;
  }
  void* block = allocate(count * bytes);
  if (block != nullptr) std::memset(block, 0, count * bytes);
  return block;
}

void* realloc(void* pointer, size_t bytes) {
  const bool ours = pointer != nullptr && is_lane_memory(pointer);
  if (!ours && !controlled()) return __libc_realloc(pointer, bytes);
  if (pointer != nullptr && !ours) return __libc_realloc(pointer, bytes);
  void* block = malloc(bytes);
  if (block == nullptr || pointer == nullptr) return block;
  std::memcpy(block, pointer, std::min(bytes, header_of(pointer).bytes & ~odd_bit));
  free(pointer);
  return block;
}

void* memalign(size_t alignment, size_t bytes) {
  return controlled() ? allocate_aligned(alignment, bytes) : __libc_memalign(alignment, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void** to, size_t alignment, size_t bytes) {
  *to = memalign(alignment, bytes);
  return *to == nullptr ? ENOMEM : 0;
}
size_t malloc_usable_size(void* pointer) noexcept {
  if (pointer == nullptr) return 0;
  if (is_lane_memory(pointer)) return header_of(pointer).requested;
  static const auto call = real<decltype(&::malloc_usable_size)>("malloc_usable_size");
  return call(pointer);
}

}  // extern "C"
