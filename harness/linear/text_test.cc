#include "harness/linear/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "harness/linear/agreement.h"

namespace ipctorture::linear {
namespace {

using testing::HasSubstr;

Answer judged(const std::string& text, Contract contract, std::uint64_t capacity = 0) {
  return judge(parse_history(text, Values::sent_once).history, contract, capacity);
}

std::string words_of(const std::string& text, Contract contract, std::uint64_t capacity = 0) {
  const Recorded recorded =
      parse_history(text, contract == Contract::latest ? Values::may_repeat : Values::sent_once);
  return in_words(judge(recorded.history, contract, capacity), recorded.history, recorded.names);
}

std::string error_of(const std::string& text) {
  try {
    parse_history(text, Values::sent_once, "h");
  } catch (const BadHistory& error) {
    return error.what();
  }
  return "";
}

struct Broken {
  const char* name;
  const char* text;
  const char* error;
};

class LinearText : public testing::TestWithParam<Broken> {};

TEST_P(LinearText, SaysLineAndRule) {
  EXPECT_THAT(error_of(GetParam().text), HasSubstr(GetParam().error));
}

INSTANTIATE_TEST_SUITE_P(
    Rules, LinearText,
    testing::Values(
        Broken{"Answer", "p ok send\n", "h:1: an answer without an invocation"},
        Broken{"Open", "# c\np invoke send a\np invoke send b\n",
               "h:3: the process has an open operation already"},
        Broken{"Twice", "p invoke send a\np ok send\nq invoke send a\n",
               "h:3: 'a' is sent a second time"},
        Broken{"Word", "p does send a\n", "h:1: unknown word 'does'"},
        Broken{"Kind", "p invoke seek a\n", "h:1: unknown word 'seek'"},
        Broken{"OtherKind", "p invoke send a\np ok receive b\n",
               "h:2: the open operation is a send"},
        Broken{"NoValue", "p invoke send\n", "h:1: the value is missing"},
        Broken{"Value", "p invoke receive x\n", "h:1: a value has no place here"},
        Broken{"Full", "p invoke receive\np full receive\n", "h:2: full is an answer to a send"},
        Broken{"Times", "p invoke send a t=1\np ok send\n", "h:2: either every line ends in t="},
        Broken{"Time", "p invoke send a t=now\n", "h:1: 't=now' is no time"},
        Broken{"Backwards", "p invoke send a t=9\np ok send t=8\n",
               "h:2: the time of the process runs backwards"},
        Broken{"Priority", "p invoke send a priority=x\n", "h:1: 'priority=x' is no priority"},
        Broken{"Many", "a b c d e f g h\n", "h:1: too many words"},
        Broken{"Joining", "p invoke send a\np join\n", "h:2: the process has an open operation"},
        Broken{"Json", "{\"process\": 1, \"event\": \"go\"}\n",
               "h:1: the field 'event' cannot be \"go\""},
        Broken{"JsonField", "{\"who\": 1}\n", "h:1: unknown field 'who'"},
        Broken{"NoJson", "{\n", "h:1: no JSON object"}),
    [](const testing::TestParamInfo<Broken>& broken) { return broken.param.name; });

TEST(LinearText, ALineThatNeverEndsIsRefused) {
  std::string text = "p join\n";
  text.append(100000, 'x');
  EXPECT_THAT(error_of(text), HasSubstr("h:2: a line has at most"));
  text.assign(100000, ' ');
  text.push_back('\n');
  EXPECT_THAT(error_of(text), HasSubstr("h:1: a line has at most"));
}

TEST(LinearText, WhatIsWrittenIsReadAsTheSame) {
  Prng prng(7);
  for (int i = 0; i < 300; ++i) {
    History history = made_up::Maker(prng, Contract::priority,
                                     {.processes = 4,
                                      .operations = 12,
                                      .capacity = 3,
                                      .priorities = 3,
                                      .unknown_permille = 30})
                          .make();
    const std::string before = written(history, Names(), Form::text);
    const Recorded text = parse_history(before, Values::sent_once);
    EXPECT_EQ(written(text.history, text.names, Form::text), before);
    const Recorded json =
        parse_history(written(text.history, text.names, Form::json), Values::sent_once);
    EXPECT_EQ(written(json.history, json.names, Form::text), before);
    EXPECT_EQ(judge(text.history, Contract::priority).truth,
              judge(history, Contract::priority).truth);
  }
}

TEST(LinearText, WhoGoesOnAfterAnUnknownOutcomeIsWrittenSo) {
  const std::string text = "p invoke send a\np info\np invoke receive\np empty receive\n";
  const Recorded recorded = parse_history(text, Values::sent_once);
  EXPECT_EQ(written(recorded.history, recorded.names, Form::text), text);
}

// Whatever comes is read or refused, and what is read can be judged.
TEST(LinearText, AnyTextIsReadOrRefused) {
  Prng prng(11);
  unsigned read = 0, refused = 0;
  for (int i = 0; i < 2000; ++i) {
    const History history =
        made_up::Maker(prng, Contract::fifo, {.operations = 6, .unknown_permille = 30}).make();
    std::string text = written(history, Names(), prng.below(2) ? Form::text : Form::json);
    for (std::uint64_t slips = prng.below(3); slips > 0 && !text.empty(); --slips) {
      const std::size_t at = prng.below(text.size());
      const std::size_t from = prng.below(text.size());
      switch (prng.below(3)) {
        case 0:
          text[at] = static_cast<char>(prng.below(256));
          break;
        case 1:
          text.erase(at, prng.below(8));
          break;
        default:
          text.insert(at, text.substr(from, prng.below(20)));
      }
    }
    try {
      const Recorded recorded = parse_history(text, Values::may_repeat);
      for (const Contract contract : all_contracts) {
        in_words(judge(recorded.history, contract, 2), recorded.history, recorded.names);
      }
      ++read;
    } catch (const BadHistory&) {
      ++refused;
    }
  }
  EXPECT_GT(read, 400u);
  EXPECT_GT(refused, 400u);
}

TEST(LinearText, EqualTimesAreConcurrent) {
  const char* const sends =
      "p invoke send a t=1\np ok send t=5\nq invoke send b t=%\nq ok send t=6\n";
  const char* const receives =
      "r invoke receive t=7\nr ok receive b t=8\nr invoke receive t=9\nr ok receive a t=10\n";
  for (const char begun : {'5', '6'}) {
    std::string text = std::string(sends) + receives;
    std::ranges::replace(text, '%', begun);
    EXPECT_EQ(judged(text, Contract::fifo).truth,
              begun == '5' ? Truth::linearizable : Truth::violation);
  }
}

TEST(LinearText, ARefusedValueMayBeSentAgain) {
  EXPECT_EQ(error_of("p invoke send a\np full send\np invoke send a\np ok send\n"), "");
}

// --- words
// ---------------------------------------------------------------------------------------

TEST(LinearWitness, OfAnOvertakenValue) {
  EXPECT_EQ(words_of("1 invoke send a\n1 ok send\n1 invoke send b\n1 ok send\n"
                     "2 invoke receive\n2 ok receive b\n2 invoke receive\n2 ok receive a\n",
                     Contract::fifo),
            "process 2 received b before a, although send(a) had returned before send(b) began");
  EXPECT_EQ(words_of("1 invoke send a\n1 ok send\n1 invoke send b\n1 ok send\n"
                     "2 invoke receive\n2 ok receive b\n",
                     Contract::per_producer),
            "process 2 received b, and nobody ever received a, although send(a) had returned "
            "before send(b) began");
}

TEST(LinearWitness, OfReceivesOfUnknownOutcomeThatAreTooFew) {
  EXPECT_EQ(
      words_of("1 invoke send a\n1 ok send\n1 invoke send b\n1 ok send\n1 invoke send c\n1 ok "
               "send\n3 invoke receive\n2 invoke receive\n2 ok receive c\n",
               Contract::fifo),
      "a, b had been sent before c, which process 2 received; nobody is known to have "
      "received them; the receive of unknown outcome (process 3) could not have taken all of "
      "them in time");
}

TEST(LinearWitness, OfAValueOutOfNothing) {
  EXPECT_EQ(words_of("2 invoke receive\n2 ok receive a\n", Contract::set),
            "process 2 received a, which nobody sent");
  EXPECT_EQ(
      words_of("1 invoke send a\n1 full send\n2 invoke receive\n2 ok receive a\n", Contract::set),
      "process 2 received a, although the send by process 1 certainly did not happen");
  EXPECT_EQ(
      words_of("2 invoke receive\n2 ok receive a\n1 invoke send a\n1 ok send\n", Contract::set),
      "process 2 received a before process 1 began to send it");
  EXPECT_EQ(words_of("1 invoke send a\n1 ok send\n2 invoke receive\n2 ok receive a\n3 invoke "
                     "receive\n3 ok receive a\n",
                     Contract::set),
            "process 2 received a, and so did process 3");
}

TEST(LinearWitness, OfAReceiveThatFoundNothing) {
  EXPECT_EQ(words_of("1 invoke send a\n1 ok send\n2 invoke receive\n1 invoke send b\n1 ok send\n3 "
                     "invoke receive\n3 ok receive a\n2 empty receive\n3 invoke receive\n3 ok "
                     "receive b\n",
                     Contract::fifo),
            "process 2 found nothing, although something was there all the time: send(a) had "
            "returned before that receive began; send(b) had returned before receive(a) began; "
            "receive(b) began only after it had returned");
}

TEST(LinearWitness, OfCapacity) {
  EXPECT_THAT(
      words_of("1 invoke send a\n1 ok send\n1 invoke send b\n1 ok send\n", Contract::fifo, 1),
      HasSubstr("2 values were inside at once, more than there is room for: a, b"));
  EXPECT_EQ(words_of("1 invoke send a\n1 full send\n", Contract::fifo, 1),
            "process 1 found no room for a, although there was some at every moment of it: nothing "
            "else can have been inside");
}

TEST(LinearWitness, OfPriorities) {
  EXPECT_EQ(
      words_of("1 invoke send a priority=1\n1 ok send\n1 invoke send b priority=2\n1 ok send\n"
               "2 invoke receive\n2 ok receive a\n2 invoke receive\n2 ok receive b\n",
               Contract::priority),
      "process 2 received a, although something of a higher priority was there all the time: "
      "send(b) had returned before a could be received; receive(b) began only after it had "
      "returned");
}

TEST(LinearWitness, OfARegister) {
  EXPECT_EQ(
      words_of("1 invoke send a\n1 ok send\n1 invoke send b\n1 ok send\n2 invoke receive\n2 ok "
               "receive a\n",
               Contract::latest),
      "process 1's send(a) had returned before process 1's send(b) began, and process 1's "
      "send(b) had returned before process 2's receive(a) began: a would have to be the "
      "latest both before and after b");
}

TEST(LinearWitness, OfABroadcast) {
  EXPECT_EQ(
      words_of("1 invoke send a\n2 invoke send b\n1 ok send\n2 ok send\n3 invoke receive\n3 ok "
               "receive a\n3 invoke receive\n3 ok receive b\n4 invoke receive\n4 ok receive b\n"
               "4 invoke receive\n4 ok receive a\n",
               Contract::broadcast),
      "no common order of the values fits: process 3 received a, b; process 4 received b, a");
}

TEST(LinearWitness, OfABroadcastThatGotSomethingTooEarly) {
  EXPECT_EQ(words_of("3 invoke receive\n3 ok receive a\n1 invoke send a\n1 ok send\n4 invoke "
                     "receive\n4 ok receive a\n",
                     Contract::broadcast),
            "process 3 received a before process 1 began to send it");
}

}  // namespace
}  // namespace ipctorture::linear
