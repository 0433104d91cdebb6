// The folders of `ipctorture merge`: reads what the parts of a campaign left, and writes the union
// so that it can be merged again.
//
//   DIR/results.jsonl       the union, as of one run
//   DIR/shards/N.jsonl      the results of shard N; a second execution is N-2.jsonl
//   DIR/shardN-NAME/        bundle NAME of shard N
//
// Folders are read as hostile input: nothing outside them is read, sizes are bounded.
#pragma once

#include <string>
#include <vector>

#include "stress/merge.h"

namespace ipctorture {

inline constexpr std::size_t parts_max = 1000;
inline constexpr unsigned merged_bundles_max = 256;

// The results of all parts in `folders`. Paths of bundles are where they are now; empty where a
// bundle is not in its folder. Throws UsageError that names file and line.
std::vector<ResultLines> read_parts(const std::vector<std::string>& folders);

// Makes `directory` (empty: as RunOutput) and copies the bundles of `parts` into it, at most
// merged_bundles_max; their paths are changed to the copies. Answers the path of the directory.
// Throws UsageError when it holds results already, std::system_error.
std::string gather_bundles(const std::string& directory, std::vector<ResultLines>* parts);

// results.jsonl and shards/.
void write_merged(const std::string& directory, const Merged& merged,
                  const std::vector<ResultLines>& parts);

}  // namespace ipctorture
