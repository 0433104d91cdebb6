// libFuzzer against a bug that only a forked worker can meet (magic.h): the proof that shared
// counters let it see into one. shared_counters_test.cc runs it.
//
//   planted_magic [--alone | --idle] LIBFUZZER'S FLAGS
//
// --alone shares no counters; with --idle the worker does nothing, which must be noticed.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include "fuzz/planted/magic.h"
#include "fuzz/shared_counters.h"
#include "harness/base/descriptor.h"

namespace {

using namespace ipctorture;

constexpr std::size_t input_bytes_max = 4096;
struct Input {
  std::size_t size = 0;
  std::uint8_t bytes[input_bytes_max] = {};
};

// One worker that takes input after input. A byte in one pipe hands it an input, one in the other
// says that it is through with it; when it dies, that pipe ends.
class Worker {
 public:
  explicit Worker(bool idle) {
    void* memory =
        ::mmap(nullptr, sizeof(Input), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw_system_error("mmap", "an input");
    input_ = new (memory) Input;
    int orders[2], answers[2];
    if (::pipe(orders) != 0 || ::pipe(answers) != 0) throw_system_error("pipe", "a worker");
    Descriptor taken(orders[0]), answer(answers[1]);
    order_ = Descriptor(orders[1]);
    answers_ = Descriptor(answers[0]);
    pid_ = ::fork();
    if (pid_ < 0) throw_system_error("fork", "a worker");
    if (pid_ != 0) return;
    order_.reset();
    answers_.reset();
    work(taken.get(), answer.get(), idle);
  }
  ~Worker() {
    order_.reset();
    ::waitpid(pid_, nullptr, 0);
    ::munmap(input_, sizeof(Input));
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // False when the worker died of it.
  bool run(const std::uint8_t* data, std::size_t size) {
    input_->size = std::min(size, input_bytes_max);
    if (input_->size > 0) std::memcpy(input_->bytes, data, input_->size);
    char byte = 0;
    return ::write(order_.get(), &byte, 1) == 1 && ::read(answers_.get(), &byte, 1) == 1;
  }

 private:
  [[noreturn]] void work(int orders, int answers, bool idle) noexcept {
    std::signal(SIGABRT, SIG_DFL);
    for (char byte; ::read(orders, &byte, 1) == 1;) {
      if (!idle) take(input_->bytes, input_->size);
      if (::write(answers, &byte, 1) != 1) break;
    }
    ::_exit(0);
  }

  Input* input_;
  Descriptor order_, answers_;
  pid_t pid_ = -1;
};

std::unique_ptr<Worker> worker;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  const std::string_view flag = *argc > 1 ? (*argv)[1] : "";
  const bool alone = flag == "--alone", idle = flag == "--idle";
  std::atexit([] { worker.reset(); });
  constexpr std::size_t least = 2;
  const std::uint8_t long_enough[6] = {};
  if (!alone) {
    share_and_try(
        find_counters(), Workers::forked,
        [&] { Worker(idle).run(long_enough, sizeof long_enough); }, least);
  }
  worker = std::make_unique<Worker>(idle);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (worker->run(data, size)) return 0;
  std::fprintf(stderr, "the worker died\n");
  worker.reset();
  std::abort();
}
