// The files of a bundle in one input of bundle_reader: the magic, then for each file u32 length and
// the bytes. Reading is lenient: what is missing is empty.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace ipctorture {

inline constexpr std::array<const char*, 7> bundle_file_names{
    "manifest.json",  "scenario.json", "history.bin", "evidence.json",
    "judgement.json", "output.txt",    "stacks.txt"};
inline constexpr std::string_view bundle_pack_magic = "ICTPACK1";

using BundlePack = std::array<std::string, bundle_file_names.size()>;

inline BundlePack unpack_bundle(std::string_view bytes) {
  BundlePack files;
  if (bytes.starts_with(bundle_pack_magic)) bytes.remove_prefix(bundle_pack_magic.size());
  for (std::string& file : files) {
    std::uint32_t length = 0;
    if (bytes.size() < sizeof length) break;
    std::memcpy(&length, bytes.data(), sizeof length);
    bytes.remove_prefix(sizeof length);
    file = bytes.substr(0, length);
    bytes.remove_prefix(file.size());
  }
  return files;
}

inline std::string pack_bundle(const BundlePack& files) {
  std::string bytes(bundle_pack_magic);
  for (const std::string& file : files) {
    const auto length = static_cast<std::uint32_t>(file.size());
    bytes.append(reinterpret_cast<const char*>(&length), sizeof length).append(file);
  }
  return bytes;
}

// The files of a folder; those that are not there are empty.
inline BundlePack bundle_files(const std::filesystem::path& folder) {
  BundlePack files;
  for (std::size_t i = 0; i < files.size(); ++i) {
    std::ifstream in(folder / bundle_file_names[i], std::ios::binary);
    files[i].assign(std::istreambuf_iterator<char>(in), {});
  }
  return files;
}

}  // namespace ipctorture
