// Transports with threads of their own.
#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "harness/schedule/planted/mailbox.h"
#include "harness/schedule/planted/planted.h"

namespace ipctorture::planted {
namespace {

// --- a thread that forwards from a queue of its process' own into shared memory

enum class Bug { none, loses_wakeup, races };

template <Bug bug>
class Forwarder final : public MailboxEndpoint {
 public:
  Forwarder(SharedMapping memory, Role role)
      : MailboxEndpoint(std::move(memory), role), thread_([this] { forward(); }) {}
  ~Forwarder() override { end(); }

  IoResult send(std::span<const std::byte> message, SendOptions, Deadline) override {
    if (bug == Bug::races) ++box().noted;
    const std::lock_guard lock(mutex_);
    queue_.emplace_back(message.begin(), message.end());
    changed_.notify_one();
    return IoResult::sent();
  }
  IoResult close(Deadline deadline) override {
    end();
    return MailboxEndpoint::close(deadline);
  }

 private:
  void forward() {
    for (;;) {
      std::unique_lock lock(mutex_);
      if (bug == Bug::loses_wakeup && queue_.empty() && !ends_) {
        // Whoever sends between the look and the wait wakes nobody.
        lock.unlock();
        lock.lock();
        changed_.wait(lock);
      }
      while (queue_.empty() && !ends_) changed_.wait(lock);
      if (queue_.empty()) return;
      const std::vector<std::byte> message = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      if (bug == Bug::races) ++box().noted;
      box().put(message);
    }
  }

  void end() {
    if (!thread_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      ends_ = true;
      changed_.notify_one();
    }
    thread_.join();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::vector<std::byte>> queue_;
  bool ends_ = false;
  std::thread thread_;
};

// --- what threads can do: every send checks all of it, and fails by the number of what is wrong

thread_local int calls = 100;
thread_local std::string words = "as a thread begins";
int destroyed = 0;
struct Destroyed {
  bool used = false;
  ~Destroyed() { destroyed += used ? 1 : 0; }
};
thread_local Destroyed at_the_end;
pthread_key_t key;

void* check_thread(void* argument) {
  auto& failed = *static_cast<int*>(argument);
  if (calls != 100 || words != "as a thread begins") failed = 1;
  calls = 1;
  words = "of the thread";
  at_the_end.used = true;
  ::pthread_setspecific(key, &failed);
  if (::pthread_getspecific(key) != &failed) failed = 2;
  ::sched_yield();
  if (calls != 1 || words != "of the thread") failed = 3;
  ::pthread_exit(&failed);
}

class Checker final : public MailboxEndpoint {
 public:
  Checker(SharedMapping memory, Role role) : MailboxEndpoint(std::move(memory), role) {
    ::pthread_key_create(&key, nullptr);
    calls = 7;
    words = "of the lane";
    destroyed = 0;
  }
  ~Checker() override { ::pthread_key_delete(key); }

  IoResult send(std::span<const std::byte> message, SendOptions options,
                Deadline deadline) override {
    int failed = 0;
    void* value = nullptr;
    pthread_t thread;
    if (sent_++ > 0) return MailboxEndpoint::send(message, options, deadline);
    ::pthread_create(&thread, nullptr, check_thread, &failed);
    if (::pthread_equal(thread, ::pthread_self()) != 0) failed = 10;
    if (calls != 7 || words != "of the lane") failed = 11;
    if (::pthread_join(thread, &value) != 0) failed = 12;
    if (value != &failed) failed = 13;
    if (::pthread_join(thread, nullptr) != ESRCH) failed = 14;
    if (calls != 7 || words != "of the lane") failed = 15;
    if (destroyed != 1) failed = 16;
    if (::pthread_getspecific(key) != nullptr) failed = 17;
    check_detached(failed);
    if (failed != 0) throw_system_error("planted_threads", std::to_string(failed), EPROTO);
    return MailboxEndpoint::send(message, options, deadline);
  }

 private:
  void check_detached(int& failed) {
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    // It ends with its process, at the latest.
    const auto wait = [](void*) -> void* { wait_for_ever(); };
    ::pthread_create(&thread, &attributes, wait, nullptr);
    if (::pthread_join(thread, nullptr) != EINVAL) failed = 20;
    if (::pthread_detach(thread) != EINVAL) failed = 21;
  }

  int sent_ = 0;
};

// --- mutexes that know their owner, and a thread that shares them with its lane

class TwiceLocked final : public MailboxEndpoint {
 public:
  TwiceLocked(SharedMapping memory, Role role) : MailboxEndpoint(std::move(memory), role) {}
  IoResult send(std::span<const std::byte> message, SendOptions, Deadline) override {
    std::thread other([this] { note(); });
    note();
    other.join();
    box().put(message);
    return IoResult::sent();
  }
  IoResult receive(std::span<std::byte> to, Deadline deadline) override {
    note();
    return MailboxEndpoint::receive(to, deadline);
  }

 private:
  void note() {
    box().lock();
    box().lock();
    ++box().noted;
    box().unlock();
    ++box().noted;
    box().unlock();
  }
};

class SelfDeadlocked final : public MailboxEndpoint {
 public:
  SelfDeadlocked(SharedMapping memory, Role role) : MailboxEndpoint(std::move(memory), role) {}
  IoResult send(std::span<const std::byte> message, SendOptions, Deadline) override {
    int failed = 0;
    ::pthread_mutex_lock(&box().mutex);
    if (::pthread_mutex_lock(&box().mutex) != EDEADLK) failed = 1;
    std::thread other([&] {
      if (::pthread_mutex_trylock(&box().mutex) != EBUSY) failed = 2;
      if (::pthread_mutex_unlock(&box().mutex) != EPERM) failed = 3;
    });
    other.join();
    if (::pthread_mutex_unlock(&box().mutex) != 0) failed = 4;
    if (::pthread_mutex_unlock(&box().mutex) != EPERM) failed = 5;
    if (failed != 0) throw_system_error("planted_owners", std::to_string(failed), EPROTO);
    box().put(message);
    return IoResult::sent();
  }
};

// --- a thread that its lane waits for in a loop, by an atomic that is not shared memory

class Flagged final : public MailboxEndpoint {
 public:
  Flagged(SharedMapping memory, Role role) : MailboxEndpoint(std::move(memory), role) {}
  IoResult send(std::span<const std::byte> message, SendOptions, Deadline) override {
    if (sent_++ > 0) box().put(message);
    if (sent_ > 1) return IoResult::sent();
    std::atomic<bool> ready = false;
    std::thread other([&] {
      ++box().noted;
      ready.store(true, std::memory_order_release);
      box().size[slots - 1] = 1;
    });
    while (!ready.load(std::memory_order_acquire)) continue;
    ++box().noted;
    other.join();
    box().size[slots - 1] = 2;
    box().put(message);
    return IoResult::sent();
  }

 private:
  int sent_ = 0;
};

// --- a barrier between producer and consumer

class Rendezvous final : public MailboxEndpoint {
 public:
  Rendezvous(SharedMapping memory, Role role)
      : MailboxEndpoint(std::move(memory), role), role_(role) {}
  IoResult send(std::span<const std::byte> message, SendOptions, Deadline) override {
    box().size[0] = static_cast<std::uint32_t>(message.size());
    std::memcpy(box().bytes[0], message.data(), message.size());
    meet();
    meet();
    return IoResult::sent();
  }
  IoResult receive(std::span<std::byte> to, Deadline) override {
    if (over_) return IoResult::of(Outcome::closed);
    meet();
    over_ = box().closed;
    const std::uint32_t bytes = box().size[0];
    std::memcpy(to.data(), box().bytes[0], bytes);
    meet();
    return over_ ? IoResult::of(Outcome::closed) : IoResult::received(bytes);
  }
  IoResult close(Deadline) override {
    if (role_ == Role::consumer) return IoResult::sent();
    box().closed = true;
    meet();
    meet();
    return IoResult::sent();
  }

 private:
  void meet() { ::pthread_barrier_wait(&box().barrier); }

  const Role role_;
  bool over_ = false;
};

class TooManyThreads final : public MailboxEndpoint {
 public:
  TooManyThreads(SharedMapping memory, Role role) : MailboxEndpoint(std::move(memory), role) {}
  IoResult send(std::span<const std::byte> message, SendOptions, Deadline) override {
    for (int i = 0; i < 4; ++i) std::thread([] {}).join();
    box().put(message);
    return IoResult::sent();
  }
};

const Registered registered[] = {
    Registered(plant<Forwarder<Bug::none>>("forwarder")),
    Registered(plant<Forwarder<Bug::loses_wakeup>>("forwarder_loses_wakeup")),
    Registered(plant<Forwarder<Bug::races>>("forwarder_races")),
    Registered(plant<Flagged>("flagged")),
    Registered(plant<Checker>("threads")),
    Registered(plant<TwiceLocked, TwiceLocked, PTHREAD_MUTEX_RECURSIVE>("recursive")),
    Registered(plant<SelfDeadlocked, MailboxEndpoint, PTHREAD_MUTEX_ERRORCHECK>("owners")),
    Registered(plant<Rendezvous, Rendezvous>("rendezvous")),
    Registered(plant<TooManyThreads>("too_many_threads")),
};

}  // namespace
}  // namespace ipctorture::planted

unsigned ipctorture_planted_registrations(const ipctorture::Registration** to, unsigned most) {
  const auto& all = ipctorture::registrations();
  for (unsigned i = 0; i < all.size() && i < most; ++i) to[i] = &all[i];
  return static_cast<unsigned>(all.size());
}
