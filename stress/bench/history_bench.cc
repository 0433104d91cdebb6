#include "stress/bench/history_bench.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <stdexcept>

#include "harness/base/clock.h"
#include "harness/base/descriptor.h"
#include "harness/check/oracles.h"
#include "harness/linear/text.h"
#include "stress/bench/figure.h"
#include "stress/bench/history_plot.h"
#include "stress/bench/long_history.h"
#include "stress/bench/long_run.h"
#include "stress/bench/peak_memory.h"
#include "stress/terminal.h"

namespace ipctorture {
namespace {

using linear::Contract;

constexpr std::uint32_t million = 1'000'000;

// The median of some runs.
double seconds_of(unsigned runs, const std::function<void()>& work) {
  std::vector<double> samples;
  for (unsigned i = 0; i < runs; ++i) {
    const Instant before = monotonic_now();
    work();
    samples.push_back(static_cast<double>(monotonic_now() - before) * 1e-9);
  }
  return median(std::move(samples));
}

unsigned runs_for(std::uint32_t operations) { return operations > million ? 3 : 11; }

// The test of form, the index, and of the oracles three.
Verdict three_promises(const CheckInput& input) {
  if (!history_faults(input.history).empty()) return Verdict::violation;
  const Subject subject(input);
  Verdict worst = Verdict::pass;
  for (const auto oracle : {check_integrity, check_delivery, check_order}) {
    worst = worse(worst, oracle(subject).verdict);
  }
  return worst;
}

void refuse_wrong(Verdict verdict) {
  if (verdict != Verdict::pass) throw std::logic_error("a right run is not called right");
}

class HistoryBench {
 public:
  explicit HistoryBench(const Settings& settings)
      : terminal_(this_terminal(settings)), json_(settings.on("json")) {}

  void run() {
    for (std::uint32_t operations = million / 100; operations <= 10 * million; operations *= 10) {
      judge_fifo(operations);
    }
    for (const Contract contract : linear::all_contracts) {
      if (contract != Contract::fifo) judge_other(contract);
    }
    for (const unsigned peers : {1u, 4u}) judge_runs(peers);
    if (!json_) print_result(figure_table(figures_, terminal_.results));
  }

  std::string plot() const {
    return plot_svg("seconds to judge or read a history, one core",
                    {complete_, troubled_, text_, run_});
  }

 private:
  void judge_fifo(std::uint32_t operations) {
    const auto complete = make_long_history({.operations = operations});
    const double quick = judged(complete, Contract::fifo);
    complete_.points.push_back({double(operations), quick});
    const auto troubled = make_long_history({.operations = operations, .troubled = true});
    const double slow = judged(troubled, Contract::fifo);
    troubled_.points.push_back({double(operations), slow});
    run_.points.push_back(
        {double(operations),
         judge_run(make_long_run({.producers = 4, .consumers = 4, .messages = operations / 2}))});
    const double reading = read(complete);
    text_.points.push_back({double(operations), reading});
    if (operations != million) return;
    const double events = complete.events;
    add({"fifo, 1 M operations", "s", Asked::at_most, 0.1, quick, per_second(events, quick)});
    add({"fifo, with empty and unknown", "s", Asked::at_most, 0.3, slow,
         per_second(troubled.events, slow)});
    add({"text form, read and taken apart", "/s", Asked::at_least, 10e6, events / reading,
         fmt::format("{:.3f} s for {:.0f} MB", reading, text_bytes_ * 1e-6)});
    add({"memory an event, history included", "B", Asked::at_most, 64, bytes_an_event(complete),
         "resident, while judging fifo"});
  }

  void judge_other(Contract contract) {
    const bool own = contract == Contract::latest || contract == Contract::broadcast;
    const auto history = make_long_history({.contract = own ? contract : Contract::fifo});
    const double seconds = judged(history, contract);
    const double events = history.events;
    const double asked = contract == Contract::per_producer ? 50e6 : 10e6;
    add({fmt::format("{}, 1 M operations", to_string(contract)), "/s", Asked::at_least, asked,
         events / seconds, fmt::format("{:.3f} s", seconds)});
  }

  // As the engine leaves it, by our own oracles. Answers the seconds of three of them.
  double judge_run(const RunOfMany& run) const {
    ipctorture::Contract contract = run.contract;
    contract.ordering = Ordering::per_producer;
    return seconds_of(runs_for(static_cast<std::uint32_t>(run.operations)),
                      [&] { refuse_wrong(three_promises({run.history, contract, run.scenario})); });
  }

  void judge_runs(unsigned peers) {
    const RunOfMany run = make_long_run({.producers = peers, .consumers = peers});
    const auto operations = static_cast<double>(run.operations);
    const double events = 2 * operations;
    forget_peak();
    const double before = peak_bytes();
    const double seconds = judge_run(run);
    const double bytes = peak_bytes() - before + sizeof(Record) * operations;
    const std::string of = fmt::format("1 M messages of a run, {0}x{0}: ", peers);
    add({of + "three promises", "/s", Asked::at_least, 50e6, events / seconds,
         fmt::format("integrity, delivery, per-producer order: {:.0f} M operations in {:.3f} s",
                     operations * 1e-6, seconds)});
    add({of + "memory an event", "B", Asked::at_most, 64, bytes / events,
         "resident, half of its record included"});
    const double all = seconds_of(
        11, [&] { refuse_wrong(check({run.history, run.contract, run.scenario}).verdict()); });
    add({of + "all promises", "/s", Asked::at_least, 10e6, events / all,
         fmt::format("total order, exact answers, fairness ...: {:.3f} s", all)});
  }

  double judged(const linear::History& history, Contract contract) const {
    return seconds_of(runs_for(static_cast<std::uint32_t>(history.size())), [&] {
      if (judge(history, contract).truth != linear::Truth::linearizable) {
        throw std::logic_error("a right history is called wrong");
      }
    });
  }

  // From memory that is a file to the reader.
  double read(const linear::History& history) {
    const std::string text = written(history, linear::Names(), linear::Form::text);
    text_bytes_ = static_cast<double>(text.size());
    const Descriptor file =
        own_descriptor(::memfd_create("history", MFD_CLOEXEC), "memfd_create", "history");
    for (std::size_t done = 0; done < text.size();) {
      const ssize_t count = ::write(file.get(), text.data() + done, text.size() - done);
      if (count < 0) throw_system_error("write", "history");
      done += static_cast<std::size_t>(count);
    }
    const std::string path = fmt::format("/proc/self/fd/{}", file.get());
    return seconds_of(runs_for(static_cast<std::uint32_t>(history.size())), [&] {
      const linear::Recorded recorded = linear::read_history({path}, linear::Values::sent_once);
      if (recorded.history.size() != history.size()) throw std::logic_error("events were lost");
    });
  }

  double bytes_an_event(const linear::History& history) const {
    const linear::History copy = history;
    forget_peak();
    const double before = peak_bytes();
    judge(copy, Contract::fifo);
    const double own = 18 * static_cast<double>(copy.size());
    return (peak_bytes() - before + own) / copy.events;
  }

  static std::string per_second(double events, double seconds) {
    return fmt::format("{:.0f} M events/s", events / seconds * 1e-6);
  }

  void add(Figure figure) {
    if (json_) print_result(figure_json(figure));
    figures_.push_back(std::move(figure));
  }

  Terminal terminal_;
  bool json_;
  std::vector<Figure> figures_;
  Curve complete_{"fifo, complete", {}}, troubled_{"fifo, empty and unknown", {}},
      text_{"reading the text form", {}}, run_{"a run of ours, three promises", {}};
  double text_bytes_ = 0;
};

}  // namespace

ExitCode bench_histories(const Settings& settings, const std::string& plot) {
  std::ofstream picture;
  if (!plot.empty()) {
    picture.open(plot);
    if (!picture) throw UsageError(plot + ": cannot be written");
  }
  HistoryBench bench(settings);
  bench.run();
  if (!plot.empty()) picture << bench.plot();
  return ExitCode::pass;
}

}  // namespace ipctorture
