// A transport that counts in variables of its shared object, as coverage does.
#include "harness/schedule/planted/mailbox.h"
#include "harness/schedule/planted/planted.h"

namespace ipctorture::planted {
namespace {

constexpr std::size_t page_bytes = 4096;
alignas(page_bytes) std::uint32_t counts[page_bytes / sizeof(std::uint32_t)];

class Counting : public MailboxEndpoint {
 public:
  using MailboxEndpoint::MailboxEndpoint;
  IoResult send(std::span<const std::byte> message, SendOptions options, Deadline d) override {
    ++counts[0];
    return MailboxEndpoint::send(message, options, d);
  }
};

const Registered registered(plant<Counting>("counts_sends"));

}  // namespace
}  // namespace ipctorture::planted

void* ipctorture_planted_counts(unsigned* bytes) {
  *bytes = sizeof ipctorture::planted::counts;
  return ipctorture::planted::counts;
}
