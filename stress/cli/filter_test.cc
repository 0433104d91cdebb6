// Under a seccomp filter, as containers have them: the calls that look into other processes and
// make namespaces are refused, with EPERM or, as old container engines do, with ENOSYS. Nothing of
// that is needed to torture; what is lost is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstddef>

#include "stress/cli/child.h"
#include "stress/cli/verdicts.h"

namespace ipctorture {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

#if defined(__x86_64__)
constexpr std::uint32_t own_architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t own_architecture = AUDIT_ARCH_AARCH64;
#else
#error "name the architecture of linux/audit.h"
#endif

constexpr int refused_calls[] = {
    SYS_ptrace,  SYS_personality, SYS_io_uring_setup, SYS_io_uring_enter,   SYS_io_uring_register,
    SYS_unshare, SYS_pidfd_open,  SYS_setns,          SYS_process_vm_readv, SYS_kcmp};

// Code of another architecture has other numbers: it is killed, so that no number is mistaken. The
// numbers of x32 are above all that are refused here and stay allowed.
std::vector<sock_filter> filter_program(int answer) {
  std::vector<sock_filter> code{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, own_architecture, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
  };
  for (const int call : refused_calls) {
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1));
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(answer)));
  }
  code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  return code;
}

class Filter : public testing::TestWithParam<int> {
 protected:
  // The leak sanitizer needs ptrace, which is not what is tested.
  Surroundings filtered() const {
    std::vector<sock_filter> code = filter_program(GetParam());
    return {.environment = {"ASAN_OPTIONS=detect_leaks=0"}, .prepare = [code]() mutable {
              const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
              if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return "PR_SET_NO_NEW_PRIVS";
              const bool set = ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
              return set ? nullptr : "PR_SET_SECCOMP";
            }};
  }
  std::string refusal() const { return std::generic_category().message(GetParam()); }

  const Scratch scratch_;
};

TEST_P(Filter, TortureGoesOn) {
  const Ended ended = run_program(
      scratch_, {"run", "pipe", "shm_queue", "posix_mq", "--runs", "3", "--seed", "g1:1"},
      filtered());
  EXPECT_THAT(objection(ended), IsEmpty());
  for (const char* name : {"pipe", "shm_queue", "posix_mq"}) {
    EXPECT_THAT(verdict_of(ended, name), AnyOf("pass", "inconclusive")) << ended.all();
  }
}

TEST_P(Filter, SeparateProgramsStartToo) {
  const Ended ended = run_program(
      scratch_, {"run", "fifo", "--runs", "3", "--seed", "g1:1", "--launch", "exec"}, filtered());
  EXPECT_THAT(objection(ended), IsEmpty());
}

// Without ptrace there is no stack: the kernel's word on where each worker waits stands for it.
TEST_P(Filter, ADeadlockIsReportedWithoutStacks) {
  const Ended ended =
      run_program(scratch_, {"run", "canary_hang", "--runs", "6", "--seed", "g1:1"}, filtered());
  EXPECT_EQ(ended.exit_code, 1) << ended.all();
  EXPECT_THAT(ended.problem, IsEmpty());
  EXPECT_THAT(ended.out, HasSubstr("every worker sleeps for ever"));
  EXPECT_THAT(ended.out, HasSubstr("consumer 0 in receive (wchan "));
}

TEST_P(Filter, DoctorSaysWhatIsRefused) {
  const Ended ended = run_program(scratch_, {"doctor"}, filtered());
  EXPECT_THAT(ended.problem, IsEmpty());
  EXPECT_EQ(ended.exit_code, 69) << ended.all();
  EXPECT_THAT(ended.out, HasSubstr("LACKING  stacks of workers (ptrace)"));
  EXPECT_THAT(ended.out, HasSubstr("refused: " + refusal()));
  EXPECT_THAT(ended.out, Not(HasSubstr("pidfd_open"))) << "nothing uses it";
}

INSTANTIATE_TEST_SUITE_P(Answers, Filter, testing::Values(EPERM, ENOSYS),
                         [](const auto& one) { return one.param == EPERM ? "EPERM" : "ENOSYS"; });

// The same where stacks can be read, if eu-stack is there.
TEST(Deadlock, SaysWhereEachWorkerWaits) {
  const Scratch scratch;
  const Ended ended = run_program(scratch, {"run", "canary_hang", "--runs", "6", "--seed", "g1:1"});
  EXPECT_EQ(ended.exit_code, 1) << ended.all();
  EXPECT_THAT(ended.problem, IsEmpty());
  EXPECT_THAT(ended.out, HasSubstr("every worker sleeps for ever"));
  EXPECT_THAT(ended.out, AnyOf(HasSubstr("consumer 0 in receive (wchan "),
                               HasSubstr("consumer 0 in receive (#")));
  EXPECT_THAT(ended.out, Not(HasSubstr("(PID "))) << "the first line of eu-stack says nothing";
}

}  // namespace
}  // namespace ipctorture
