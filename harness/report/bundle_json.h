// The JSON parts of a bundle. Private to bundle.cc. Readers throw std::invalid_argument that begins
// with the file's name; every text they return is presentable.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/report/bundle.h"
#include "harness/report/window.h"

namespace ipctorture {

inline constexpr std::size_t manifest_bytes_max = 1 << 20;
inline constexpr std::size_t judgement_bytes_max = 2 << 20;
inline constexpr std::size_t evidence_bytes_max = 8 << 20;
inline constexpr std::size_t evidence_entries_max = 10'000;

// The manifest: `content` but for scenario, records, evidence, judgement and texts;
// `truncated` instead of its own.
std::string manifest_to_json(const BundleContent& content, const std::string& truncated,
                             const std::vector<Segments>& kept);
struct Manifest {
  BundleContent content;  // its lanes without records
  std::vector<Segments> kept;
};
Manifest manifest_from_json(std::string_view text);

// As many entries as `entries_max` and evidence_bytes_max allow, the first and the last ones;
// `left_out` is how many were not written.
std::string evidence_to_json(const std::vector<Evidence>& evidence, std::size_t entries_max,
                             std::size_t* left_out);
std::vector<Evidence> evidence_from_json(std::string_view text);

// Witnesses are written by their place in the whole history, and read by their place among `kept`.
std::string judgement_to_json(const Judgement& judgement, const std::vector<Segments>& kept);
Judgement judgement_from_json(std::string_view text, const std::vector<Segments>& kept);

}  // namespace ipctorture
