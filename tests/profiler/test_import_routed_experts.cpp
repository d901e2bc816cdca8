// SPDX-License-Identifier: Apache-2.0
// Replies of vLLM and SGLang, made up in the forms of their sources and worked by hand; hostile
// variants; a run that goes out and comes back.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

#include "engine/core/base64.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/analysis/run_summary.h"
#include "profiler/export/exporters.h"
#include "profiler/import/expert_ids.h"
#include "profiler/import/id_lines.h"
#include "profiler/import/importers.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using Catch::Matchers::Contains;
using nlohmann::json;
using test::TempDir;
using test::thrownBy;

namespace {

/// (3 tokens, 2 layers, top-2) of 6 experts.
const json kNested = {{{0, 5}, {1, 2}}, {{3, 0}, {2, 1}}, {{0, 4}, {5, 2}}};
const std::vector<std::int16_t> kFlat{0, 5, 1, 2, 3, 0, 2, 1, 0, 4, 5, 2};

std::string npy64() {
    return encodeBase64(npyOf({3, 2, 2, kFlat}));
}

std::string raw64() {
    std::string bytes;
    for (const std::int16_t id : kFlat) bytes += {static_cast<char>(id), '\0', '\0', '\0'};
    return encodeBase64(bytes);
}

std::string lines(std::initializer_list<json> objects) {
    std::string text;
    for (const json& object : objects) text += object.dump() + "\n";
    return text;
}

struct Imported {
    TempDir dir;
    std::string error;

    explicit Imported(const std::string& content, const ModelFacts& facts = {},
                      const char* name = "f.jsonl") {
        writeFile(dir / name, content);
        const ImportRequest request{
            "routed-experts", {dir / name}, dir / "r.moescope", {"moescope", "import"}, false,
            nullptr,          facts};
        error = thrownBy<Error>([&] { importFiles(request); });
        INFO(error);
        // Nothing is left of what was refused.
        CHECK(std::filesystem::exists(dir / "r.moescope") == error.empty());
    }
    RunReader run() const { return RunReader(dir / "r.moescope"); }
};

std::map<std::string, double> qualityOf(const RunReader& run) {
    std::map<std::string, double> out;
    for (const QualityRow& row : run.quality()) out[row.name] = row.value;
    return out;
}

std::map<std::string, std::int64_t> phasesOf(const RunReader& run) {
    std::map<std::string, std::int64_t> out;
    for (const RoutingCountRow& row : run.routingCounts()) out[row.phase] += row.count;
    return out;
}

}  // namespace

TEST_CASE("every form of the same experts becomes the same rows") {
    const json usage{{"prompt_tokens", 2}, {"completion_tokens", 2}};
    const ModelFacts shape{6, 2, 2, {}};
    const std::pair<json, ModelFacts> forms[] = {
        {{{"id", "a"}, {"prompt_tokens", 2}, {"routed_experts", kNested}}, {6, 0, 0, {}}},
        {{{"id", "a"}, {"prompt_tokens", 2}, {"routed_experts", raw64()}, {"shape", {3, 2, 2}}},
         {6, 0, 0, {}}},
        {{{"id", "a"},
          {"prompt_tokens", 2},
          {"routed_experts",
           {{"data", raw64()}, {"shape", {3, 2, 2}}, {"dtype", "int32"}, {"encoding", "base64"}}}},
         {6, 0, 0, {}}},
        // vLLM from 0.22, and the line of a batch's output that holds it.
        {{{"id", "a"},
          {"choices", {{{"index", 0}, {"text", "x"}, {"routed_experts", npy64()}}}},
          {"usage", usage}},
         {6, 0, 0, {}}},
        {{{"custom_id", "a"},
          {"response",
           {{"body",
             {{"id", "cmpl"},
              {"choices", {{{"index", 0}, {"routed_experts", npy64()}}}},
              {"usage", usage}}}}}},
         {6, 0, 0, {}}},
        // vLLM 0.21.
        {{{"id", "a"},
          {"prompt_routed_experts", {kNested[0], kNested[1]}},
          {"choices", {{{"index", 0}, {"routed_experts", json::array({kNested[2]})}}}}},
         {6, 0, 0, {}}},
        // SGLang's /generate, and its OpenAI-compatible replies.
        {{{"text", "x"},
          {"meta_info",
           {{"id", "a"},
            {"prompt_tokens", 2},
            {"completion_tokens", 2},
            {"routed_experts", raw64()}}}},
         shape},
        {{{"id", "a"},
          {"choices", {{{"index", 0}, {"sgl_ext", {{"routed_experts", raw64()}}}}}},
          {"usage", usage}},
         shape},
    };
    for (const auto& [line, facts] : forms) {
        INFO(line.dump());
        const Imported imported(lines({line}), facts);
        REQUIRE(imported.error.empty());
        const RunReader run = imported.run();
        CHECK(run.status() == RunStatus::Done);
        const auto sequences = run.sequences();
        REQUIRE(sequences.size() == 1);
        CHECK(sequences[0].label == "a");
        CHECK(sequences[0].promptTokens == 2);
        const auto rows = run.routingTokens(0);
        REQUIRE(rows.size() == 2);
        CHECK(rows[0].firstPosition == 0);
        CHECK(rows[0].experts == std::vector<std::int16_t>{0, 5, 3, 0, 0, 4});
        CHECK(rows[1].experts == std::vector<std::int16_t>{1, 2, 2, 1, 5, 2});
        CHECK(phasesOf(run) == std::map<std::string, std::int64_t>{{"prefill", 8}, {"decode", 4}});
        const RunSummary summary = summarize(run);
        CHECK(summary.experts == 6);
        CHECK(summary.topK == 2);
        REQUIRE(summary.routing.size() == 2);
        CHECK(summary.routing[0].counts == std::vector<std::int64_t>{3, 0, 0, 1, 1, 1});
        CHECK(summary.routing[1].counts == std::vector<std::int64_t>{0, 2, 3, 0, 0, 1});
        CHECK(run.metaJson("settings")["experts_from"] == "option");
        CHECK(qualityOf(run).count("experts_guessed") == 0);
        CHECK(qualityOf(run)["padding_ids"] == 0);
    }
}

TEST_CASE("what the source does not say is told") {
    const Imported imported(lines({{{"routed_experts", kNested}, {"tokens", {4, 5, 6}}}}));
    REQUIRE(imported.error.empty());
    const RunReader run = imported.run();
    CHECK(run.tokens(0)[2].prompt);  // as the whole sequence is shown
    CHECK(run.metaJson("settings")["experts_from"] == "greatest id");
    CHECK(run.metaJson("model")["name"] == "not named");
    CHECK(summarize(run).experts == 6);
    const auto quality = qualityOf(run);
    CHECK(quality.at("experts_guessed") == 6);
    CHECK(quality.at("prompt_lengths_unknown") == 1);
    CHECK(phasesOf(run) == std::map<std::string, std::int64_t>{{"unknown", 12}});
    CHECK(run.sequences()[0].label == "line 1");
    CHECK(run.metaJson("sources")[0]["sha256"].get<std::string>().size() == 64);

    const Imported stated(lines({{{"routed_experts", kNested}, {"experts", 9}}}));
    CHECK(stated.run().metaJson("settings")["experts_from"] == "file");
    CHECK(summarize(stated.run()).routing[0].balance.deadExperts == 5);
}

TEST_CASE("layers without experts and padding are no choices") {
    // As SGLang fills a dense layer, and SGL-JAX: all ids the same. Then a token of padding.
    const json dense = {
        {{0, 0}, {-1, -1}, {1, 2}}, {{0, 0}, {-1, -1}, {-1, -1}}, {{0, 0}, {-1, -1}, {3, -1}}};
    const Imported imported(lines({{{"routed_experts", dense}}}));
    REQUIRE(imported.error.empty());
    const RunReader run = imported.run();
    const auto rows = run.routingTokens(0);
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].layer == 2);
    CHECK(rows[0].experts == std::vector<std::int16_t>{1, 2, -1, -1, 3, -1});
    const auto quality = qualityOf(run);
    CHECK(quality.at("layers_unrouted") == 2);
    CHECK(quality.at("padding_ids") == 3);
    CHECK(quality.count("routing_sum") == 0);  // would say the padding once more
    CHECK(run.metaJson("routing")["layers"] == 3);
    // A token has top-k of the experts, though fewer ids were seen.
    const Imported few(lines({{{"routed_experts", {{{1, 0, -1, -1}}}}}}));
    REQUIRE(few.error.empty());
    CHECK(summarize(few.run()).experts == 4);
}

TEST_CASE("tokens, groups and several replies to a prompt") {
    const Imported texts(lines({{{"id", 7},
                                 {"suite", "math"},
                                 {"tokens", {"a", "b", "c", "d"}},
                                 {"prompt_tokens", 1},
                                 {"routed_experts", kNested}}}));
    REQUIRE(texts.error.empty());
    CHECK(texts.run().sequences()[0].label == "7");
    CHECK(texts.run().sequences()[0].group == "math");
    CHECK(texts.run().sequences()[0].generatedTokens == 3);
    CHECK(texts.run().tokens(0)[3].text == "d");
    CHECK(texts.run().tokens(0)[0].prompt);
    CHECK_FALSE(texts.run().tokens(0)[1].prompt);
    CHECK(qualityOf(texts.run()).at("last_tokens_unrouted") == 1);

    // Two replies share the prompt's experts; the beginning was left out of another's.
    const Imported replies(
        lines({{{"id", "n"},
                {"prompt_routed_experts", kNested},
                {"choices",
                 {{{"index", 0}, {"routed_experts", json::array({kNested[0]})}},
                  {{"index", 1}, {"routed_experts", json::array({kNested[1]})}}}},
                {"usage", {{"prompt_tokens", 3}, {"completion_tokens", 4}}}},
               {{"id", "late"},
                {"prompt_token_ids", {10, 11, 12, 13}},
                {"choices", {{{"token_ids", {14, 15}}, {"routed_experts", npy64()}}}}}}));
    REQUIRE(replies.error.empty());
    const RunReader run = replies.run();
    const auto sequences = run.sequences();
    REQUIRE(sequences.size() == 3);
    CHECK(sequences[0].label == "n/0");
    CHECK(sequences[1].label == "n/1");
    CHECK(run.routingTokens(1)[0].experts == std::vector<std::int16_t>{0, 5, 3, 0, 0, 4, 3, 0});
    CHECK(run.tokens(2)[4].token == 14);
    CHECK(run.routingTokens(2)[0].firstPosition == 2);  // 3 of the 5 that were fed in
    CHECK(qualityOf(run).at("prompt_tokens_unrouted") == 2);
}

TEST_CASE("texts without experts are counted; a file of none is an error") {
    const Imported some(lines({{{"choices", {{{"routed_experts", nullptr}}}}},
                               {{"custom_id", "x"}, {"response", nullptr}},
                               {{"routed_experts", json::array()}},
                               {{"routed_experts", ""}},
                               {{"routed_experts", kNested}}}));
    REQUIRE(some.error.empty());
    CHECK(qualityOf(some.run()).at("sequences_unrouted") == 4);
    CHECK_THAT(Imported(lines({{{"id", 1}}})).error, Contains("holds no \"routed_experts\""));
    CHECK_THAT(Imported("\n \n").error, Contains("holds no lines"));
    CHECK_THAT(Imported("").error, Contains("holds no lines"));
}

TEST_CASE("a file of which no choice is one says so") {
    const Imported imported(lines({{{"routed_experts", {{{-1, -1}}, {{0, 0}}}}}}));
    REQUIRE(imported.error.empty());
    const auto rows = imported.run().quality();
    CHECK(std::any_of(rows.begin(), rows.end(), [](const QualityRow& row) {
        return row.name == "layers_unrouted" && row.value == 1 && !row.ok;
    }));
}

TEST_CASE("experts count whichever line says them") {
    const Imported imported(
        lines({{{"routed_experts", kNested}}, {{"experts", 9}, {"routed_experts", kNested}}}));
    REQUIRE(imported.error.empty());
    CHECK(summarize(imported.run()).experts == 9);
    CHECK(imported.run().metaJson("settings")["experts_from"] == "file");
}

TEST_CASE("what a reply says of all its choices is not taken for each") {
    // 3 tokens of experts and 1 token; sums over prompts of a list or over replies to one.
    const auto reply = [](const json& usage) {
        return json{{"id", "n"},
                    {"choices",
                     {{{"index", 0}, {"routed_experts", kNested}},
                      {{"index", 1}, {"routed_experts", json::array({kNested[0]})}}}},
                    {"usage", usage}};
    };
    json stated = reply(json());
    stated["first_position"] = 5;
    stated["tokens"] = {1, 2};
    for (const json& line :
         {reply({{"prompt_tokens", 14}, {"completion_tokens", 4}}),
          reply({{"prompt_tokens", 2}, {"completion_tokens", 20}}), reply(json()), stated}) {
        INFO(line.dump());
        const Imported imported(lines({line}));
        REQUIRE(imported.error.empty());
        const RunReader run = imported.run();
        REQUIRE(run.sequences().size() == 2);
        CHECK(run.sequences()[0].promptTokens == 3);
        CHECK(run.sequences()[1].promptTokens == 1);
        CHECK(run.routingTokens(1)[0].firstPosition == 0);
        CHECK(phasesOf(run) == std::map<std::string, std::int64_t>{{"unknown", 16}});
        CHECK(qualityOf(run).at("prompt_lengths_unknown") == 2);
    }
    // The ids of each choice do tell: here the first 8 of 10 tokens of prompt were left out.
    json ids = reply({{"prompt_tokens", 10}, {"completion_tokens", 4}});
    for (const auto& [choice, generated] : {std::pair<std::size_t, int>{0, 2}, {1, 0}}) {
        json& one = ids["choices"][choice];
        one["prompt_token_ids"] = std::vector<int>(10, 7);
        one["token_ids"] = std::vector<int>(static_cast<std::size_t>(generated), 8);
    }
    const Imported told(lines({ids}));
    REQUIRE(told.error.empty());
    CHECK(told.run().sequences()[0].promptTokens == 10);
    CHECK(told.run().routingTokens(0)[0].firstPosition == 8);
    CHECK(told.run().routingTokens(1)[0].firstPosition == 8);
    CHECK(phasesOf(told.run()) ==
          std::map<std::string, std::int64_t>{{"prefill", 12}, {"decode", 4}});
}

TEST_CASE("ids of the prompt alone are not taken for all of a text") {
    const Imported imported(lines({{{"prompt_token_ids", {7}}, {"routed_experts", kNested}}}));
    REQUIRE(imported.error.empty());
    CHECK(imported.run().sequences()[0].promptTokens == 1);
    CHECK(imported.run().sequences()[0].generatedTokens == 2);
    CHECK(imported.run().tokens(0).empty());
}

TEST_CASE("a short line of many choices does not become gigabytes") {
    json line{{"prompt_routed_experts", json::array()}, {"choices", json::array()}};
    for (int token = 0; token < 20'000; ++token) line["prompt_routed_experts"].push_back({{0, 1}});
    for (int choice = 0; choice < 4'000; ++choice) line["choices"].push_back({{"index", choice}});
    CHECK_THAT(Imported(lines({line})).error,
               Contains("its 4000 choices repeat 40000 experts of the prompt"));
}

TEST_CASE("an interruption is heeded within a line") {
    std::string line = "{\"data\": [1";
    for (int i = 0; i < 100'000; ++i) line += ",1";
    const StopFlag stop = true;
    CHECK_THROWS_AS(parseIdLine(line + "]}", {{}, {"data"}}, "f.jsonl: line 1", &stop),
                    Interrupted);
}

TEST_CASE("a numpy file is a sequence of its own") {
    const Imported imported(npyOf({3, 2, 2, kFlat}), {6, 0, 0, "m"}, "story.npy");
    REQUIRE(imported.error.empty());
    CHECK(imported.run().sequences()[0].label == "story");
    CHECK(imported.run().metaJson("model")["name"] == "m");
    CHECK(imported.run().routingTokens(0)[1].experts ==
          std::vector<std::int16_t>{1, 2, 2, 1, 5, 2});
}

TEST_CASE("what is no routing is refused by line and cause") {
    const auto refused = [](const json& value, const json& others = json::object()) {
        json line = others;
        line["routed_experts"] = value;
        const std::string error = Imported(lines({line})).error;
        CHECK_THAT(error, Contains("f.jsonl: line 1: "));
        return error;
    };
    CHECK_THAT(refused({{{0, 1}, {2}}}), Contains("no array of tokens x layers x top-k"));
    CHECK_THAT(refused({{0, 1}}), Contains("no array of tokens x layers x top-k"));
    CHECK_THAT(refused({{{{0}}}}), Contains("no array of tokens x layers x top-k"));
    CHECK_THAT(refused({{{0, "a"}}}), Contains("an expert id is \"a\", no integer"));
    CHECK_THAT(refused({{{0, 0.5}}}), Contains("an expert id is 0.5, no integer"));
    CHECK_THAT(refused({{{0, 18446744073709551615ULL}}}), Contains("no integer"));
    CHECK_THAT(refused({{{0, -2}}}), Contains("-2 is no expert"));
    CHECK_THAT(refused({{{0, 32768}}}), Contains("expert 32768 is more than the 32767"));
    CHECK_THAT(refused({{{2, 1, 1}}}), Contains("token 0, layer 0: expert 1 is chosen twice"));
    CHECK_THAT(refused({{{json::object()}}}), Contains("an object stands among the expert ids"));
    CHECK_THAT(refused(5), Contains("is neither nested arrays nor base64"));
    CHECK_THAT(refused(json{{"data", "A==="}}), Contains("is no base64"));
    CHECK_THAT(refused("A==="), Contains("is no base64"));
    CHECK_THAT(refused(raw64()), Contains("is base64 that does not say its shape"));
    CHECK_THAT(refused(raw64(), {{"shape", {3, 2, 3}}}), Contains("has not 48 bytes"));
    CHECK_THAT(refused(raw64(), {{"shape", {2147483648, 2147483648, 4}}}), Contains("has not 48"));
    CHECK_THAT(refused(raw64(), {{"shape", {3, 2, 2}}, {"dtype", "float32"}}),
               Contains("\"dtype\" \"float32\" is no integer"));
    CHECK_THAT(refused(kNested, {{"experts", 5}}), Contains("expert 5 is not one of 5"));
    CHECK_THAT(refused(kNested, {{"prompt_tokens", 4}}), Contains("has 4 prompt tokens of 3"));
    CHECK_THAT(refused(kNested, {{"prompt_tokens", -1}}), Contains("is -1, no count"));
    CHECK_THAT(refused(kNested, {{"tokens", {1, 2}}}), Contains("has experts for token 3 of 2"));
    CHECK_THAT(refused(kNested, {{"tokens", {1, "b", 2}}}), Contains("no token id"));
    json wide = json::array({json::array()});
    for (int layer = 0; layer < 5000; ++layer) wide[0].push_back({0});
    CHECK_THAT(refused(wide), Contains("the array is of 5000 layers and top-1"));
}

TEST_CASE("lines that differ from the ones before are refused, and so is what is no line") {
    const auto second = [](const json& first, const json& line) {
        return Imported(lines({first, line})).error;
    };
    const json plain{{"routed_experts", kNested}};
    CHECK_THAT(second(plain, {{"routed_experts", {{{0, 1}}}}}),
               Contains("line 2: the array is of 1 layer and top-2, but 2 layers and top-2 in "));
    CHECK_THAT(second({{"model", "a"}, {"routed_experts", kNested}},
                      {{"model", "b"}, {"routed_experts", kNested}}),
               Contains("line 2: the model is \"b\", but \"a\" in "));
    CHECK_THAT(second(plain, {{"experts", 4}, {"routed_experts", {{{0, 1}, {2, 3}}}}}),
               Contains("line 2: the model has 4 experts here, but a line before has expert 5"));
    CHECK_THAT(second({{"experts", 8}, {"routed_experts", kNested}},
                      {{"experts", 9}, {"routed_experts", kNested}}),
               Contains("line 2: the model has 9 experts here, but 8 in ") && Contains("line 1"));
    CHECK_THAT(Imported("[1]").error, Contains("line 1: no JSON object"));
    CHECK_THAT(Imported(json{{"routed_experts", kNested}}.dump(2)).error,
               Contains("line 1: no JSON object but the beginning of one of several lines"));
    CHECK_THAT(Imported("{\"id\": \"\xFF\"}").error, Contains("line 1: invalid JSON at byte"));
    CHECK_THAT(Imported("{\"routed_experts\": [[[NaN]]]}").error, Contains("invalid JSON"));
    CHECK_THAT(Imported("{\"routed_experts\": [[[0").error, Contains("invalid JSON"));
    CHECK_THAT(Imported("{\"routed_experts\": " + std::string(300, '[')).error,
               Contains("nested deeper"));
    CHECK_THAT(Imported("PK\x03\x04...").error, Contains("is an archive"));
    std::string objects = "{\"choices\": [{}";
    for (int i = 0; i < 10'000; ++i) objects += ",{}";
    CHECK_THAT(Imported(objects + "]}").error, Contains("more than 10000 JSON objects"));
    // Each object takes as long as the array before it is.
    std::string behind = "{\"data\": [1";
    for (int i = 0; i < 10'001; ++i) behind += ",1";
    CHECK_THAT(Imported(behind + ",{}]}").error, Contains("an object stands behind 10002 values"));
    CHECK(Imported("{\"data\": [1,{}], \"routed_experts\": [[[0]]]}").error.empty());
}

TEST_CASE("what nobody asks for does not count, whatever it holds") {
    const Imported imported(
        lines({{{"a", {{"routed_experts", {{{9}}}}, {"b", {1, {{"c", 2}}, {{"id", "no"}}}}}},
                {"id", "yes"},
                {"logprobs", {{"id", 3}}},
                {"routed_experts", kNested}}}));
    REQUIRE(imported.error.empty());
    CHECK(imported.run().sequences()[0].label == "yes");
    CHECK(summarize(imported.run()).experts == 6);
}

TEST_CASE("options that a kind would ignore, or out of range, are refused") {
    const TempDir dir;
    const auto refused = [&](const char* kind, ModelFacts facts) {
        const ImportRequest request{kind,  {dir / "f"}, dir / "r.moescope", {},
                                    false, nullptr,     std::move(facts)};
        return thrownBy<UsageError>([&] { importFiles(request); });
    };
    CHECK(refused("nsys", {8, 0, 0, {}}) == "'import nsys' takes no --experts");
    CHECK(refused("olmoe", {0, 0, 8, {}}) == "'import olmoe' takes no --top-k");
    CHECK(refused("sglang", {0, 4, 0, {}}) == "'import sglang' takes no --layers");
    CHECK(refused("fingerprint", {0, 0, 0, "m"}) == "'import fingerprint' takes no --model");
    CHECK_THAT(refused("routed-experts", {40000, 0, 0, {}}), Contains("from 1 to 32767"));
    CHECK_THAT(refused("routed-experts", {0, 0, 129, {}}), Contains("from 1 to 128"));
    CHECK_THAT(refused("routed-experts", {4, 0, 8, {}}), Contains("--top-k 8 is more than"));
}

TEST_CASE("a run's routing goes out and comes back the same") {
    const TempDir dir;
    {
        RunWriter writer(dir / "a.moescope", RunWriter::Mode::Create);
        writer.setMeta("kind", "profile");
        writer.setMeta("model", json{{"name", "m"}});
        writer.setMeta("routing", json{{"experts", 8}, {"top_k", 2}, {"layers", 4}});
        writer.add(SequenceRow{0, "one", "g", 2, 2});
        for (int i = 0; i < 4; ++i) writer.add(TokenRow{0, i, 40 + i, "t", i < 2, std::nullopt});
        // Layers 1 and 3; the second row of layer 1 begins after a gap.
        writer.add(RoutingTokensRow{0, 1, 1, 1, 2, {5, 1}, {}});
        writer.add(RoutingTokensRow{0, 1, 3, 1, 2, {2, 6}, {}});
        writer.add(RoutingTokensRow{0, 3, 1, 3, 2, {0, 1, 2, 3, 4, 5}, {0.5F, 0.5F, 1, 0, 1, 0}});
        for (const auto& [layer, expert] : {std::pair{1, 1},
                                            {1, 2},
                                            {1, 5},
                                            {1, 6},
                                            {3, 0},
                                            {3, 1},
                                            {3, 2},
                                            {3, 3},
                                            {3, 4},
                                            {3, 5}})
            writer.add(RoutingCountRow{0, "decode", layer, expert, 1});
        writer.add(SequenceRow{1, "counts only", "", 1, 0});
        writer.finish(RunStatus::Done);
    }
    exporterFor("", dir / "f.jsonl").write(RunReader(dir / "a.moescope"), dir / "f.jsonl");
    const Imported back(readFile(dir / "f.jsonl"));
    REQUIRE(back.error.empty());
    const RunReader run = back.run();
    REQUIRE(run.sequences().size() == 1);
    CHECK(run.sequences()[0].label == "one");
    CHECK(run.sequences()[0].group == "g");
    CHECK(run.sequences()[0].promptTokens == 2);
    CHECK(run.sequences()[0].generatedTokens == 2);
    CHECK(run.tokens(0)[3].token == 43);
    CHECK(run.metaJson("routing") == json{{"experts", 8}, {"top_k", 2}, {"layers", 4}});
    CHECK(run.metaJson("model")["name"] == "m");
    const auto rows = run.routingTokens(0);
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].layer == 1);
    CHECK(rows[0].firstPosition == 1);
    CHECK(rows[0].experts == std::vector<std::int16_t>{5, 1, -1, -1, 2, 6});
    CHECK(rows[1].layer == 3);
    CHECK(rows[1].experts == std::vector<std::int16_t>{0, 1, 2, 3, 4, 5});
    const RunSummary before = summarize(RunReader(dir / "a.moescope")), after = summarize(run);
    REQUIRE(after.routing.size() == before.routing.size());
    for (std::size_t i = 0; i < after.routing.size(); ++i)
        CHECK(after.routing[i].counts == before.routing[i].counts);

    // A model that nobody named is not one of that name.
    const Imported unnamed(lines({{{"routed_experts", kNested}}}));
    writeRoutedExperts(unnamed.run(), dir / "u.jsonl");
    CHECK(json::parse(readFile(dir / "u.jsonl")).count("model") == 0);
    // Positions that would not be read are not written.
    RunWriter far(dir / "far.moescope", RunWriter::Mode::Create);
    far.setMeta("routing", json{{"experts", 8}, {"top_k", 2}, {"layers", 1}});
    far.add(SequenceRow{0, "one", "", 0, 0});
    far.add(RoutingCountRow{0, "decode", 0, 1, 1});
    far.add(RoutingTokensRow{0, 0, std::int64_t{1} << 31U, 1, 2, {1, 2}, {}});
    far.finish(RunStatus::Done);
    CHECK_THAT(thrownBy<Error>(
                   [&] { writeRoutedExperts(RunReader(dir / "far.moescope"), dir / "no.jsonl"); }),
               Contains("lie too far apart"));

    RunWriter empty(dir / "none.moescope", RunWriter::Mode::Create);
    empty.finish(RunStatus::Done);
    CHECK_THAT(thrownBy<Error>(
                   [&] { writeRoutedExperts(RunReader(dir / "none.moescope"), dir / "no.jsonl"); }),
               Contains("does not hold the experts of each token"));
    CHECK_FALSE(std::filesystem::exists(dir / "no.jsonl"));

    // Experts of tokens, but neither counts nor a top-k: a run that nobody of us wrote.
    RunWriter odd(dir / "odd.moescope", RunWriter::Mode::Create);
    odd.add(SequenceRow{0, "one", "", 0, 0});
    odd.add(RoutingTokensRow{0, 1, 0, 0, 0, {}, {}});
    odd.finish(RunStatus::Done);
    CHECK_THAT(thrownBy<Error>(
                   [&] { writeRoutedExperts(RunReader(dir / "odd.moescope"), dir / "no.jsonl"); }),
               Contains("does not hold the experts of each token"));
}
