#include "harness/launch/exec_worker.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "harness/base/shared_mapping.h"
#include "harness/launch/worker.h"
#include "harness/scenario/codec.h"

namespace ipctorture {
namespace {

using Json = nlohmann::json;

constexpr std::size_t line_max = 256 * 1024;

Json options_to_json(const Options& o) {
  return {{"name", o.name},
          {"directory", o.directory},
          {"token", std::to_string(o.token)},
          {"producers", o.producers},
          {"consumers", o.consumers},
          {"capacity", o.capacity},
          {"message_max", o.message_max},
          {"counter_start", std::to_string(o.counter_start)}};
}

// The terms on which a workload depends; what a peer in another language cannot look up.
Json contract_to_json(const Contract& c) {
  return {{"reports_closed", c.reports_closed}, {"when_full", to_string(c.when_full)},
          {"message_max", c.message_max},       {"now_message_max", c.now_message_max},
          {"priorities", c.priorities},         {"deadline_now", c.deadline_now}};
}

Options options_from_json(const Json& json) {
  Options o;
  json.at("name").get_to(o.name);
  json.at("directory").get_to(o.directory);
  o.token = std::stoull(json.at("token").get<std::string>());
  json.at("producers").get_to(o.producers);
  json.at("consumers").get_to(o.consumers);
  json.at("capacity").get_to(o.capacity);
  json.at("message_max").get_to(o.message_max);
  o.counter_start = std::stoull(json.at("counter_start").get<std::string>());
  if (o.name.size() > 48 || o.directory.size() > 127)
    throw std::invalid_argument("a name is too long");
  return o;
}

// A lane is believed only as far as its file reaches.
SharedMapping map_lane(const std::string& path) {
  const Descriptor fd =
      own_descriptor(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW), "open", path);
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) throw_system_error("fstat", path);
  const auto bytes = static_cast<std::uint64_t>(status.st_size);
  if (bytes < lane_bytes(1)) throw std::invalid_argument(path + ": too short for a lane");
  SharedMapping mapping(fd.get(), bytes, path);
  const LaneHeader& header = Lane(mapping.data()).header();
  if (header.magic != LaneHeader::magic_value || header.version != LaneHeader::current_version) {
    throw std::invalid_argument(path + ": not a lane of version 1");
  }
  if (header.capacity > (bytes - lane_records_offset) / sizeof(Record)) {
    throw std::invalid_argument(path + ": claims more records than it holds");
  }
  return mapping;
}

std::string read_line() {
  std::string line;
  for (char c; ::read(0, &c, 1) == 1 && c != '\n';) {
    line.push_back(c);
    if (line.size() > line_max)
      throw std::invalid_argument("the start line is longer than 256 KiB");
  }
  return line;
}

}  // namespace

std::string start_line(const StartLine& start) {
  Json channels = Json::array();
  for (const Options& options : start.options) channels.push_back(options_to_json(options));
  Json json = {{"protocol", worker_protocol_version},
               {"scenario", Json::parse(scenario_to_json(start.scenario))},
               {"worker", start.worker},
               {"channels", channels},
               {"lanes", start.lanes}};
  const Registration* registration = find_registration(start.scenario.transport_name());
  if (registration != nullptr) json["contract"] = contract_to_json(registration->contract);
  Json line;
  line["start"] = std::move(json);
  return line.dump() + "\n";
}

StartLine parse_start_line(const std::string& line) {
  try {
    const Json json = Json::parse(line).at("start");
    if (json.at("protocol").get<unsigned>() != worker_protocol_version) {
      throw std::invalid_argument("another version of the worker protocol; this is version 1");
    }
    StartLine start;
    start.scenario = scenario_from_json(json.at("scenario").dump());
    json.at("worker").get_to(start.worker);
    for (const Json& channel : json.at("channels"))
      start.options.push_back(options_from_json(channel));
    json.at("lanes").get_to(start.lanes);
    const bool complete = start.options.size() == start.scenario.channels() &&
                          start.lanes.size() == start.scenario.lanes() &&
                          start.lanes.size() <= workers_max;
    if (!complete) throw std::invalid_argument("channels or lanes do not match the scenario");
    return start;
  } catch (const Json::exception& e) {
    throw std::invalid_argument(std::string("start line: ") + e.what());
  }
}

int run_exec_worker() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // What the supervisor ignores is inherited; a transport is to find what a program finds at first.
  for (const int signal : {SIGPIPE, SIGXFSZ}) ::signal(signal, SIG_DFL);
  // The supervisor decides when to end, also where a signal goes to the whole group.
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::signal(signal, SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  try {
    StartLine start = parse_start_line(read_line());
    const Registration* registration = find_registration(start.scenario.transport_name());
    if (registration == nullptr) {
      std::cerr << "worker: unknown transport " << start.scenario.transport_name() << "\n";
      return 69;
    }
    WorkerJob job{.scenario = &start.scenario,
                  .registration = registration,
                  .options = start.options,
                  .worker = start.worker};
    job.handles.resize(start.options.size());
    std::vector<SharedMapping> mappings;
    for (const std::string& path : start.lanes) {
      mappings.push_back(map_lane(path));
      job.lanes.emplace_back(mappings.back().data());
    }
    run_worker_job(std::move(job));
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "worker: " << e.what() << "\n";
    return 64;
  }
}

}  // namespace ipctorture
