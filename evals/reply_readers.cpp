// SPDX-License-Identifier: Apache-2.0
#include "evals/reply_readers.h"

#include <vector>

#include "datasets/suggest.h"
#include "engine/core/error.h"
#include "evals/answer_text.h"

namespace moescope {

namespace {

void checkLetters(const SuiteDefinition& suite) {
    const bool choices = !suite.choices.list.empty() || !suite.choices.each.empty();
    if (!choices || suite.target.empty())
        throw Error("suite '" + suite.name + "': " + suite.scoring + " needs choices and a target");
}

void checkYesNoReply(const SuiteDefinition& suite) {
    if (suite.favourable.empty())
        throw Error("suite '" + suite.name + "': " + suite.scoring + " needs favourable");
}

void checkNumber(const SuiteDefinition& suite) {
    if (suite.target.empty() || !suite.choices.list.empty() || !suite.choices.each.empty())
        throw Error("suite '" + suite.name + "': " + suite.scoring +
                    " needs a target that holds a number, and no choices");
}

std::string expectedChoice(const SuiteItem& item) {
    return item.choices[static_cast<std::size_t>(item.target)];
}

std::string expectedNothing(const SuiteItem&) {
    return {};
}

std::string expectedNumber(const SuiteItem& item) {
    const std::optional<ReadAnswer> number = readSolution(item.expected);
    if (!number) throw Error("item '" + item.id + "': its target holds no number");
    return number->text;
}

ItemScore scoreOf(const std::optional<ReadAnswer>& read, std::string answer, std::string target) {
    ItemScore out;
    out.answer = std::move(answer);
    out.target = std::move(target);
    out.detail = {{"answered", read.has_value()}};
    if (read) out.detail["read_by"] = read->rule;
    return out;
}

std::vector<std::string> shownChoices(const SuiteItem& item) {
    if (item.order.empty()) return item.choices;
    std::vector<std::string> shown;
    for (const int choice : item.order)
        shown.push_back(item.choices[static_cast<std::size_t>(choice)]);
    return shown;
}

ItemScore judgeLetter(const SuiteDefinition&, const SuiteItem& item, std::string_view reply,
                      bool cutOff) {
    const std::optional<ReadAnswer> read = readChoice(reply, shownChoices(item), cutOff);
    int index = -1;
    if (read) {
        index = read->text[0] - 'A';
        if (!item.order.empty()) index = item.order[static_cast<std::size_t>(index)];
    }
    ItemScore out =
        scoreOf(read, index < 0 ? std::string() : item.choices[static_cast<std::size_t>(index)],
                expectedChoice(item));
    out.score = index == item.target ? 1 : 0;
    out.detail["answer_index"] = index;
    out.detail["target_index"] = item.target;
    out.detail["right"] = index == item.target;
    return out;
}

ItemScore judgeYesNoReply(const SuiteDefinition&, const SuiteItem& item, std::string_view reply,
                          bool cutOff) {
    const std::optional<ReadAnswer> read = readYesNo(reply, cutOff);
    ItemScore out = scoreOf(read, read ? read->text : std::string(), {});
    out.score = read && read->text == item.favourable ? 1 : 0;
    out.detail["favourable"] = item.favourable;
    return out;
}

ItemScore judgeNumber(const SuiteDefinition&, const SuiteItem& item, std::string_view reply,
                      bool cutOff) {
    const std::optional<ReadAnswer> read = readNumber(reply, cutOff);
    ItemScore out = scoreOf(read, read ? read->text : std::string(), expectedNumber(item));
    out.score = read && out.answer == out.target ? 1 : 0;
    out.detail["right"] = out.score > 0;
    return out;
}

constexpr ReplyReader kReaders[] = {
    {"choice_reply", "the letter of a choice, read from a written reply", checkLetters,
     expectedChoice, judgeLetter},
    {"yes_no_reply", "yes or no, read from a written reply", checkYesNoReply, expectedNothing,
     judgeYesNoReply},
    {"number_reply", "a number, read from a written reply", checkNumber, expectedNumber,
     judgeNumber},
};

}  // namespace

std::span<const ReplyReader> replyReaders() {
    return kReaders;
}

const ReplyReader& replyReaderFor(const SuiteDefinition& suite) {
    std::vector<std::string> known;
    for (const ReplyReader& reader : kReaders) {
        if (reader.name == suite.scoring) {
            reader.check(suite);
            return reader;
        }
        known.emplace_back(reader.name);
    }
    throw Error("suite '" + suite.name + "': unknown scoring of replies '" + suite.scoring + "'" +
                didYouMean(suite.scoring, known));
}

}  // namespace moescope
