#include "stress/merge_folders.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "harness/base/descriptor.h"
#include "harness/report/folder.h"
#include "stress/run_output.h"
#include "stress/settings.h"

namespace ipctorture {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t bundle_file_max = 64u << 20;
constexpr const char* bundle_files[] = {"manifest.json", "scenario.json",  "history.bin",
                                        "evidence.json", "judgement.json", "output.txt",
                                        "stacks.txt",    "schedule.json",  "interleaving.txt"};

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

// Of a bundle as its run named it, the part below the run's folder; empty: it is none of its own.
std::string below(const std::string& bundle, const std::string& out) {
  if (out.empty() || !bundle.starts_with(out + "/")) return {};
  const std::string rest = bundle.substr(out.size() + 1);
  const fs::path path(rest);
  for (const fs::path& step : path) {
    const std::string name = step.string();
    if (name.empty() || name == "." || name == ".." || name.front() == '/') return {};
  }
  return rest;
}

bool is_folder(const std::string& path) {
  struct stat status{};
  return ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

// No step of the way is a link.
bool leads_inside(std::string folder, const std::string& rest) {
  for (const fs::path& step : fs::path(rest)) {
    folder += "/" + step.string();
    if (!is_folder(folder)) return false;
  }
  return true;
}

ResultLines read_part(const std::string& folder, const FolderReader& reader,
                      const std::string& shown, const std::string& name) {
  ResultLines lines;
  try {
    lines = read_results(reader.read(name, results_bytes_max), shown + "/" + name);
  } catch (const std::runtime_error& error) {
    throw UsageError(error.what());
  } catch (const std::invalid_argument& error) {
    throw UsageError(error.what());
  }
  const std::string out = without_slash(lines.start.out);
  for_each_bundle(&lines, [&](std::string* path) {
    const std::string rest = below(*path, out);
    *path = !rest.empty() && leads_inside(folder, rest) ? folder + "/" + rest : "";
  });
  return lines;
}

// Of a union: those of its shards.
std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!name.ends_with(".jsonl")) continue;
    names.push_back(name);
    if (names.size() > parts_max) throw UsageError(folder + ": more than 1000 results");
  }
  if (error) throw UsageError(fmt::format("{}: {}", folder, error.message()));
  std::sort(names.begin(), names.end());
  return names;
}

// A name without a way into another folder: "under-control/tcp-order-late" of shard 3 is
// "shard3-under-control-tcp-order-late".
std::string copied_name(const std::string& bundle, const std::string& folder, std::uint32_t shard) {
  std::string name = bundle.substr(std::min(bundle.size(), folder.size() + 1));
  for (char& c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-';
    if (!plain) c = '-';
  }
  const std::string prefix = fmt::format("shard{}-", shard);
  return (name.starts_with(prefix) ? name : prefix + name).substr(0, 120);
}

void copy_bundle(const std::string& from, const std::string& to) {
  const FolderReader reader(from);
  FolderWriter writer(to);
  for (const char* name : bundle_files) {
    if (reader.has(name)) writer.write(name, reader.read(name, bundle_file_max));
  }
  writer.commit();
}

void write_file(const std::string& path, const std::string& text) {
  const Descriptor fd = own_descriptor(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), "open",
      path);
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t written = ::write(fd.get(), text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) throw_system_error("write", path);
    done += static_cast<std::size_t>(written);
  }
}

// Before a bundle's own name there is its folder: of a path of `part`.
std::string folder_of(const ResultLines& part) {
  fs::path folder = fs::path(part.file).parent_path();
  if (folder.filename() == "shards") folder = folder.parent_path();
  return folder.string();
}

}  // namespace

std::vector<ResultLines> read_parts(const std::vector<std::string>& folders) {
  std::vector<ResultLines> parts;
  for (const std::string& given : folders) {
    const std::string folder = without_slash(given);
    const std::string shards = folder + "/shards";
    const auto add = [&](const std::string& where, const std::string& name) {
      if (parts.size() >= parts_max) throw UsageError(folder + ": more than 1000 results");
      try {
        parts.push_back(read_part(folder, FolderReader(where), where, name));
      } catch (const std::system_error& error) {
        throw UsageError(error.what());
      } catch (const UsageError&) {
        throw;
      } catch (const std::runtime_error& error) {
        throw UsageError(error.what());
      }
    };
    if (!is_folder(shards)) {
      add(folder, "results.jsonl");
    } else {
      for (const std::string& name : names_in(shards)) add(shards, name);
    }
  }
  if (parts.empty()) throw UsageError("merge: the folders hold no results");
  return parts;
}

std::string gather_bundles(const std::string& directory, std::vector<ResultLines>* parts) {
  for (const char* name : {"/results.jsonl", "/shards"}) {
    struct stat status{};
    if (directory.empty() || ::lstat((directory + name).c_str(), &status) != 0) continue;
    throw UsageError(fmt::format("--out: {} holds results already", directory));
  }
  const std::string path =
      directory.empty() ? default_output_directory() : without_slash(directory);
  fs::create_directories(path);
  std::map<std::string, std::string> copies;
  unsigned copied = 0;
  for (ResultLines& part : *parts) {
    const std::string folder = folder_of(part);
    for_each_bundle(&part, [&](std::string* bundle) {
      const auto [at, fresh] = copies.emplace(*bundle, "");
      if (fresh && copied < merged_bundles_max) {
        const std::string wish = path + "/" + copied_name(*bundle, folder, part.start.shard);
        std::string name = wish;
        for (unsigned i = 2; fs::exists(fs::symlink_status(name)); ++i) {
          name = fmt::format("{}-{}", wish, i);
        }
        try {
          copy_bundle(*bundle, name);
        } catch (const std::runtime_error& error) {
          if (dynamic_cast<const std::system_error*>(&error) != nullptr) throw;
          throw UsageError(error.what());
        }
        at->second = name;
        ++copied;
      }
      *bundle = at->second;
    });
    part.start.out = path;
  }
  return path;
}

void write_merged(const std::string& directory, const Merged& merged,
                  const std::vector<ResultLines>& parts) {
  const std::string shards = directory + "/shards";
  if (::mkdir(shards.c_str(), 0700) != 0) throw_system_error("mkdir", shards);
  std::map<std::uint32_t, unsigned> executions;
  std::set<std::string> seen;
  for (const ResultLines& part : parts) {
    const std::string text = results_text(part);
    if (!seen.insert(text).second) continue;  // the same ones, copied
    const unsigned execution = ++executions[part.start.shard];
    write_file(fmt::format("{}/{}{}.jsonl", shards, part.start.shard,
                           execution > 1 ? fmt::format("-{}", execution) : ""),
               text);
  }
  write_file(directory + "/results.jsonl", results_text(merged.lines));
}

}  // namespace ipctorture
