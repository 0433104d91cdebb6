#include "harness/transport/contract.h"

#include <algorithm>

namespace ipctorture {

std::vector<std::string> contract_faults(const Contract& c) {
  std::vector<std::string> faults;
  const auto fault_if = [&](bool wrong, const char* what) {
    if (wrong) faults.emplace_back(what);
  };
  const bool latest = c.delivery == Delivery::latest_value;
  fault_if(c.message_max == 0, "message_max must be at least 1");
  fault_if(c.message_min > c.message_max, "message_min is above message_max");
  fault_if(c.producers_max == 0 || c.consumers_max == 0,
           "producers_max and consumers_max start at 1");
  fault_if(c.producers_max > 255 || c.consumers_max > 255, "at most 255 producers and consumers");
  fault_if(c.lives_max > 255, "at most 255 lives");
  fault_if(c.lives_max > 0 && c.lives_max <= std::max(c.producers_max, c.consumers_max),
           "lives_max is 0, or more than may be there at once");
  fault_if(c.rejoins && !c.survives_producer_death && !c.survives_consumer_death,
           "rejoins: nobody succeeds the dead where no death is survived");
  fault_if(c.lives_max > 0 && !c.survives_producer_death && !c.survives_consumer_death,
           "lives_max: nobody succeeds the dead where no death is survived");
  fault_if(c.priorities == 0 || c.priorities > 256, "priorities must be 1 to 256");
  fault_if(c.ordering == Ordering::priority && c.priorities < 2,
           "priority order needs priorities > 1");
  fault_if(c.exact_full && c.capacity_max == 0, "exact_full needs capacity_max");
  fault_if(latest != (c.when_full == WhenFull::overwrites),
           "latest value and overwrites go together");
  fault_if(latest && c.message_max < 16,
           "latest value needs messages of 16 bytes to tell them apart");
  fault_if(c.fires_only_on_change && !latest, "fires_only_on_change is about latest value");
  fault_if(c.when_full == WhenFull::overwrites_oldest && c.fan_out != FanOut::broadcast,
           "overwrites_oldest is about broadcast");
  fault_if(c.late_consumer == LateConsumer::backlog && c.fan_out == FanOut::broadcast,
           "a late consumer of a broadcast gets from_attach");
  fault_if(c.exec_only && c.attach == AttachBy::inherited, "what is inherited cannot be exec_only");
  fault_if(c.now_message_max > c.message_max, "now_message_max is above message_max");
  fault_if(c.overtakes_max && (latest || c.fan_out == FanOut::broadcast),
           "overtakes_max is about messages that go to one consumer each");
  fault_if(c.progress_bound_ms == 0, "progress_bound_ms must be at least 1");
  return faults;
}

}  // namespace ipctorture
