// The front door, crash and leaks, verdicts and fingerprints.
#include <gtest/gtest.h>

#include <csignal>

#include "harness/check/history_builder.h"

namespace ipctorture {
namespace {

HistoryBuilder one_message() {
  HistoryBuilder b(1, 1);
  b.attach_all();
  b.send(0, 0, 10, 20);
  b.receive(0, 0, 0, 30, 40);
  return b;
}

TEST(Check, JudgesThePromisesOfTheContractInOrder) {
  HistoryBuilder b = one_message();
  const Judgement judgement = b.judge();
  EXPECT_EQ(judgement.verdict(), Verdict::pass);
  std::vector<Promise> judged;
  for (const Finding& f : judgement.findings) judged.push_back(f.promise);
  EXPECT_EQ(judged, (std::vector<Promise>{Promise::integrity, Promise::delivery, Promise::order,
                                          Promise::stall, Promise::deadlock, Promise::refusal,
                                          Promise::deadlines, Promise::crash, Promise::leaks}));
  b.contract.ordering = Ordering::none;
  b.contract.reports_closed = true;
  b.contract.overtakes_max = 3;
  b.contract.deadline_now = b.contract.deadline_at = false;
  EXPECT_EQ(b.judge(Promise::order).verdict, Verdict::unsupported);
  EXPECT_EQ(b.judge(Promise::deadlines).verdict, Verdict::unsupported);
  EXPECT_EQ(b.judge(Promise::starvation).verdict, Verdict::pass);
  EXPECT_EQ(b.judge(Promise::end_of_stream).verdict, Verdict::pass);
}

TEST(Check, RefusesAMalformedHistory) {
  HistoryBuilder b = one_message();
  b.records(0)[1].returned = 5;
  EXPECT_THROW(b.judge(), std::logic_error);
}

TEST(Check, EveryChannelIsJudged) {
  HistoryBuilder b = one_message();
  b.raw().channels = 2;
  b.raw().lanes[0].consumer_on = {-1, 0};
  b.raw().lanes[1].producer_on = {-1, 0};
  const auto reply = [&](unsigned lane, Op op, Stamp from) {
    Record& r = b.add(lane, op, Outcome::ok, from, from + 5);
    r.what = Record::encode(op, 1, DeadlineMode::never);
    r.message = HistoryBuilder::id(0, 0, MessageKind::reply);
    r.size = 64;
  };
  reply(1, Op::send, 50);
  reply(0, Op::receive, 60);
  EXPECT_EQ(b.judge().verdict(), Verdict::pass);
  EXPECT_EQ(b.judge(Promise::integrity).occasions, 2u);
  reply(0, Op::receive, 70);
  const Finding finding = b.judge(Promise::delivery);
  EXPECT_EQ(finding.what, "client 0 received reply 0 of server 0 twice");
}

TEST(Check, TheWitnessIsInTheOrderOfTime) {
  HistoryBuilder b = one_message();
  b.receive(0, 0, 0, 50, 60);
  const Finding finding = b.judge(Promise::delivery);
  EXPECT_EQ(finding.witness, (std::vector<EventRef>{{0, 1}, {1, 1}, {1, 2}}));
}

TEST(Check, WhatWasBrokenOffIsNoPass) {
  const std::pair<Fact, const char*> facts[] = {
      {Fact::interrupted, "the run was interrupted: why"},
      {Fact::truncated, "the harness ended the traffic early: why"},
      {Fact::not_started, "consumer 0 could not be started: why"}};
  for (const auto& [fact, what] : facts) {
    HistoryBuilder nothing_done(1, 1);
    EXPECT_EQ(nothing_done.judge().verdict(), Verdict::pass);
    HistoryBuilder all_done = one_message();
    for (HistoryBuilder* b : {&nothing_done, &all_done}) {
      b->evidence(fact, fact == Fact::not_started ? 1 : -1, 0, 50, 0, "why");
      const Judgement judgement = b->judge();
      EXPECT_EQ(judgement.verdict(), Verdict::inconclusive) << to_string(fact);
      ASSERT_NE(judgement.worst(), nullptr);
      EXPECT_EQ(judgement.worst()->what, what);
    }
    all_done.receive(0, 0, 0, 60, 70);
    EXPECT_EQ(all_done.judge().verdict(), Verdict::violation) << "what was seen stays seen";
  }
}

TEST(Crash, ADeathIsAViolationUnlessTheKernelWasOutOfMemory) {
  HistoryBuilder b = one_message();
  b.evidence(Fact::killed, 0, 0, 50);
  EXPECT_EQ(b.judge(Promise::crash).verdict, Verdict::pass) << "by the harness";
  b.evidence(Fact::died, 1, 0, 50, SIGSEGV, "boom");
  const Finding finding = b.judge(Promise::crash);
  EXPECT_EQ(finding.verdict, Verdict::violation);
  EXPECT_EQ(fingerprint(finding), "crash/no crash/signal 11");
  EXPECT_NE(finding.what.find("consumer 0 died of signal 11: boom"), std::string::npos);
  HistoryBuilder out_of_memory = one_message();
  out_of_memory.evidence(Fact::died, 1, 0, 50, SIGKILL);
  EXPECT_EQ(out_of_memory.judge(Promise::crash).verdict, Verdict::violation);
  out_of_memory.evidence(Fact::pressure, -1, 0, 50, 0, "out-of-memory kill");
  EXPECT_EQ(out_of_memory.judge(Promise::crash).verdict, Verdict::inconclusive);
}

TEST(Crash, ASanitizerReportIsAViolationNamedByKindAndFunction) {
  const std::pair<const char*, const char*> reports[] = {
      {"==17==ERROR: AddressSanitizer: heap-use-after-free on address 0x602000000010 at pc 0x55\n"
       "READ of size 4 at 0x602000000010 thread T0\n"
       "    #0 0x55d1c in ring::(anonymous namespace)::End::push(int) /src/ring.cc:3:5\n"
       "    #1 0x55d1d in main /src/main.cc:9\n",
       "AddressSanitizer heap-use-after-free in ring::End::push"},
      {"WARNING: ThreadSanitizer: data race (pid=99)\n  Write of size 4 at 0x7b04 by main thread:\n"
       "    #0 ring::pop() /src/ring.cc:8:2 (exe+0xd0)\n",
       "ThreadSanitizer data race in ring::pop"},
      {"==17==ERROR: LeakSanitizer: detected memory leaks\n",
       "LeakSanitizer detected memory leaks"},
      {"/src/ring.cc:12:3: runtime error: index 17 out of bounds for type 'int [8]'\n",
       "UndefinedBehaviorSanitizer index # out of bounds for type 'int [#]'"},
      {"something else", "sanitizer"}};
  for (const auto& [report, symptom] : reports) {
    HistoryBuilder b = one_message();
    b.evidence(Fact::sanitizer, 1, 0, 50, 0, report);
    b.evidence(Fact::died, 1, 0, 50, 1 << 8, report);
    EXPECT_EQ(b.judge(Promise::crash).symptom, symptom);
    EXPECT_EQ(b.judge(Promise::crash).verdict, Verdict::violation);
  }
}

TEST(Crash, OfALongOutputTheEndIsTold) {
  HistoryBuilder b = one_message();
  std::string output(10'000, 'x');
  output += "assertion failed";
  b.evidence(Fact::died, 1, 0, 50, SIGABRT, output);
  const std::string what = b.judge(Promise::crash).what;
  EXPECT_LT(what.size(), 1000u);
  EXPECT_TRUE(what.ends_with("xassertion failed")) << what;
}

TEST(Leaks, WhatRemainsIsAViolation) {
  HistoryBuilder b = one_message();
  EXPECT_EQ(b.judge(Promise::leaks).verdict, Verdict::pass);
  b.evidence(Fact::leaked, -1, 0, 0, 2, "name /dev/shm/ict-1");
  const Finding finding = b.judge(Promise::leaks);
  EXPECT_EQ(fingerprint(finding), "leaks/nothing left behind/name");
}

TEST(Verdicts, TheWorstWins) {
  Judgement judgement;
  EXPECT_EQ(judgement.worst(), nullptr);
  EXPECT_EQ(judgement.verdict(), Verdict::pass);
  judgement.findings = {{.promise = Promise::order, .verdict = Verdict::inconclusive},
                        {.promise = Promise::stall, .verdict = Verdict::violation},
                        {.promise = Promise::leaks, .verdict = Verdict::violation}};
  EXPECT_EQ(judgement.verdict(), Verdict::violation);
  EXPECT_EQ(judgement.worst()->promise, Promise::stall);
}

}  // namespace
}  // namespace ipctorture
