// A bounded queue of small messages in shared memory, under one mutex, and a transport around it:
// what the planted transports have in common.
#pragma once

#include <pthread.h>

#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "harness/base/shared_mapping.h"
#include "harness/transport/registry.h"

namespace ipctorture::planted {

inline constexpr std::uint32_t message_max = 64;
inline constexpr std::uint32_t slots = 4;

inline constexpr Contract contract{
    .ordering = Ordering::total,
    .reports_closed = true,
    .message_min = 1,
    .message_max = message_max,
    .deadline_now = false,
    .deadline_at = false,
    .may_share_address_space = true,
};

struct Mailbox {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  pthread_barrier_t barrier;
  std::uint32_t head = 0, tail = 0;
  std::uint32_t noted = 0;
  bool closed = false;
  std::uint32_t size[slots] = {};
  std::byte bytes[slots][message_max] = {};

  // For a process-shared mailbox of so many users.
  void initialise(int mutex_type, unsigned users) {
    pthread_mutexattr_t of_mutex;
    ::pthread_mutexattr_init(&of_mutex);
    ::pthread_mutexattr_setpshared(&of_mutex, PTHREAD_PROCESS_SHARED);
    ::pthread_mutexattr_settype(&of_mutex, mutex_type);
    ::pthread_mutex_init(&mutex, &of_mutex);
    pthread_condattr_t of_condition;
    ::pthread_condattr_init(&of_condition);
    ::pthread_condattr_setpshared(&of_condition, PTHREAD_PROCESS_SHARED);
    ::pthread_cond_init(&changed, &of_condition);
    pthread_barrierattr_t of_barrier;
    ::pthread_barrierattr_init(&of_barrier);
    ::pthread_barrierattr_setpshared(&of_barrier, PTHREAD_PROCESS_SHARED);
    ::pthread_barrier_init(&barrier, &of_barrier, users);
  }

  void lock() { ::pthread_mutex_lock(&mutex); }
  void unlock() { ::pthread_mutex_unlock(&mutex); }

  void put(std::span<const std::byte> message) {
    lock();
    while (tail - head == slots) ::pthread_cond_wait(&changed, &mutex);
    size[tail % slots] = static_cast<std::uint32_t>(message.size());
    std::memcpy(bytes[tail % slots], message.data(), message.size());
    ++tail;
    ::pthread_cond_broadcast(&changed);
    unlock();
  }

  IoResult take(std::span<std::byte> to) {
    lock();
    while (head == tail && !closed) ::pthread_cond_wait(&changed, &mutex);
    if (head == tail) {
      unlock();
      return IoResult::of(Outcome::closed);
    }
    const std::uint32_t bytes_there = size[head % slots];
    std::memcpy(to.data(), bytes[head % slots], bytes_there);
    ++head;
    ::pthread_cond_broadcast(&changed);
    unlock();
    return IoResult::received(bytes_there);
  }

  void close() {
    lock();
    closed = true;
    ::pthread_cond_broadcast(&changed);
    unlock();
  }
};

// Waits for nobody, with nothing that others need.
[[noreturn]] inline void wait_for_ever() {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t never = PTHREAD_COND_INITIALIZER;
  ::pthread_mutex_lock(&mutex);
  for (;;) ::pthread_cond_wait(&never, &mutex);
}

// What every endpoint has; the planted ones override what they do otherwise.
class MailboxEndpoint : public Endpoint {
 public:
  MailboxEndpoint(SharedMapping memory, Role role) : memory_(std::move(memory)), role_(role) {}
  IoResult send(std::span<const std::byte> message, SendOptions, Deadline) override {
    box().put(message);
    return IoResult::sent();
  }
  IoResult receive(std::span<std::byte> to, Deadline) override { return box().take(to); }
  IoResult close(Deadline) override {
    if (role_ == Role::producer) box().close();
    return IoResult::sent();
  }

 protected:
  Mailbox& box() const { return *reinterpret_cast<Mailbox*>(memory_.data()); }

 private:
  SharedMapping memory_;
  const Role role_;
};

template <typename Producer, typename Consumer, int mutex_type>
class MailboxTransport final : public Transport {
 public:
  MailboxTransport(const Options& options, std::vector<Descriptor>) : name_(options.name) {}
  void create() override {
    const Descriptor object = create_shared_object(name_, sizeof(Mailbox));
    const SharedMapping memory(object.get(), sizeof(Mailbox), name_);
    (new (memory.data()) Mailbox)->initialise(mutex_type, 2);
  }
  std::unique_ptr<Endpoint> attach(Role role, unsigned, Deadline) override {
    std::size_t bytes = 0;
    const Descriptor object = open_shared_object(name_, &bytes);
    SharedMapping memory(object.get(), sizeof(Mailbox), name_);
    if (role == Role::producer) return std::make_unique<Producer>(std::move(memory), role);
    return std::make_unique<Consumer>(std::move(memory), role);
  }
  void destroy() noexcept override { unlink_shared_object(name_); }

 private:
  const std::string name_;
};

// A planted transport; `Producer` and `Consumer` are endpoints.
template <typename Producer, typename Consumer = MailboxEndpoint,
          int mutex_type = PTHREAD_MUTEX_NORMAL>
Registration plant(std::string_view name, bool in_fibers = true) {
  Contract own = contract;
  own.may_share_address_space = in_fibers;
  return {.name = name,
          .summary = "planted for a test",
          .contract = own,
          .make = make_transport<MailboxTransport<Producer, Consumer, mutex_type>>,
          .kind = Kind::canary};
}

}  // namespace ipctorture::planted
