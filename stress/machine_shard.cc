#include "stress/machine_shard.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "harness/base/descriptor.h"

namespace ipctorture {
namespace {

// What one family of variables says.
struct Said {
  ChosenShard chosen;
  bool in_passing = false;  // that there is one alone, without an index: another family may differ
};

class Variables {
 public:
  explicit Variables(const Settings::Environment& environment) : environment_(environment) {}

  std::string text(const std::string& name) const {
    const char* text = environment_(name.c_str());
    return text == nullptr ? std::string() : text;
  }
  bool set(const std::string& name) const { return !text(name).empty(); }
  std::uint64_t number(const std::string& name) const {
    const std::string value = text(name);
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size() || number > 1'000'000'000) {
      throw UsageError(fmt::format("{}='{}' is no number of a shard", name, value));
    }
    return number;
  }
  // "A=1, B=2" of those that are set.
  std::string shown(const std::vector<std::string>& names) const {
    std::string shown;
    for (const std::string& name : names) {
      if (set(name)) shown += fmt::format("{}{}={}", shown.empty() ? "" : ", ", name, text(name));
    }
    return shown;
  }

 private:
  const Settings::Environment& environment_;
};

constexpr std::uint64_t shards_max = 100'000;

// `index` counts from 0.
Shard checked(std::uint64_t index, std::uint64_t count, const std::string& shown) {
  if (count == 0 || count > shards_max || index >= count) {
    throw UsageError(shown + ": there is no such shard");
  }
  return {.index = static_cast<std::uint32_t>(index + 1),
          .count = static_cast<std::uint32_t>(count)};
}

struct Pair {
  std::string index, count;
  std::uint64_t first = 0;  // that the index counts from
  std::string hint;         // when the count is missing
  std::string status_file;  // name of a variable
};

std::optional<Said> pair_says(const Variables& variables, const Pair& pair) {
  const bool index = variables.set(pair.index), count = variables.set(pair.count);
  const std::string shown = variables.shown({pair.index, pair.count});
  if (!index && !count) return std::nullopt;
  if (!index && variables.number(pair.count) == 1) return Said{{.from = shown}, true};
  if (!index || !count) {
    throw UsageError(fmt::format("--shard auto: {} is set, but not {}{}", shown,
                                 index ? pair.count : pair.index, index ? pair.hint : ""));
  }
  const std::uint64_t number = variables.number(pair.index);
  if (number < pair.first) throw UsageError(fmt::format("{}: counts from {}", shown, pair.first));
  Said said{
      {.shard = checked(number - pair.first, variables.number(pair.count), shown), .from = shown}};
  if (variables.set(pair.status_file)) {
    said.chosen.status_files.push_back(variables.text(pair.status_file));
  }
  return said;
}

std::optional<Said> slurm_array_says(const Variables& variables) {
  const std::string id = "SLURM_ARRAY_TASK_ID", least = "SLURM_ARRAY_TASK_MIN",
                    most = "SLURM_ARRAY_TASK_MAX", step_name = "SLURM_ARRAY_TASK_STEP",
                    count = "SLURM_ARRAY_TASK_COUNT";
  const std::string shown = variables.shown({id, least, most, step_name, count});
  if (shown.empty()) return std::nullopt;
  for (const std::string& needed : {id, least, count}) {
    if (!variables.set(needed)) {
      throw UsageError(fmt::format("--shard auto: {} is set, but not {}", shown, needed));
    }
  }
  const std::uint64_t step =
      variables.set(step_name) ? std::max<std::uint64_t>(1, variables.number(step_name)) : 1;
  const std::uint64_t first = variables.number(least), number = variables.number(id),
                      elements = variables.number(count);
  const bool even =
      number >= first && (number - first) % step == 0 && elements > 0 &&
      (!variables.set(most) || variables.number(most) == first + (elements - 1) * step);
  if (!even) {
    throw UsageError(shown + ": an array whose numbers are not evenly spaced; give --shard i/n");
  }
  return Said{{.shard = checked((number - first) / step, elements, shown), .from = shown}};
}

std::optional<Said> slurm_tasks_say(const Variables& variables) {
  // In a batch script of one task only the index is set.
  const bool alone = variables.set("SLURM_PROCID") && !variables.set("SLURM_NTASKS") &&
                     variables.number("SLURM_PROCID") == 0;
  if (alone) return Said{{.from = variables.shown({"SLURM_PROCID"})}, true};
  return pair_says(variables, {.index = "SLURM_PROCID", .count = "SLURM_NTASKS"});
}

std::optional<Said> slurm_says(const Variables& variables) {
  auto array = slurm_array_says(variables);
  auto tasks = slurm_tasks_say(variables);
  if (!array) return tasks;
  if (!tasks || tasks->chosen.shard.count == 1) return array;
  const Shard &outer = array->chosen.shard, &inner = tasks->chosen.shard;
  const std::string shown = array->chosen.from + ", " + tasks->chosen.from;
  return Said{{.shard = checked(std::uint64_t{outer.index - 1} * inner.count + inner.index - 1,
                                std::uint64_t{outer.count} * inner.count, shown),
               .from = shown}};
}

void touch(const std::string& file) {
  const Descriptor fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600));
  if (fd.valid()) return;
  throw UsageError(fmt::format("the file that tells of sharding cannot be made: {}: {}", file,
                               std::generic_category().message(errno)));
}

}  // namespace

ChosenShard machine_shard(const Settings::Environment& environment) {
  const Variables variables(environment);
  std::vector<Said> all;
  const auto add = [&](std::optional<Said> said) {
    if (said) all.push_back(std::move(*said));
  };
  add(pair_says(variables, {.index = "JOB_COMPLETION_INDEX",
                            .count = "JOB_COMPLETIONS",
                            .hint = ": the manifest must give it, as many as its completions"}));
  add(pair_says(variables, {.index = "CI_NODE_INDEX", .count = "CI_NODE_TOTAL", .first = 1}));
  add(slurm_says(variables));
  add(pair_says(variables, {.index = "TEST_SHARD_INDEX",
                            .count = "TEST_TOTAL_SHARDS",
                            .status_file = "TEST_SHARD_STATUS_FILE"}));
  add(pair_says(variables, {.index = "GTEST_SHARD_INDEX",
                            .count = "GTEST_TOTAL_SHARDS",
                            .status_file = "GTEST_SHARD_STATUS_FILE"}));
  if (all.empty()) {
    throw UsageError(
        "--shard auto: none of JOB_COMPLETION_INDEX, CI_NODE_INDEX, SLURM_ARRAY_TASK_ID, "
        "SLURM_PROCID, TEST_SHARD_INDEX, GTEST_SHARD_INDEX is set; give --shard i/n");
  }
  const Said* first = nullptr;
  for (const Said& said : all) {
    if (first == nullptr || (first->in_passing && !said.in_passing)) first = &said;
  }
  ChosenShard chosen = first->chosen;
  chosen.status_files.clear();
  for (const Said& said : all) {
    const Shard& other = said.chosen.shard;
    const bool same = other.index == chosen.shard.index && other.count == chosen.shard.count;
    if (!same && !said.in_passing) {
      throw UsageError(
          fmt::format("--shard auto: {} and {} contradict each other; give --shard i/n",
                      chosen.from, said.chosen.from));
    }
    for (const std::string& file : said.chosen.status_files) chosen.status_files.push_back(file);
  }
  return chosen;
}

ChosenShard chosen_shard(const Settings& settings, const Settings::Environment& environment) {
  const auto setting = settings.find("shard");
  if (!setting) return {};
  ChosenShard chosen;
  if (setting->text == "auto") {
    chosen = machine_shard(environment);
  } else {
    chosen.shard = parse_shard(*setting);
  }
  if (chosen.shard.count > 1 && !settings.find("seed")) {
    throw UsageError(fmt::format(
        "{}: a shard needs --seed, the same for all of them: else each is a part of another "
        "campaign",
        setting->origin));
  }
  for (const std::string& file : chosen.status_files) touch(file);
  return chosen;
}

std::string shard_line(const ChosenShard& chosen) {
  if (chosen.shard.count == 1 && chosen.from.empty()) return {};
  return fmt::format("shard {}/{}{}\n", chosen.shard.index, chosen.shard.count,
                     chosen.from.empty() ? "" : " (" + chosen.from + ")");
}

}  // namespace ipctorture
