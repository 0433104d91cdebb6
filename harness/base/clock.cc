#include "harness/base/clock.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>
#include <vector>

namespace ipctorture {
namespace {

constexpr Instant ns_per_s = 1'000'000'000;

Instant read_clock(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return now.tv_sec * ns_per_s + now.tv_nsec;
}

// The kernel's word that the counter ticks at one rate in every state of every core.
bool hardware_stamps_are_invariant() {
#if defined(__x86_64__)
  std::ifstream cpuinfo("/proc/cpuinfo");
  std::string line;
  while (std::getline(cpuinfo, line)) {
    if (line.starts_with("flags")) {
      return line.find("constant_tsc") != std::string::npos &&
             line.find("nonstop_tsc") != std::string::npos;
    }
  }
  return false;
#elif defined(__aarch64__)
  return true;  // the generic timer is system-wide by architecture
#else
  return false;
#endif
}

double measure_ticks_per_ns() {
  const StampSource source = StampSource::hardware;
  double best = 0;
  Instant best_width = INT64_MAX;
  for (int attempt = 0; attempt < 3; ++attempt) {
    const Stamp t0 = stamp_begin(source);
    const Instant n0 = monotonic_now();
    const Stamp t0_after = stamp_end(source);
    const Instant until = n0 + 2'000'000;
    while (monotonic_now() < until) {
    }
    const Stamp t1 = stamp_begin(source);
    const Instant n1 = monotonic_now();
    const Stamp t1_after = stamp_end(source);
    const auto width = static_cast<Instant>((t0_after - t0) + (t1_after - t1));
    if (width < best_width) {
      best_width = width;
      const auto mid0 = static_cast<double>(t0) + static_cast<double>(t0_after - t0) / 2;
      const auto mid1 = static_cast<double>(t1) + static_cast<double>(t1_after - t1) / 2;
      best = (mid1 - mid0) / static_cast<double>(n1 - n0);
    }
  }
  return best;
}

void pin(std::thread& thread, int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  ::pthread_setaffinity_np(thread.native_handle(), sizeof set, &set);
}

// One litmus direction: a message passes from core to core, and its receipt is stamped after its
// dispatch. Returns by how many ticks the stamps ever ran against that order.
Stamp backwards_ticks(int from_cpu, int to_cpu) {
  constexpr int rounds = 2000;
  constexpr Instant patience_ns = 5'000'000;  // a loaded machine gets fewer rounds
  constexpr Stamp over = ~Stamp{0};
  alignas(64) std::atomic<Stamp> sent{0};
  alignas(64) std::atomic<int> answered{0};
  Stamp worst = 0;
  std::thread receiver([&] {
    for (Stamp last = 0, stamp = 0;;) {
      for (unsigned spins = 1; (stamp = sent.load(std::memory_order_acquire)) == last; ++spins) {
        if (spins % 1024 == 0) std::this_thread::yield();
      }
      const Stamp seen = stamp_begin(StampSource::hardware);
      if (stamp == over) return;
      if (seen < stamp) worst = std::max(worst, stamp - seen);
      last = stamp;
      answered.fetch_add(1, std::memory_order_release);
    }
  });
  std::thread sender([&] {
    const Instant until = monotonic_now() + patience_ns;
    for (int i = 1; i <= rounds && monotonic_now() < until; ++i) {
      Stamp stamp = stamp_end(StampSource::hardware);
      if (stamp == sent.load(std::memory_order_relaxed)) ++stamp;
      sent.store(stamp, std::memory_order_release);
      while (answered.load(std::memory_order_acquire) != i) std::this_thread::yield();
    }
    sent.store(over, std::memory_order_release);
  });
  pin(receiver, to_cpu);
  pin(sender, from_cpu);
  sender.join();
  receiver.join();
  return worst;
}

std::vector<int> usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

}  // namespace

Stamp clock_detail::monotonic_stamp() { return static_cast<Stamp>(read_clock(CLOCK_MONOTONIC)); }

Instant monotonic_now() { return read_clock(CLOCK_MONOTONIC); }

bool is_ahead(const timespec& when, clockid_t clock) {
  const Instant now = read_clock(clock);
  const Instant seconds = now / ns_per_s;
  return when.tv_sec != seconds ? when.tv_sec > seconds : when.tv_nsec > now % ns_per_s;
}

timespec to_timespec(Instant instant) {
  return {.tv_sec = instant / ns_per_s, .tv_nsec = instant % ns_per_s};
}

std::string calendar_utc() {
  const time_t seconds = ::time(nullptr);
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  ::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts);
  return text;
}

StampProperties measure_stamps() {
  StampProperties properties;
  constexpr Stamp tolerated_ticks = 20'000;  // beyond this the cores' counters are not one clock
  if (!hardware_stamps_are_invariant()) return properties;
  Stamp worst = 0;
  const auto cpus = usable_cpus();
  if (cpus.size() > 1) {
    worst = std::max(backwards_ticks(cpus.front(), cpus.back()),
                     backwards_ticks(cpus.back(), cpus.front()));
  }
  if (worst > tolerated_ticks) return properties;
  properties.source = StampSource::hardware;
  properties.ticks_per_ns = measure_ticks_per_ns();
  properties.slack_ticks = 2 * worst;
  return properties;
}

Instant Deadline::remaining() const {
  if (is_now()) return 0;
  if (is_never()) return forever;
  return std::max<Instant>(0, when_ - monotonic_now());
}

int Deadline::poll_ms() const {
  if (is_never()) return -1;
  return static_cast<int>(std::min<Instant>((remaining() + 999'999) / 1'000'000, INT32_MAX));
}

timespec Deadline::remaining_timespec() const { return to_timespec(remaining()); }

timespec Deadline::realtime_timespec() const {
  return to_timespec(read_clock(CLOCK_REALTIME) + remaining());
}

}  // namespace ipctorture
