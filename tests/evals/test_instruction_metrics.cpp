// SPDX-License-Identifier: Apache-2.0
// Instruction following from replies to run file to metrics, worked by hand.
#include <catch2/catch.hpp>
#include <map>

#include "engine/core/file.h"
#include "evals/reply_readers.h"
#include "evals/stats/intervals.h"
#include "profiler/runfile/run_reader.h"
#include "tests/evals/run_file.h"
#include "tests/evals/stub_model.h"

using namespace moescope;
using moescope::test::metric;
using moescope::test::RunFile;
using moescope::test::StubModel;

namespace {

SuiteItem promptWith(const std::string& id, const std::string& instructions) {
    SuiteItem item;
    item.id = id;
    item.cluster = id;
    item.body = id;
    item.place = "data:" + id;
    item.expected = instructions;
    item.groups = {{"count", id == "one" ? "1" : "2"}};
    return item;
}

SuiteData suite() {
    constexpr const char* kNoComma = R"({"id":"punctuation:no_comma","kwargs":{}})";
    constexpr const char* kTitle = R"({"id":"detectable_format:title","kwargs":{}})";
    constexpr const char* kGerman =
        R"({"id":"language:response_language","kwargs":{"language":"de"}})";
    const auto list = [](std::initializer_list<const char*> all) {
        std::string text;
        for (const char* one : all) text += (text.empty() ? "[" : ",") + std::string(one);
        return text + "]";
    };
    SuiteData data;
    data.definition.name = "s";
    data.definition.scoring = "instructions_reply";
    data.definition.target = TextTemplate("{instructions}", "s");
    data.definition.factors = {{"count", TextTemplate("{count}", "s"), {}, {}}};
    data.definition.metrics = {
        {"prompt_level_strict_acc", ""}, {"prompt_level_loose_acc", ""},
        {"inst_level_strict_acc", ""},   {"inst_level_loose_acc", ""},
        {"instruction_families", ""},    {"prompt_level_strict_acc", "count"}};
    data.replies = true;
    data.items = {promptWith("one", list({kNoComma})), promptWith("both", list({kNoComma, kTitle})),
                  promptWith("german", list({kNoComma, kGerman})),
                  promptWith("silent", list({kNoComma, kTitle}))};
    for (std::size_t i = 0; i < data.items.size(); ++i)
        data.items[i].ordinal = static_cast<std::int64_t>(i);
    data.available = 4;
    return data;
}

ReplyResult reply(const std::string& prompt) {
    ReplyResult result;
    result.finish = "stop";
    result.replyTokens = 3;
    // A comma in the first line: strictly not followed, loosely it is.
    if (prompt == "one") result.answer = "Sure, fine:\nNo comma.";
    if (prompt == "both") result.answer = "<<Title>>\nNo comma.";
    if (prompt == "german") result.answer = "Hallo";
    if (prompt == "silent") result.reasoning = "<<Title>>";
    return result;
}

}  // namespace

TEST_CASE("Prompts and instructions are counted strictly and loosely, the undecided as failed") {
    StubModel stub;
    stub.chatFormat = true;
    stub.replyRule = [](const ReplyRequest& request) { return reply(std::string(request.prompt)); };
    RunFile file("instructions");
    RunWriter writer(file.path(), RunWriter::Mode::Create);
    writer.setMeta("kind", std::string("eval"));
    const SuiteResult result = evaluate({suite()}, stub, writer, {})[0];
    writer.finish(RunStatus::Done);

    CHECK(metric(result, "prompt_level_strict_acc").value == 0.25);  // "both"
    CHECK(metric(result, "prompt_level_loose_acc").value == 0.5);    // and "one"
    CHECK(metric(result, "prompt_level_strict_acc", "count=1").value == 0);
    CHECK(metric(result, "prompt_level_strict_acc", "count=2").value == Approx(1.0 / 3));
    // Followed: no | yes yes | yes undecided | no no.
    const MetricRow& strict = metric(result, "inst_level_strict_acc");
    CHECK(strict.value == Approx(3.0 / 7));
    CHECK(strict.n == 7);
    CHECK(strict.clusters == 4);
    CHECK_THAT(strict.method,
               Catch::Contains("4 clusters") &&
                   Catch::EndsWith("1 of 7 verdicts undecided, counted as not followed"));
    const std::vector<double> values = {0, 1, 1, 1, 0, 0, 0};
    const std::vector<std::size_t> clusters = {0, 1, 1, 2, 2, 3, 3};
    CHECK(*strict.low == Approx(stats::clusteredWilson(values, clusters).low));
    CHECK(metric(result, "inst_level_loose_acc").value == Approx(4.0 / 7));
    CHECK(metric(result, "inst_level_strict_acc", "instructions=punctuation").value == 0.5);
    CHECK(metric(result, "inst_level_strict_acc", "instructions=punctuation").n == 4);
    CHECK(metric(result, "inst_level_loose_acc", "instructions=punctuation").value == 0.75);
    CHECK(metric(result, "inst_level_strict_acc", "instructions=language").value == 0);
    CHECK(metric(result, "replies_undecided").value == 1);
    CHECK(metric(result, "answered").value == 0.75);
    CHECK(metric(result, "replies_unanswered").value == 1);

    const std::vector<ItemRow> items = RunReader(file.path()).items(1);
    REQUIRE(items.size() == 4);
    CHECK(items[0].answer == "0 of 1 followed; not followed: punctuation:no_comma");
    CHECK(items[2].answer == "1 of 2 followed; undecided: language:response_language");
    CHECK(items[3].answer.empty());  // reasoning is not what it says to the reader
    const nlohmann::json detail = parseJson(items[2].detail, "detail");
    CHECK(detail.at("followed_strict") == false);
    CHECK(detail.at("instructions").at(0).at("strict") == "followed");
    CHECK(detail.at("instructions").at(1) == nlohmann::json{{"id", "language:response_language"},
                                                            {"kwargs", {{"language", "de"}}},
                                                            {"strict", "undecided"},
                                                            {"loose", "undecided"}});
}

TEST_CASE("Instructions are averaged over the replies to an item before anything else") {
    StubModel stub;
    stub.chatFormat = true;
    std::map<std::string, int> asked;
    stub.replyRule = [&](const ReplyRequest& request) {
        const std::string prompt(request.prompt);
        ReplyResult result = reply(prompt);
        // Every second reply to "one" has no comma, and to "german" nothing at all.
        if (asked[prompt]++ % 2 == 1 && prompt != "both")
            result.answer = prompt == "one" ? "No" : "";
        return result;
    };
    EvalOptions options;
    options.repeats = 2;
    RunFile file("instructions_repeated");
    RunWriter writer(file.path(), RunWriter::Mode::Create);
    const SuiteResult result = evaluate({suite()}, stub, writer, options)[0];
    writer.finish(RunStatus::Done);
    // Followed: half | yes yes | half undecided-and-no | no no.
    const MetricRow& strict = metric(result, "inst_level_strict_acc");
    CHECK(strict.value == Approx(3.0 / 7));
    CHECK(strict.n == 7);
    CHECK(strict.clusters == 4);
    CHECK_THAT(strict.method,
               Catch::EndsWith("1 of 14 verdicts undecided, counted as not followed"));
    const std::vector<double> values = {0.5, 1, 1, 0.5, 0, 0, 0};
    const std::vector<std::size_t> clusters = {0, 1, 1, 2, 2, 3, 3};
    CHECK(*strict.low == Approx(stats::clusteredWilson(values, clusters, 14).low));
    CHECK(metric(result, "prompt_level_strict_acc").value == Approx(1.5 / 4));
    CHECK(metric(result, "prompt_level_strict_acc").n == 4);
    CHECK(metric(result, "replies_undecided").value == 1);
}

TEST_CASE("Instructions that cannot be judged are refused before the model is asked") {
    StubModel stub;
    stub.chatFormat = true;
    SuiteData data = suite();
    data.items[2].expected = R"([{"id":"language:dialect","kwargs":{}}])";
    RunFile file("unknown_instruction");
    RunWriter writer(file.path(), RunWriter::Mode::Create);
    CHECK_THROWS_WITH(evaluate({data}, stub, writer, {}),
                      Catch::StartsWith("data:german: unknown instruction 'language:dialect'"));
    data.definition.target = TextTemplate();
    CHECK_THROWS_WITH(replyReaderFor(data.definition), Catch::Contains("needs a target"));
}
