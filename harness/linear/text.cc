#include "harness/linear/text.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/sort/spreadsort/integer_sort.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "harness/base/descriptor.h"
#include "harness/linear/lines.h"
#include "harness/linear/name_numbers.h"

namespace ipctorture::linear {
namespace {

constexpr Index nothing_open = 0xffffffff;

// Puts lines together to operations. Ranks are the order of the lines until `finish`.
class Assembler {
 public:
  explicit Assembler(Values values) : repeated_(values) {}

  // `bytes`: about how long it is, 0 if that is not known.
  void begin_file(const std::string& name, std::size_t bytes) {
    constexpr std::size_t line_bytes = 17, most = 100'000'000;
    const std::size_t lines = std::min(bytes / line_bytes, most);
    recorded_.history.reserve(recorded_.history.size() + lines / 2);
    recorded_.line_of.reserve(recorded_.line_of.size() + lines);
    settle();
    recorded_.files.push_back(name);
    first_event_.push_back(events());
    line_ = 0;
  }

  // One line without its end. It must stay where it is until `settle`.
  void line(std::string_view text) {
    Line& event = waiting_[count_];
    event = {};
    event.number = ++line_;
    if (!read_line(text, event, memory_)) {
      settle();
      wrong(memory_.broken);
    }
    if (event.word == Word::none) return;
    if (!event.value.empty()) {
      event.value_hash = NameNumbers::hash_of(event.value);
      values_.prepare(event.value_hash);
    }
    ++count_;
    if (count_ == waiting_.size() || event.in_memory) settle();
  }

  // Lines wait a while: what they look up is on its way from memory meanwhile.
  void settle() {
    const std::size_t count = std::exchange(count_, 0);
    const std::uint32_t last = line_;
    for (std::size_t i = 0; i < count; ++i) {
      line_ = waiting_[i].number;
      apply(waiting_[i]);
    }
    line_ = last;
  }

  [[noreturn]] void wrong(const std::string& rule) const {
    throw BadHistory(fmt::format("{}:{}: {}", recorded_.files.back(), line_, rule));
  }

  void count_line_for_error() { ++line_; }

  Recorded finish() {
    settle();
    if (repeated_ == Values::sent_once) refuse_repeated();
    recorded_.history.events = events();
    recorded_.history.values = values_.count();
    if (timed_ == Timed::yes) {
      sort_by_time();
    } else if (recorded_.files.size() > 1) {
      throw BadHistory(
          "several files are merged by time: every line must end in t=<nanoseconds> then");
    }
    return std::move(recorded_);
  }

 private:
  enum class Timed : std::uint8_t { undecided, yes, no };

  Rank events() const { return static_cast<Rank>(recorded_.line_of.size()); }

  // Of one process operations begin one after the other, and end after they began. (One may begin
  // before the one before it ended: the two count as concurrent then.)
  void check_time(Index who, const Line& event) {
    if (!event.timed) return;
    if (event.time < begun_[who]) wrong("the time of the process runs backwards");
    if (event.word == Word::invoke || event.word == Word::join || event.word == Word::leave) {
      begun_[who] = event.time;
    }
  }

  void note_time(const Line& event) {
    const Timed now = event.timed ? Timed::yes : Timed::no;
    if (timed_ != Timed::undecided && timed_ != now) {
      wrong("either every line ends in t=<nanoseconds>, or none does");
    }
    timed_ = now;
    if (event.timed) times_.push_back(event.time);
  }

  Index process(const Line& event) {
    const Index number = processes_.of(event.process);
    if (number == open_.size()) {
      if (number == processes_max) wrong("more than 65536 processes");
      open_.push_back(nothing_open);
      begun_.push_back(0);
    }
    return number;
  }

  Index value(const Line& event) {
    if (values_.count() >= rank_limit) wrong("too many values");
    return values_.of(event.value, event.value_hash);
  }

  void apply(const Line& event) {
    note_time(event);
    if (recorded_.line_of.size() >= rank_limit - 1) {
      wrong("a history has at most 4 thousand million events");
    }
    recorded_.line_of.push_back(line_);
    const Index who = process(event);
    check_time(who, event);
    const Rank now = events() - 1;
    Index& open = open_[who];
    if (event.word == Word::join || event.word == Word::leave) {
      if (open != nothing_open) wrong("the process has an open operation");
      recorded_.history.memberships.push_back({who, now, event.word == Word::join});
      return;
    }
    if (event.word == Word::invoke) {
      if (open != nothing_open) wrong("the process has an open operation already");
      open = static_cast<Index>(recorded_.history.size());
      recorded_.history.add({.process = who,
                             .kind = event.kind,
                             .outcome = Outcome::unknown,
                             .value = event.kind == Kind::send ? value(event) : no_value,
                             .priority = event.priority,
                             .invoked = now,
                             .returned = open_end});
      return;
    }
    answer(event, open, now);
    open = nothing_open;
  }

  void answer(const Line& event, Index operation, Rank now) {
    if (operation == nothing_open) wrong("an answer without an invocation");
    History& history = recorded_.history;
    const Kind kind = history.kind[operation];
    if (event.has_kind && event.kind != kind) {
      wrong(kind == Kind::send ? "the open operation is a send"
                               : "the open operation is a receive");
    }
    if (event.word == Word::info) return;
    history.returned[operation] = now;
    switch (event.word) {
      case Word::ok:
        history.outcome[operation] = Outcome::ok;
        break;
      case Word::full:
        history.outcome[operation] = Outcome::full;
        break;
      case Word::empty:
        history.outcome[operation] = Outcome::empty;
        break;
      case Word::closed:
        history.outcome[operation] = Outcome::closed;
        break;
      case Word::timeout:
        history.outcome[operation] = Outcome::timeout;
        break;
      default:
        history.outcome[operation] = Outcome::fail;
        break;
    }
    if (event.word == Word::ok && kind == Kind::receive) history.value[operation] = value(event);
  }

  // A send that certainly did not happen is none.
  void refuse_repeated() {
    const History& history = recorded_.history;
    std::vector<bool> sent(values_.count());
    for (Index i = 0; i < history.size(); ++i) {
      if (history.kind[i] != Kind::send) continue;
      if (!history.took_effect(i) && !history.is_unknown(i)) continue;
      if (sent[history.value[i]]) {
        throw BadHistory(fmt::format("{}: '{}' is sent a second time; values must differ",
                                     place_of_event(history.invoked[i]),
                                     recorded_.names.value(history.value[i])));
      }
      sent[history.value[i]] = true;
    }
  }

  std::size_t file_of_event(Rank event) const {
    return static_cast<std::size_t>(
               std::upper_bound(first_event_.begin(), first_event_.end(), event) -
               first_event_.begin()) -
           1;
  }

  std::string place_of_event(Rank event) const {
    return fmt::format("{}:{}", recorded_.files[file_of_event(event)], recorded_.line_of[event]);
  }

  // At equal times invocations (and what joins) come before answers, so that they count as
  // concurrent; then the order of the lines.
  struct Stamp {
    std::uint64_t time;
    Rank event;
    bool late;
    bool operator<(const Stamp& other) const {
      if (time != other.time) return time < other.time;
      return late != other.late ? !late : event < other.event;
    }
  };

  void sort_by_time() {
    History& history = recorded_.history;
    std::vector<Stamp> stamps(times_.size());
    for (Rank event = 0; event < stamps.size(); ++event)
      stamps[event] = {times_[event], event, false};
    times_ = {};
    for (const Rank returned : history.returned) {
      if (returned < rank_limit) stamps[returned].late = true;
    }
    if (!std::is_sorted(stamps.begin(), stamps.end())) {
      boost::sort::spreadsort::integer_sort(
          stamps.begin(), stamps.end(),
          [](const Stamp& stamp, unsigned shift) { return stamp.time >> shift; });
    }
    std::vector<Rank> rank_of(stamps.size());
    std::vector<std::uint32_t> lines(stamps.size());
    if (recorded_.files.size() > 1) recorded_.file_of.resize(stamps.size());
    for (Rank rank = 0; rank < stamps.size(); ++rank) {
      const Rank event = stamps[rank].event;
      rank_of[event] = rank;
      lines[rank] = recorded_.line_of[event];
      if (recorded_.files.size() > 1) {
        recorded_.file_of[rank] = static_cast<std::uint16_t>(file_of_event(event));
      }
    }
    recorded_.line_of = std::move(lines);
    for (Rank& rank : history.invoked) rank = rank_of[rank];
    for (Rank& rank : history.returned) {
      if (rank < rank_limit) rank = rank_of[rank];
    }
    for (Membership& membership : history.memberships) membership.at = rank_of[membership.at];
  }

  Values repeated_;
  Recorded recorded_;
  std::vector<Rank> first_event_;  // of each file
  std::uint32_t line_ = 0;
  std::array<Line, 32> waiting_;
  std::size_t count_ = 0;
  LineMemory memory_;
  Timed timed_ = Timed::undecided;
  std::vector<std::uint64_t> times_;
  NameNumbers processes_{recorded_.names.processes}, values_{recorded_.names.values};
  std::vector<Index> open_;           // by process
  std::vector<std::uint64_t> begun_;  // by process: when its last operation began
};

// Cuts text into lines, however it comes.
class Lines {
 public:
  explicit Lines(Assembler& assembler) : assembler_(assembler) {}

  // Answers how much of it was lines; the rest is to come again.
  std::size_t feed(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
      const void* end = std::memchr(text.data() + at, '\n', text.size() - at);
      if (end == nullptr) break;
      const auto length =
          static_cast<std::size_t>(static_cast<const char*>(end) - text.data()) - at;
      take(text.substr(at, length));
      at += length + 1;
    }
    if (text.size() - at > line_bytes_max) take(text.substr(at));
    assembler_.settle();
    return at;
  }

  void take(std::string_view line) {
    if (line.size() > line_bytes_max) {
      assembler_.settle();
      assembler_.count_line_for_error();
      assembler_.wrong(fmt::format("a line has at most {} bytes", line_bytes_max));
    }
    assembler_.line(line);
  }

 private:
  Assembler& assembler_;
};

void read_file(const std::string& path, Assembler& assembler) {
  constexpr std::size_t piece = 256 << 10;  // stays in a cache
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) throw BadHistory(fmt::format("{}: {}", path, std::strerror(errno)));
  struct stat status{};
  const bool regular = ::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode);
  assembler.begin_file(path, regular ? static_cast<std::size_t>(status.st_size) : 0);
  Lines lines(assembler);
  std::vector<char> buffer(piece);
  for (std::size_t filled = 0;;) {
    const ssize_t count = ::read(file.get(), buffer.data() + filled, buffer.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw BadHistory(fmt::format("{}: {}", path, std::strerror(errno)));
    if (count == 0) {
      if (filled > 0) lines.take({buffer.data(), filled});
      assembler.settle();
      return;
    }
    filled += static_cast<std::size_t>(count);
    const std::size_t used = lines.feed({buffer.data(), filled});
    std::memmove(buffer.data(), buffer.data() + used, filled - used);
    filled -= used;
  }
}

}  // namespace

std::string Recorded::place(Rank rank) const {
  if (rank >= line_of.size()) return "";
  return fmt::format("{}:{}", files[file_of.empty() ? 0 : file_of[rank]], line_of[rank]);
}

Recorded read_history(const std::vector<std::string>& files, Values values) {
  if (files.size() > 65536) throw BadHistory("more than 65536 files");
  Assembler assembler(values);
  for (const std::string& file : files) read_file(file, assembler);
  return assembler.finish();
}

Recorded parse_history(std::string_view text, Values values, const std::string& name) {
  Assembler assembler(values);
  assembler.begin_file(name, text.size());
  Lines lines(assembler);
  const std::size_t used = lines.feed(text);
  if (used < text.size()) lines.take(text.substr(used));
  return assembler.finish();
}

}  // namespace ipctorture::linear
