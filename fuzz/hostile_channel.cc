#include "fuzz/hostile_channel.h"

#include <fcntl.h>
#include <sys/msg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <system_error>

namespace ipctorture {
namespace {

constexpr std::uint32_t small_message = 64, capacity_wanted = 4;
constexpr std::size_t guard_bytes = 64;
constexpr std::byte guard{0xa5};
constexpr unsigned errors_in_a_row_max = 4, answers_free = 64, sends_at_end = 4;
constexpr std::size_t ways_max = 100, crowd = 24;
constexpr unsigned crowd_from = 250, looks_max = 100;
// Producers over time, and so inputs, of one channel.
constexpr std::uint32_t producers_over_time = 128;
constexpr std::size_t descriptors_usual = 48;

std::string in_words(Outcome outcome) { return std::string(to_string(outcome)); }

void repeat(std::span<const std::byte> pattern, std::span<std::byte> all) {
  std::size_t have = std::min(pattern.size(), all.size());
  std::copy_n(pattern.begin(), have, all.begin());
  while (have < all.size()) {
    const std::size_t more = std::min(have, all.size() - have);
    std::memcpy(all.data() + have, all.data(), more);
    have += more;
  }
}

std::vector<Descriptor> duplicates(const std::vector<Descriptor>& all) {
  std::vector<Descriptor> copies;
  for (const Descriptor& one : all) {
    copies.push_back(own_descriptor(::fcntl(one.get(), F_DUPFD_CLOEXEC, 0), "fcntl", "handle"));
  }
  return copies;
}

std::span<std::byte> scratch() {
  static std::array<std::byte, 64 * 1024> memory;
  return memory;
}

bool is_allowed(Role role, bool timed, Outcome outcome) {
  switch (outcome) {
    case Outcome::ok:
    case Outcome::closed:
    case Outcome::too_large:
    case Outcome::error:
      return true;
    case Outcome::timed_out:
      return timed;
    case Outcome::full:
    case Outcome::unknown:
      return role == Role::producer;
    case Outcome::empty:
      return role == Role::consumer;
  }
  return false;
}

}  // namespace

std::string open_in_words(const OpenDescriptors& open) {
  std::size_t first = 0;
  while (first + 1 < open.size() && !open[first]) ++first;
  std::array<char, 64> target{};
  const std::string path = "/proc/self/fd/" + std::to_string(first);
  if (::readlink(path.c_str(), target.data(), target.size() - 1) < 0) target[0] = '?';
  return std::to_string(open.count()) + " descriptors stay open: " + target.data();
}

Options HostileScene::options_for(std::uint8_t flags) const {
  const Contract& contract = registration.contract;
  Options options;
  options.name = "hostile-" + std::to_string(::getpid());
  options.directory = directory;
  options.token = token;
  const std::uint32_t most = std::max(contract.producers_max, contract.lives_max);
  const bool more = (flags & hostile_more) != 0 && contract.producers_max > 1;
  options.producers = more ? std::min(most, producers_over_time) : 1;
  options.capacity = contract.capacity_max == 0 ? capacity_wanted
                                                : std::min(contract.capacity_max, capacity_wanted);
  options.message_max = (flags & hostile_small) != 0
                            ? std::clamp(small_message, contract.message_min, contract.message_max)
                            : contract.message_max;
  return options;
}

std::span<std::byte> HostileScene::buffer(std::size_t bytes) {
  std::unique_ptr<std::byte[]>& memory = buffers[bytes];
  if (!memory) memory = std::make_unique<std::byte[]>(bytes);
  return {memory.get(), bytes};
}

HostileChannel::HostileChannel(HostileScene& scene, std::uint8_t flags)
    : scene_(scene),
      flags_(flags),
      role_(is(hostile_consumer) ? Role::producer : Role::consumer),
      options_(scene.options_for(flags)),
      contract_(scene.registration.contract),
      explained_(answers_free) {}

HostileChannel::~HostileChannel() {
  ways_.clear();
  for (Side& one : attackers_) one.end();
  honest_.end();
  if (creator_) creator_->destroy();
  if (meddled_) empty_directory(scene_.directory);
}

std::vector<Way> HostileChannel::honest_ways() const {
  std::vector<Way> ways;
  for (const int fd : honest_descriptors_) {
    if (std::optional<Way> way = way_of(fd)) ways.push_back(std::move(*way));
  }
  return ways;
}

void HostileChannel::begin() {
  try {
    creator_ = make({});
    creator_->create();
  } catch (const std::system_error& refused) {
    throw HostileFind{std::string("cannot be created: ") + refused.what()};
  }
  handles_ = creator_->take_handles();
  if (role_ == Role::consumer && !is(hostile_late)) attach_honest();
  const bool inherits = contract_.attach == AttachBy::inherited;
  if (inherits && !honest_tried_) honest_.transport = make(duplicates(handles_));
  if (!is(hostile_stranger)) attach_attacker();
  if (role_ == Role::producer && !is(hostile_late)) attach_honest();
  handles_.clear();
  add_ways_without_descriptor();
}

void HostileChannel::attach_honest() {
  honest_tried_ = true;
  const OpenDescriptors before = open_descriptors(descriptors_usual);
  if (!honest_.transport) honest_.transport = make(duplicates(handles_));
  try {
    honest_.endpoint = honest_.transport->attach(role_, 0, deadline());
  } catch (const std::system_error&) {
    honest_.transport.reset();
    return;  // an answer
  } catch (const std::exception& other) {
    throw HostileFind{std::string("attach throws what is no system_error: ") + other.what()};
  }
  honest_open_ = open_descriptors(descriptors_usual);
  const OpenDescriptors opened = honest_open_ & ~before;
  for (std::size_t fd = 0; fd < descriptors_usual; ++fd) {
    if (!opened[fd]) continue;
    honest_descriptors_.push_back(static_cast<int>(fd));
    if (std::optional<Address> address = internet_address_of(static_cast<int>(fd))) {
      addresses_.push_back(*address);
    }
  }
}

void HostileChannel::attach_attacker() {
  const Role role = role_ == Role::consumer ? Role::producer : Role::consumer;
  const unsigned index = attached_;
  if (index >= (role == Role::producer ? options_.producers : options_.consumers)) return;
  const bool inherits = contract_.attach == AttachBy::inherited;
  if (inherits && handles_.empty()) return;
  const bool fresh = ways_.empty() && attackers_.empty() && honest_tried_ && handles_.empty();
  const OpenDescriptors before = fresh ? honest_open_ : open_descriptors(descriptors_usual);
  Side side;
  try {
    side.transport = make(duplicates(handles_));
    side.endpoint = side.transport->attach(role, index, Deadline::now());
  } catch (const std::system_error&) {
    return;
  }
  ++attached_;
  attackers_.push_back(std::move(side));
  add_ways(before);
}

void HostileChannel::add_ways(const OpenDescriptors& before) {
  const OpenDescriptors opened = open_descriptors(descriptors_usual) & ~before;
  for (std::size_t fd = 0; fd < descriptors_usual; ++fd) {
    if (!opened[fd]) continue;
    if (std::optional<Way> way = way_of(static_cast<int>(fd))) ways_.push_back(std::move(*way));
  }
}

void HostileChannel::add_ways_without_descriptor() {
  if (scene_.has_key_queue) {
    ways_.push_back({WayKind::key_queue, {}, ::msgget(system_v_key(options_), 0)});
  }
  if (role_ != Role::consumer) return;
  for (const int number : scene_.signals) ways_.push_back({WayKind::signal, {}, number});
}

void HostileChannel::attacker_sends(std::span<const std::byte> message) {
  if (attackers_.empty()) return;
  Endpoint& endpoint = *attackers_.back().endpoint;
  if (role_ == Role::consumer) {
    const std::size_t size = std::min<std::size_t>(message.size(), options_.message_max);
    const std::uint8_t priority = message.empty() ? 0 : std::to_integer<std::uint8_t>(message[0]);
    endpoint.send(message.first(size),
                  {.priority = static_cast<std::uint8_t>(priority % contract_.priorities)},
                  Deadline::now());
    ++explained_;
    return;
  }
  std::vector<std::byte> buffer(options_.message_max + std::size_t{1});
  endpoint.receive(buffer, Deadline::now());
}

void HostileChannel::connect(unsigned which) {
  if (which % 2 == 1) return attach_attacker();
  crowded_ = true;
  std::vector<Address> all = addresses_;
  for (const std::string& name : scene_.names) {
    const std::string path = scene_.directory + "/" + name;
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) continue;
    for (const int type : {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM}) {
      if (std::optional<Address> address = unix_address_of(path, type)) all.push_back(*address);
    }
  }
  for (std::size_t left = which < crowd_from ? 1 : crowd; left > 0; --left) {
    for (std::size_t tried = 0; tried < all.size() && ways_.size() < ways_max; ++tried) {
      std::optional<Way> way = connect_to(all[(which / 2 + tried) % all.size()]);
      if (!way) continue;
      ways_.push_back(std::move(*way));
      break;
    }
  }
}

void HostileChannel::act(const HostileAction& action) {
  const std::span<const std::byte> bytes = action.bytes;
  const auto first = bytes.empty() ? 0u : std::to_integer<unsigned>(bytes[0]);
  const Way* way = ways_.empty() ? nullptr : &ways_[action.which % ways_.size()];
  switch (action.act) {
    case HostileAct::write:
      if (way != nullptr) explained_ += write_into(*way, bytes, {});
      break;
    case HostileAct::repeat: {
      const auto size = leading<std::uint32_t>(bytes);
      if (way == nullptr || bytes.size() <= sizeof size) break;
      const auto pattern = bytes.subspan(sizeof size);
      std::vector<std::byte> all(size % hostile_repeat_max);
      repeat(pattern, all);
      explained_ += write_into(*way, all, {});
      break;
    }
    case HostileAct::valid:
      attacker_sends(bytes);
      break;
    case HostileAct::pass: {
      std::vector<int> along;
      for (unsigned i = 0; i <= action.which / 64u; ++i)
        along.push_back(scene_.to_pass.pick(first + i));
      if (way != nullptr) explained_ += write_into(*way, bytes, along);
      break;
    }
    case HostileAct::read:
      if (way != nullptr) read_from(*way, scratch());
      break;
    case HostileAct::shut:
      // Not a listener: the attacker's own endpoint would busy itself with it.
      if (way != nullptr && way->fd.valid() && way->kind != WayKind::listener)
        ::shutdown(way->fd.get(), static_cast<int>(first % 3));
      break;
    case HostileAct::connect:
      connect(action.which);
      break;
    case HostileAct::listen:
      for (const Way& one : ways_) {
        if (one.kind == WayKind::listener) ::listen(one.fd.get(), action.which % 4);
      }
      break;
    case HostileAct::leave:
      ways_.clear();
      attackers_.clear();
      break;
    case HostileAct::name: {
      if (scene_.names.empty()) break;
      meddled_ = true;
      const unsigned other = bytes.size() < 2 ? 0 : std::to_integer<unsigned>(bytes[1]);
      meddle_with(scene_.directory, scene_.names[action.which % scene_.names.size()],
                  scene_.names[other % scene_.names.size()], first,
                  bytes.subspan(std::min<std::size_t>(bytes.size(), 2)), !scene_.maps_files);
      explained_ += 2;
      break;
    }
    case HostileAct::honest:
      honest_turn(action);
      break;
  }
}

void HostileChannel::honest_turn(const HostileAction& action) {
  if (!honest_tried_) attach_honest();
  const auto size = leading<std::uint16_t>(action.bytes);
  for (unsigned left = 1 + action.which % 4u; left > 0; --left) {
    if (!honest_operates(size, deadline())) return;
  }
}

bool HostileChannel::honest_operates(std::size_t size, Deadline until) {
  if (!honest_.endpoint) return false;
  IoResult result;
  try {
    if (role_ == Role::consumer) {
      // Of exactly the promised size, or larger.
      const std::size_t room = options_.message_max + size % 2 * std::size_t{4096};
      const std::span<std::byte> memory = scene_.buffer(room + guard_bytes);
      std::ranges::fill(memory.subspan(room), guard);
      last_ = honest_.endpoint->receive(memory.first(room), until);
      return judge_receive(last_, memory, room);
    }
    const std::size_t bytes =
        std::clamp<std::size_t>(size, contract_.message_min, options_.message_max);
    result = honest_.endpoint->send(scene_.buffer(bytes), {}, until);
  } catch (const std::exception& thrown) {
    throw HostileFind{std::string("an exception on the data path: ") + thrown.what()};
  }
  if (!is_allowed(role_, until.is_timed(), result.outcome)) {
    throw HostileFind{"a send answers " + in_words(result.outcome)};
  }
  return result.outcome == Outcome::ok;
}

bool HostileChannel::judge_receive(const IoResult& result, std::span<const std::byte> memory,
                                   std::size_t room) {
  const auto bytes = [](std::size_t count) { return std::to_string(count) + " bytes"; };
  if (!std::ranges::all_of(memory.subspan(room), [](std::byte b) { return b == guard; })) {
    throw HostileFind{"a receive writes behind its buffer"};
  }
  if (!is_allowed(role_, is(hostile_timed), result.outcome)) {
    throw HostileFind{"a receive answers " + in_words(result.outcome)};
  }
  if (result.outcome != Outcome::ok) {
    if (result.outcome != Outcome::error && result.outcome != Outcome::too_large) return false;
    return ++errors_in_a_row_ <= errors_in_a_row_max;
  }
  errors_in_a_row_ = 0;
  if (result.size > room || result.size > contract_.message_max) {
    throw HostileFind{"a message of " + bytes(result.size) + " in a buffer of " + bytes(room) +
                      ", the contract's largest is " + bytes(contract_.message_max)};
  }
  if (result.size < contract_.message_min) {
    throw HostileFind{"a message of " + bytes(result.size) + ", the contract's least is " +
                      bytes(contract_.message_min)};
  }
  if (result.priority >= contract_.priorities) {
    throw HostileFind{"a message of priority " + std::to_string(result.priority)};
  }
  if (explained_ == 0) throw HostileFind{"more messages than were written"};
  --explained_;
  return true;
}

// Only a stream's end shows by itself, and only where everybody who was expected said hello.
bool HostileChannel::end_is_certain() const {
  const auto unusual = hostile_consumer | hostile_late | hostile_stranger | hostile_more;
  return is(hostile_waits) && (flags_ & unusual) == 0 && contract_.reports_closed && !meddled_ &&
         !attackers_.empty() && std::ranges::any_of(ways_, [](const Way& way) {
           return way.kind == WayKind::stream || way.kind == WayKind::packets ||
                  way.kind == WayKind::pipe_out;
         });
}

void HostileChannel::finish() {
  if (!honest_tried_) attach_honest();
  if (role_ == Role::producer) {
    for (unsigned left = sends_at_end; left > 0 && honest_operates(left * 7, deadline());) --left;
  }
  const bool waits = end_is_certain();
  const auto drain = [&](Deadline until) {
    errors_in_a_row_ = 0;
    while (honest_operates(0, until)) {
    }
  };
  if (role_ == Role::consumer) drain(deadline());
  ways_.clear();
  attackers_.clear();
  if (role_ == Role::consumer) drain(waits ? Deadline::never() : Deadline::now());
  if (role_ == Role::producer) honest_operates(8, deadline());
}

bool HostileChannel::may_serve_again() {
  const bool over_time = attached_ < options_.producers && contract_.attach == AttachBy::named;
  if (role_ != Role::consumer || !is(hostile_more) || is(hostile_late) || is(hostile_stranger) ||
      !over_time || crowded_ || meddled_ || !honest_.endpoint) {
    return false;
  }
  if (last_.outcome != Outcome::empty && last_.outcome != Outcome::timed_out) return false;
  // On a busy machine a receive may end before it has looked at everybody who left.
  OpenDescriptors more;
  for (unsigned left = looks_max; left > 0; --left) {
    more = open_descriptors(descriptors_usual) & ~honest_open_;
    if (more.none()) return true;
    honest_operates(0, Deadline::now());
  }
  throw HostileFind{open_in_words(more)};
}

OpenDescriptors HostileChannel::serve_again() {
  const OpenDescriptors foreign = open_descriptors(descriptors_usual) & ~honest_open_;
  honest_open_ |= foreign;
  ++inputs_;
  explained_ = answers_free;
  attach_attacker();
  add_ways_without_descriptor();
  return foreign;
}

void HostileChannel::close() {
  if (!honest_.endpoint) return;
  try {
    honest_.endpoint->close(deadline());
  } catch (const std::exception& thrown) {
    throw HostileFind{std::string("close throws: ") + thrown.what()};
  }
}

}  // namespace ipctorture
