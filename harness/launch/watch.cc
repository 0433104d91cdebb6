#include "harness/launch/watch.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "harness/base/descriptor.h"

extern char** environ;

namespace ipctorture {
namespace {

constexpr std::int64_t starved_noted_ns = 5'000'000;
constexpr std::int64_t sleep_noted_ns = 90'000'000;
constexpr std::int64_t stall_noted_ns = 20'000'000;
constexpr std::size_t hang_text_max = 8192;

std::string read_small(const std::string& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 4096> text;
  const ssize_t got = fd.valid() ? ::read(fd.get(), text.data(), text.size()) : -1;
  return got > 0 ? std::string(text.data(), static_cast<std::size_t>(got)) : std::string();
}

std::uint64_t number_after(const std::string& text, std::string_view key) {
  const auto at = text.find(key);
  if (at == std::string::npos) return 0;
  const auto digit = text.find_first_of("0123456789", at + key.size());
  std::uint64_t value = 0;
  if (digit != std::string::npos) {
    std::from_chars(text.data() + digit, text.data() + text.size(), value);
  }
  return value;
}

std::string task_path(pid_t pid, pid_t tid, const char* file) {
  return "/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/" + file;
}

// Output of a program, without a shell; empty when it cannot be run or takes too long.
std::string output_of(std::vector<std::string> words, int patience_ms) {
  int pipe_ends[2];
  if (::pipe2(pipe_ends, O_CLOEXEC) != 0) return {};
  const Descriptor from(pipe_ends[0]);
  Descriptor to(pipe_ends[1]);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, to.get(), 1);
  ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  to.reset();
  if (error != 0) return {};
  std::string text;
  const Deadline deadline = Deadline::in(std::chrono::milliseconds(patience_ms));
  pollfd ready{from.get(), POLLIN, 0};
  std::array<char, 1024> chunk;
  while (text.size() < hang_text_max && ::poll(&ready, 1, deadline.poll_ms()) > 0) {
    const ssize_t got = ::read(from.get(), chunk.data(), chunk.size());
    if (got <= 0) break;
    text.append(chunk.data(), static_cast<std::size_t>(got));
  }
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  return text;
}

bool waits_for_order(LaneState state) {
  return state == LaneState::idle || state == LaneState::ready || state == LaneState::parked ||
         state == LaneState::sent_all;
}

}  // namespace

std::optional<ThreadSample> sample_thread(pid_t pid, pid_t tid) {
  const std::string status = read_small(task_path(pid, tid, "status"));
  const auto state = status.find("State:\t");
  if (state == std::string::npos) return std::nullopt;
  ThreadSample sample;
  const char letter = status[std::min(state + 7, status.size() - 1)];
  sample.asleep = letter == 'S' || letter == 'T';
  sample.blocked = letter == 'D';
  sample.switches = number_after(status, "\nvoluntary_ctxt_switches:") +
                    number_after(status, "\nnonvoluntary_ctxt_switches:");
  const std::string schedstat = read_small(task_path(pid, tid, "schedstat"));
  long long running = 0, waiting = 0;
  if (std::sscanf(schedstat.c_str(), "%lld %lld", &running, &waiting) == 2) {
    sample.starved_ns = waiting;
  }
  return sample;
}

std::string describe_hang(pid_t pid, pid_t tid) {
  const std::string text = output_of({"eu-stack", "-1", "-p", std::to_string(tid)}, 2000);
  // Before the frames stand process and thread, which change from run to run.
  if (const auto frames = text.find('#'); frames != std::string::npos) return text.substr(frames);
  return "wchan " + read_small(task_path(pid, tid, "wchan")) + "\nsyscall " +
         read_small(task_path(pid, tid, "syscall")) +
         "(no stack: eu-stack of elfutils is missing, or ptrace is refused)\n";
}

void Watch::begin(std::vector<Lane> lanes, std::uint64_t lane_records) {
  lanes_.clear();
  lane_records_ = lane_records;
  for (const Lane lane : lanes) lanes_.push_back({.lane = lane});
  evidence_.clear();
  began_ = last_tick_ = monotonic_now();
  if (looked_ == 0 || last_tick_ - looked_ >= look_again_ns) {
    remember_pressure(last_tick_, gauge_.read());
  }
}

void Watch::hold(unsigned lane, bool held) {
  Watched& watched = lanes_[lane];
  end_sleep(watched, static_cast<int>(lane));
  watched.known = false;
  watched.held = held;
}

void Watch::forget(unsigned lane) {
  hold(lane, false);
  lanes_[lane].gone = true;
}

void Watch::tick(Instant now) {
  if (now - last_tick_ < sample_every_ns) return;
  last_tick_ = now;
  for (std::size_t i = 0; i < lanes_.size(); ++i) observe(lanes_[i], static_cast<int>(i), now);
  look_for_pressure(now);
}

void Watch::look_for_pressure(Instant now) {
  const PressureCounts counts = gauge_.read();
  const Stamp from = looked_stamp_;
  std::vector<Evidence> grown = pressure_between(pressure_, counts, now - looked_);
  remember_pressure(now, counts);
  for (Evidence& evidence : grown) {
    evidence.from = from;
    evidence.to = looked_stamp_;
    add(std::move(evidence));
  }
}

void Watch::remember_pressure(Instant now, const PressureCounts& counts) {
  pressure_ = counts;
  looked_ = now;
  looked_stamp_ = stamp();
}

void Watch::observe(Watched& watched, int number, Instant now) {
  const LaneHeader& header = watched.lane.header();
  const LaneState state = watched.lane.state();
  const pid_t tid = header.tid.load(std::memory_order_acquire);
  std::optional<ThreadSample> sample;
  const bool ended = state == LaneState::done || state == LaneState::failed || watched.gone;
  if (!ended && !watched.held && tid > 0) {
    sample = sample_thread(header.pid.load(std::memory_order_relaxed), tid);
  }
  if (!sample) {
    end_sleep(watched, number);
    watched.known = false;
    return;
  }
  const std::uint64_t head = header.head.load(std::memory_order_acquire);
  const Stamp stamp = this->stamp();
  const bool still = watched.known && sample->asleep && watched.sample.asleep &&
                     head == watched.head && sample->switches == watched.sample.switches;
  if (watched.known) {
    std::int64_t starved = sample->starved_ns - watched.sample.starved_ns;
    // A close(2) that waits for a grace period of the kernel took seconds on a loaded machine.
    const bool same = sample->switches == watched.sample.switches;
    if (sample->blocked && watched.sample.blocked && same) starved = now - watched.taken;
    if (starved >= starved_noted_ns) {
      add({.fact = Fact::starved,
           .lane = number,
           .from = watched.stamp,
           .to = stamp,
           .value = static_cast<std::uint64_t>(starved)});
    }
  }
  if (!still) {
    end_sleep(watched, number);
  } else if (watched.asleep_since == 0) {
    watched.asleep_since = watched.taken;
    watched.asleep_from = watched.stamp;
    const bool open = header.opened.load(std::memory_order_acquire) > head && head < lane_records_;
    watched.untimed = open && watched.lane.records()[head].mode() == DeadlineMode::never;
  }
  watched.known = true;
  watched.head = head;
  watched.sample = *sample;
  watched.taken = now;
  watched.stamp = stamp;
}

void Watch::end_sleep(Watched& watched, int number) {
  if (watched.asleep_since != 0 && watched.taken - watched.asleep_since >= sleep_noted_ns) {
    add({.fact = Fact::asleep,
         .lane = number,
         .from = watched.asleep_from,
         .to = watched.stamp,
         .value = watched.untimed ? 1u : 0u});
  }
  watched.asleep_since = 0;
}

void Watch::note_wakeup(Instant due, Instant now) {
  if (now - due >= stall_noted_ns) add_interval(Fact::machine_stalled, now - due);
}

void Watch::add_interval(Fact fact, std::int64_t ns) {
  const Stamp to = stamp();
  const auto ticks = static_cast<Stamp>(static_cast<double>(ns) * stamps_.ticks_per_ns);
  add({.fact = fact, .from = to - ticks, .to = to, .value = static_cast<std::uint64_t>(ns)});
}

bool Watch::nothing_can_move() const {
  bool someone_in_operation = false;
  for (const Watched& watched : lanes_) {
    const LaneHeader& header = watched.lane.header();
    const LaneState state = watched.lane.state();
    if (state == LaneState::done || state == LaneState::failed || watched.gone) continue;
    const bool slept = watched.asleep_since != 0 &&
                       watched.taken - watched.asleep_since >= deadlock_after_ns &&
                       header.head.load(std::memory_order_acquire) == watched.head;
    if (!slept) return false;
    if (waits_for_order(state)) {
      // An order that was given and not yet taken will move it.
      if (header.order.load() != header.obeyed.load()) return false;
    } else if (watched.untimed) {
      someone_in_operation = true;
    } else {
      return false;
    }
  }
  return someone_in_operation;
}

std::vector<Evidence> Watch::take_evidence() {
  for (std::size_t i = 0; i < lanes_.size(); ++i) end_sleep(lanes_[i], static_cast<int>(i));
  const Instant now = monotonic_now();
  if (now - began_ >= sample_every_ns) look_for_pressure(now);
  return std::exchange(evidence_, {});
}

}  // namespace ipctorture
