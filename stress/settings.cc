#include "stress/settings.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cmath>

#include "harness/base/descriptor.h"
#include "harness/scenario/generate.h"
#include "stress/nearest.h"
#include "stress/toml_text.h"

namespace ipctorture {
namespace {

constexpr std::array<std::string_view, 28> names{
    "soak",   "known",       "failing-calls", "short-calls", "control",  "hand-over", "page",
    "seeds",  "mutant-time", "twin-time",     "resume",      "debugger", "schedules", "time",
    "runs",   "seed",        "case",          "out",         "exclude",  "fail-fast", "shard",
    "launch", "jobs",        "quiet",         "json",        "junit",    "attempts",  "color"};
constexpr std::size_t file_bytes_max = 64 * 1024;

bool is_setting(std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

[[noreturn]] void refuse(const Settings::Value& value, std::string_view instead) {
  throw UsageError(fmt::format("{}: '{}' is {}", value.origin, value.text, instead));
}

std::string toml_scalar(const toml::node& node, const std::string& where) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  throw UsageError(where + ": only texts, whole numbers, true and false, and lists of texts");
}

std::string toml_text(const toml::node& node, const std::string& where) {
  const toml::array* list = node.as_array();
  if (list == nullptr) return toml_scalar(node, where);
  std::string joined;
  for (const toml::node& entry : *list) {
    joined += (joined.empty() ? "" : ",") + toml_scalar(entry, where);
  }
  return joined;
}

template <typename Number>
bool parse_whole(std::string_view text, Number* number, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number, base);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

std::span<const std::string_view> setting_names() { return names; }

std::string environment_name(std::string_view setting) {
  std::string name = "IPCTORTURE_";
  for (const char c : setting) {
    name += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  }
  return name;
}

void Settings::set_flag(std::string_view setting, std::string text) {
  flags_[std::string(setting)] = {std::move(text), fmt::format("--{}", setting)};
}

void Settings::add_flag(std::string_view setting, const std::string& text) {
  const auto found = flags_.find(setting);
  set_flag(setting, found == flags_.end() ? text : found->second.text + "," + text);
}

void Settings::read_environment(const Environment& environment) {
  for (const std::string_view name : names) {
    const std::string variable = environment_name(name);
    const char* text = environment(variable.c_str());
    if (text != nullptr && *text != 0) environment_[std::string(name)] = {text, variable};
  }
}

void Settings::read_toml(std::string_view text, const std::string& file) {
  const toml::table table = read_toml_text(text, file);
  for (const auto& [key, node] : table) {
    const std::string_view name = key.str();
    const std::string where = fmt::format("{}:{}: {}", file, node.source().begin.line, name);
    if (!is_setting(name)) {
      throw UsageError(where + " is no setting" + did_you_mean(name, {names.begin(), names.end()}));
    }
    file_[std::string(name)] = {toml_text(node, where), where};
  }
}

std::optional<std::string> read_small_file(const std::string& file) {
  const Descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid() && errno == ENOENT) return std::nullopt;
  if (!fd.valid()) throw UsageError(file + ": " + std::generic_category().message(errno));
  std::string text(file_bytes_max + 1, 0);
  std::size_t size = 0;
  for (;;) {
    const ssize_t got = ::read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0) throw UsageError(file + ": " + std::generic_category().message(errno));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
    if (size > file_bytes_max) throw UsageError(file + ": is above 64 KiB");
  }
  text.resize(size);
  return text;
}

void Settings::read_toml_file(const std::string& file, IfMissing if_missing) {
  if (const auto text = read_small_file(file)) return read_toml(*text, file);
  if (if_missing == IfMissing::refuse) {
    throw UsageError(file + ": " + std::generic_category().message(ENOENT));
  }
}

std::optional<Settings::Value> Settings::find(std::string_view setting) const {
  for (const Layer* layer : {&flags_, &environment_, &file_}) {
    const auto found = layer->find(setting);
    if (found != layer->end()) return found->second;
  }
  return std::nullopt;
}

std::string Settings::text_or(std::string_view setting, std::string_view fallback) const {
  const auto value = find(setting);
  return value ? value->text : std::string(fallback);
}

bool Settings::on(std::string_view setting) const {
  const auto value = find(setting);
  if (!value) return false;
  for (const std::string_view yes : {"1", "true", "yes", "on"}) {
    if (value->text == yes) return true;
  }
  for (const std::string_view no : {"0", "false", "no", "off"}) {
    if (value->text == no) return false;
  }
  refuse(*value, "neither true nor false");
}

std::vector<std::string> Settings::list(std::string_view setting) const {
  std::vector<std::string> parts;
  const auto value = find(setting);
  if (!value) return parts;
  std::string_view rest = value->text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    if (end > 0) parts.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return parts;
}

std::int64_t parse_duration_ns(const Settings::Value& value) {
  constexpr std::string_view wanted = "no duration: write 500ms, 10s, 2m or 1h";
  constexpr double longest_s = 30.0 * 24 * 3600;
  double number = 0;
  const char* const end = value.text.data() + value.text.size();
  const auto [unit, error] =
      std::from_chars(value.text.data(), end, number, std::chars_format::fixed);
  if (error != std::errc()) refuse(value, wanted);
  const std::string_view name(unit, static_cast<std::size_t>(end - unit));
  double seconds = 0;
  if (name == "ms") {
    seconds = number / 1000;
  } else if (name == "s") {
    seconds = number;
  } else if (name == "m" || name == "min") {
    seconds = number * 60;
  } else if (name == "h") {
    seconds = number * 3600;
  } else {
    refuse(value, wanted);
  }
  if (!(seconds >= 0.001)) refuse(value, "too short: at least 1ms");
  if (!(seconds <= longest_s)) refuse(value, "too long: at most 720h");
  return std::llround(seconds * 1e9);
}

std::uint64_t parse_count(const Settings::Value& value, std::uint64_t low, std::uint64_t high) {
  std::uint64_t number = 0;
  if (!parse_whole(value.text, &number) || number < low || number > high) {
    refuse(value, fmt::format("no whole number from {} to {}", low, high));
  }
  return number;
}

std::uint64_t parse_seed(const Settings::Value& value) {
  const std::string_view text = value.text;
  const std::size_t colon = text.find(':');
  unsigned version = 0;
  std::uint64_t seed = 0;
  const bool formed = colon != std::string_view::npos && text[0] == 'g' &&
                      parse_whole(text.substr(1, colon - 1), &version) &&
                      text.size() - colon - 1 <= 16 &&
                      parse_whole(text.substr(colon + 1), &seed, 16);
  if (!formed) {
    refuse(value,
           fmt::format("no seed: write g{}: and up to 16 hexadecimal digits", generator_version));
  }
  if (version != generator_version) {
    refuse(value,
           fmt::format("of generator {}, but this program has generator {}: the same seed would "
                       "give other scenarios. Use the version that printed it, or replay its "
                       "bundle, which holds the scenario itself",
                       version, generator_version));
  }
  return seed;
}

Shard parse_shard(const Settings::Value& value) {
  const std::string_view text = value.text;
  const std::size_t slash = text.find('/');
  Shard shard;
  if (slash == std::string_view::npos || !parse_whole(text.substr(0, slash), &shard.index) ||
      !parse_whole(text.substr(slash + 1), &shard.count) || shard.count == 0 || shard.index == 0 ||
      shard.index > shard.count || shard.count > 100'000) {
    refuse(value, "no shard: write i/n with i from 1 to n, such as 2/5");
  }
  return shard;
}

Launch parse_launch(const Settings::Value& value) {
  for (const Launch launch : {Launch::fork, Launch::exec}) {
    if (value.text == to_string(launch)) return launch;
  }
  refuse(value,
         "no way to start workers: fork or exec" + did_you_mean(value.text, {"fork", "exec"}));
}

std::string seed_text(std::uint64_t seed) {
  return fmt::format("g{}:{:016x}", generator_version, seed);
}

}  // namespace ipctorture
