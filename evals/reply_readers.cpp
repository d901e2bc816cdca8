// SPDX-License-Identifier: Apache-2.0
#include "evals/reply_readers.h"

#include <algorithm>
#include <vector>

#include "datasets/suggest.h"
#include "engine/core/error.h"
#include "evals/answer_text.h"
#include "evals/instructions/instruction.h"

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

void checkInstructions(const SuiteDefinition& suite) {
    if (suite.target.empty() || !suite.choices.list.empty() || !suite.choices.each.empty())
        throw Error("suite '" + suite.name + "': " + suite.scoring +
                    " needs a target that holds instructions, and no choices");
}

std::string expectedChoice(const SuiteItem& item) {
    return item.choices[static_cast<std::size_t>(item.target)];
}

std::string expectedNothing(const SuiteItem&) {
    return {};
}

std::string expectedNumber(const SuiteItem& item) {
    const std::optional<ReadAnswer> number = readSolution(item.expected);
    if (!number) throw Error(item.place + ": the target of item '" + item.id + "' holds no number");
    return number->text;
}

/// Every reply may follow them: there is no one answer. Throws for those that cannot be judged.
std::string expectedInstructions(const SuiteItem& item) {
    instructions::parseGiven(item.expected, item.place);
    return {};
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

/// "2 of 3 followed; not followed: punctuation:no_comma": what a person asks of an item first.
std::string verdictText(std::span<const instructions::Given> given,
                        std::span<const instructions::Verdicts> verdicts) {
    using instructions::Verdict;
    std::string others;
    std::size_t followed = 0;
    for (const Verdict verdict : {Verdict::NotFollowed, Verdict::Undecided}) {
        std::string names;
        for (std::size_t i = 0; i < given.size(); ++i)
            if (verdicts[i].strict == verdict)
                names += (names.empty() ? "" : ", ") + std::string(given[i].instruction->id);
        if (!names.empty())
            others += "; " + std::string(instructions::verdictName(verdict)) + ": " + names;
    }
    for (const instructions::Verdicts& one : verdicts)
        followed += one.strict == Verdict::Followed ? 1 : 0;
    return std::to_string(followed) + " of " + std::to_string(given.size()) + " followed" + others;
}

/// A reply that was cut off is judged as it is, as IFEval does.
ItemScore judgeInstructions(const SuiteDefinition&, const SuiteItem& item, std::string_view reply,
                            bool) {
    using instructions::Verdict;
    const std::vector<instructions::Given> given =
        instructions::parseGiven(item.expected, item.place);
    const std::vector<instructions::Verdicts> verdicts = instructions::judge(given, reply);
    const auto all = [&](Verdict instructions::Verdicts::*which) {
        return std::all_of(verdicts.begin(), verdicts.end(),
                           [&](const auto& one) { return one.*which == Verdict::Followed; });
    };
    ItemScore out;
    const bool answered = !instructions::isBlank(instructions::decoded(reply));
    if (answered) out.answer = verdictText(given, verdicts);
    const bool strict = all(&instructions::Verdicts::strict);
    out.score = strict ? 1 : 0;
    out.detail = {{"answered", answered},
                  {"followed_strict", strict},
                  {"followed_loose", all(&instructions::Verdicts::loose)},
                  {"instructions", nlohmann::json::array()}};
    for (std::size_t i = 0; i < given.size(); ++i)
        out.detail["instructions"].push_back(
            {{"id", given[i].instruction->id},
             {"kwargs", given[i].kwargs},
             {"strict", instructions::verdictName(verdicts[i].strict)},
             {"loose", instructions::verdictName(verdicts[i].loose)}});
    return out;
}

constexpr ReplyReader kReaders[] = {
    {"choice_reply", "the letter of a choice, read from a written reply", checkLetters,
     expectedChoice, judgeLetter},
    {"yes_no_reply", "yes or no, read from a written reply", checkYesNoReply, expectedNothing,
     judgeYesNoReply},
    {"number_reply", "a number, read from a written reply", checkNumber, expectedNumber,
     judgeNumber},
    {"instructions_reply", "whether a written reply follows instructions that can be verified",
     checkInstructions, expectedInstructions, judgeInstructions},
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
