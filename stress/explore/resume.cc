#include "stress/explore/resume.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "harness/base/descriptor.h"
#include "harness/scenario/strict_json.h"
#include "stress/settings.h"

namespace ipctorture {
namespace {

constexpr std::string_view schema = "ipctorture-explore-state/1";
constexpr std::size_t bytes_max = 1u << 20;
constexpr int depth_max = 5;
constexpr std::size_t name_max = 300, names_max = 256, transports_max = 4096;

std::string read_file(const std::string& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  if (!fd.valid() && errno == ENOENT) return {};
  if (!fd.valid()) throw UsageError(path + ": " + std::generic_category().message(errno));
  std::string text(bytes_max + 1, 0);
  const ssize_t size = ::read(fd.get(), text.data(), text.size());
  if (size < 0) throw UsageError(path + ": " + std::generic_category().message(errno));
  if (static_cast<std::size_t>(size) > bytes_max) throw UsageError(path + ": is above 1 MiB");
  text.resize(static_cast<std::size_t>(size));
  return text;
}

ExploreState parse(const std::string& text) {
  JsonReader json(parse_strict_json(text, "state", bytes_max, depth_max), "state");
  if (json.text("schema", 64) != schema) json.refuse("schema", "is not " + std::string(schema));
  ExploreState state;
  state.seed = json.number("seed", 0, UINT64_MAX);
  state.jobs = static_cast<unsigned>(json.number("jobs", 1, 1024));
  if (json.has("parts")) {
    state.parts = static_cast<unsigned>(json.number("parts", 1, 100'000));
    state.part = static_cast<unsigned>(json.number("part", 0, state.parts - 1));
  }
  const auto transports = json.list("transports", transports_max);
  for (std::size_t i = 0; i < transports.size(); ++i) {
    JsonReader one = json.entry("transports", i, transports[i]);
    auto& transport = state.transports[one.text("name", name_max)];
    transport.rounds = one.number("rounds", 0, UINT32_MAX);
    for (const auto& name : one.list("complete", names_max)) {
      if (!name.is_string()) one.refuse("complete", "is no list of names");
      transport.complete.insert(name.get<std::string>().substr(0, name_max));
    }
    one.end();
  }
  json.end();
  return state;
}

}  // namespace

ExploreState read_explore_state(const std::string& path) {
  const std::string text = read_file(path);
  if (text.empty()) return {};
  try {
    return parse(text);
  } catch (const std::invalid_argument& error) {
    throw UsageError(path + ": " + error.what());
  }
}

void write_explore_state(const std::string& path, const ExploreState& state) {
  nlohmann::ordered_json json = {{"schema", schema},
                                 {"seed", state.seed},
                                 {"jobs", state.jobs},
                                 {"part", state.part},
                                 {"parts", state.parts}};
  auto& transports = json["transports"] = nlohmann::ordered_json::array();
  for (const auto& [name, transport] : state.transports) {
    transports.push_back(
        {{"name", name}, {"rounds", transport.rounds}, {"complete", transport.complete}});
  }
  const std::string text = json.dump(1) + "\n";
  const std::string temporary = path + ".new";
  const Descriptor fd = own_descriptor(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600),
      "open", temporary);
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    throw_system_error("write", temporary);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) throw_system_error("rename", path);
}

}  // namespace ipctorture
