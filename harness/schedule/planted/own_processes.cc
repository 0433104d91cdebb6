// Transports that start processes of their own.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/schedule/planted/mailbox.h"

namespace ipctorture::planted {
namespace {

enum class Child { sends, is_killed, is_left, crashes };

// Every message is put by a process of its own; or the first one starts a process for other ends.
template <Child what>
class ByChild final : public MailboxEndpoint {
 public:
  ByChild(SharedMapping memory, Role role) : MailboxEndpoint(std::move(memory), role) {}

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline) override {
    if (what != Child::sends && started_) {
      box().put(message);
      return IoResult::sent();
    }
    started_ = true;
    const pid_t child = ::fork();
    if (child < 0) return IoResult::failed(errno);
    if (child == 0) live(message);
    if (what == Child::is_left) {
      box().put(message);
      return IoResult::sent();
    }
    if (what == Child::is_killed && ::kill(child, SIGKILL) != 0) return IoResult::failed(errno);
    int status = 0;
    if (::waitpid(child, &status, 0) != child) return IoResult::failed(ECHILD);
    if (::waitpid(child, &status, WNOHANG) != -1 || errno != ECHILD)
      return IoResult::failed(EEXIST);
    if (what == Child::is_killed) {
      if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) return IoResult::failed(EPROTO);
      box().put(message);
      return IoResult::sent();
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 7 ? IoResult::sent()
                                                         : IoResult::failed(EPROTO);
  }

 private:
  [[noreturn]] void live(std::span<const std::byte> message) {
    switch (what) {
      case Child::sends:
        box().put(message);
        ::_exit(7);
      case Child::crashes:
        ::raise(SIGSEGV);
        ::_exit(7);
      default:
        wait_for_ever();
    }
  }

  bool started_ = false;
};

const Registered registered[] = {
    Registered(plant<ByChild<Child::sends>>("fork_sends", false)),
    Registered(plant<ByChild<Child::is_killed>>("fork_killed", false)),
    Registered(plant<ByChild<Child::is_left>>("fork_left", false)),
    Registered(plant<ByChild<Child::crashes>>("fork_crashes", false)),
    Registered(plant<ByChild<Child::sends>>("fork_in_fibers", true)),
};

}  // namespace
}  // namespace ipctorture::planted
