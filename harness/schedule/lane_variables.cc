#include "harness/schedule/lane_variables.h"

#include <link.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace ipctorture::schedule {
namespace {

struct Search {
  std::uintptr_t code = 0;
  std::byte* block = nullptr;
  const std::byte* image = nullptr;
  std::size_t image_bytes = 0, bytes = 0;
};

int look_at(dl_phdr_info* info, std::size_t, void* data) {
  auto& search = *static_cast<Search*>(data);
  bool holds = false;
  const ElfW(Phdr)* variables = nullptr;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = info->dlpi_phdr[i];
    const std::uintptr_t from = info->dlpi_addr + header.p_vaddr;
    if (header.p_type == PT_LOAD && search.code - from < header.p_memsz) holds = true;
    if (header.p_type == PT_TLS) variables = &header;
  }
  if (!holds) return 0;
  if (variables != nullptr && info->dlpi_tls_data != nullptr) {
    search.block = static_cast<std::byte*>(info->dlpi_tls_data);
    search.image = reinterpret_cast<const std::byte*>(info->dlpi_addr + variables->p_vaddr);
    search.image_bytes = variables->p_filesz;
    search.bytes = variables->p_memsz;
  }
  return 1;
}

// A few bytes in most objects: a call would cost more than the copy.
void copy_bytes(std::byte* to, const std::byte* from, std::size_t bytes) {
  constexpr std::size_t few = 16;
  if (bytes > few) {
    std::memcpy(to, from, bytes);
    return;
  }
#pragma GCC unroll 1
  for (std::size_t i = 0; i < bytes; ++i) to[i] = from[i];
}

}  // namespace

void LaneVariables::find(const void* code) {
  Search search{.code = reinterpret_cast<std::uintptr_t>(code)};
  if (code != nullptr) ::dl_iterate_phdr(look_at, &search);
  block_ = search.block;
  image_ = search.image;
  image_bytes_ = search.image_bytes;
  bytes_ = search.bytes;
  kept_.assign((lanes_max + 1) * bytes_, std::byte{0});
}

void LaneVariables::begin(unsigned lane) {
  if (bytes_ == 0) return;
  std::byte* to = kept(static_cast<int>(lane));
  std::copy_n(image_, image_bytes_, to);
  std::fill_n(to + image_bytes_, bytes_ - image_bytes_, std::byte{0});
}

void LaneVariables::exchange(int from, int to) {
  copy_bytes(kept(from), block_, bytes_);
  copy_bytes(block_, kept(to), bytes_);
}

}  // namespace ipctorture::schedule
