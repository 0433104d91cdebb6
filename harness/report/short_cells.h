// Events in at most seven characters each, for tables with a column for every one of many workers:
// "Sa ok" is a send of the message that the legend calls a, answered ok.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "harness/history/event.h"

namespace ipctorture {

// "P3" of "producer 3".
std::string short_name(const std::string& name);

// Remembers what its cells used, so that the legend explains that and no more. Messages have a
// letter each: at most 26 of them can be told apart.
class ShortCells {
 public:
  std::string cell(const Record& record);
  // One sentence for the signs; on a line of its own one for the messages.
  std::string legend() const;

 private:
  void use(const std::string& sign);
  std::string letter(const Record& record);
  std::string answer(const Record& record);
  std::string told(std::string word, std::string_view meaning);

  std::vector<std::string> signs_, messages_;
};

}  // namespace ipctorture
