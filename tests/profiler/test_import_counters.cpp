// SPDX-License-Identifier: Apache-2.0
// Counters of SGLang and TensorRT-LLM, and traces of llama.cpp and of OLMoE's script: small files
// in the forms of their sources, worked by hand.
#include <catch2/catch.hpp>
#include <cstring>
#include <map>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/analysis/run_summary.h"
#include "profiler/import/counted_run.h"
#include "profiler/import/importers.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using Catch::Matchers::Contains;
using nlohmann::json;
using test::TempDir;
using test::thrownBy;

namespace {

/// torch 2.15.0 wrote it: three passes, the last empty, of a dense layer and one with 4 experts,
/// top-2; 3 tokens [3, 2, 1, 0] and 2 tokens [2, 1, 0, 1].
const std::filesystem::path kStat =
    std::filesystem::path(MOESCOPE_SOURCE_DIR) / "tests/fuzz/corpus/fuzz_routing_import/stat.pt";

std::string import(const TempDir& dir, const char* kind, const std::filesystem::path& file,
                   const ModelFacts& facts = {}) {
    const ImportRequest request{kind,    {file}, dir / "r.moescope", {"moescope"}, true,
                                nullptr, facts};
    const std::string error = thrownBy<Error>([&] { importFiles(request); });
    CHECK_FALSE(std::filesystem::exists(dir / "r.moescope.importing-1"));
    return error;
}

void writeSafetensors(const std::filesystem::path& path,
                      const std::map<std::string, std::vector<std::int64_t>>& tensors) {
    json header;
    std::string data;
    for (const auto& [name, values] : tensors) {
        const std::size_t begin = data.size();
        data.append(reinterpret_cast<const char*>(values.data()), values.size() * 8);
        header[name] = {
            {"dtype", "I64"}, {"shape", {values.size()}}, {"data_offsets", {begin, data.size()}}};
    }
    const std::string text = header.dump();
    const std::uint64_t length = text.size();
    std::string out(8, '\0');
    std::memcpy(out.data(), &length, 8);
    writeFile(path, out + text + data);
}

double quality(const RunReader& run, const std::string& name) {
    for (const QualityRow& row : run.quality())
        if (row.name == name) return row.value;
    FAIL("no quality row " + name);
    return 0;
}

}  // namespace

TEST_CASE("passes of SGLang's recorder become sequences of counts") {
    const TempDir dir;
    REQUIRE(import(dir, "sglang", kStat, {0, 0, 2, "deep"}).empty());
    const RunReader run(dir / "r.moescope");
    const auto sequences = run.sequences();
    REQUIRE(sequences.size() == 2);
    CHECK(sequences[0].label == "pass 0");
    CHECK(sequences[0].promptTokens == 3);
    CHECK(sequences[1].promptTokens == 2);
    CHECK(run.routingTokens(0).empty());
    for (const RoutingCountRow& row : run.routingCounts()) CHECK(row.phase == "unknown");
    const RunSummary summary = summarize(run);
    CHECK(summary.experts == 4);
    CHECK(summary.topK == 2);
    REQUIRE(summary.routing.size() == 1);
    CHECK(summary.routing[0].layer == 1);
    CHECK(summary.routing[0].counts == std::vector<std::int64_t>{5, 3, 1, 1});
    CHECK(run.metaJson("routing")["layers"] == 2);
    CHECK(run.metaJson("model")["name"] == "deep");
    CHECK(quality(run, "routing_sum") == 0);
}

TEST_CASE("SGLang's counters need top-k, and say what it divides") {
    const TempDir dir;
    const ImportRequest request{"sglang", {kStat}, dir / "r.moescope", {}, false, nullptr, {}};
    try {
        importFiles(request);
        FAIL("a top-k was not asked for");
    } catch (const UsageError& error) {
        CHECK_THAT(error.what(), Contains("needs --top-k K or --config FILE"));
        CHECK_THAT(error.hint(), Contains("add up to multiples of 2"));  // of 6 and 4
    }
    // A wrong one shows: 6 and 4 assignments are no whole tokens of top-4.
    REQUIRE(import(dir, "sglang", kStat, {0, 0, 4, {}}).empty());
    CHECK(quality(RunReader(dir / "r.moescope"), "routing_sum") == -2);
}

TEST_CASE("ranks of TensorRT-LLM's statistic are added up") {
    const TempDir dir;
    const std::filesystem::path folder = dir / "statistic";
    std::filesystem::create_directory(folder);
    writeFile(folder / "meta_info.json", R"({"num_experts": 3, "num_experts_per_token": 2})");
    writeSafetensors(folder / "rank0.safetensors",
                     {{"100_3", {2, 1, 1}}, {"100_4", {2, 2, 0}}, {"101_3", {1, 1, 0}}});
    writeSafetensors(folder / "rank1.safetensors", {{"100_3", {0, 1, 1}}, {"100_4", {1, 0, 1}}});
    writeFile(folder / "rank0_raw.safetensors", "never read");
    REQUIRE(import(dir, "trtllm", folder).empty());
    const RunReader run(dir / "r.moescope");
    REQUIRE(run.sequences().size() == 2);
    CHECK(run.sequences()[0].label == "iteration 100");
    CHECK(run.sequences()[0].promptTokens == 3);
    const RunSummary summary = summarize(run);
    REQUIRE(summary.routing.size() == 2);
    CHECK(summary.routing[0].layer == 3);
    CHECK(summary.routing[0].counts == std::vector<std::int64_t>{3, 3, 2});
    CHECK(summary.routing[1].counts == std::vector<std::int64_t>{3, 2, 1});
    CHECK(run.metaJson("sources").size() == 2);

    writeSafetensors(folder / "rank1.safetensors", {{"100_3", {0, -1, 1}}});
    CHECK_THAT(import(dir, "trtllm", folder), Contains("'100_3' holds a count of -1"));
    writeSafetensors(folder / "rank1.safetensors", {{"100_3", {0, 1}}});
    CHECK_THAT(import(dir, "trtllm", folder), Contains("is not 3 counts as I64"));
    // Names of one cell twice, too.
    for (const char* name : {"100", "0100_3", "100_03", "-0_3", "100_3_", "+1_3"}) {
        writeSafetensors(folder / "rank1.safetensors", {{name, {0, 1, 1}}});
        CHECK_THAT(import(dir, "trtllm", folder), Contains("is not named <iteration>_<layer>"));
    }
    constexpr std::int64_t kMost = std::int64_t{1} << 50U;
    writeSafetensors(folder / "rank1.safetensors", {{"100_3", {kMost - 1, 1, 1}}});
    CHECK_THAT(import(dir, "trtllm", folder), Contains("'100_3' holds a count of"));
    writeSafetensors(folder / "rank1.safetensors", {{"1_99999999", {0, 1, 1}}});
    CHECK_THAT(import(dir, "trtllm", folder), Contains("more layers than analyses take"));
    writeFile(folder / "meta_info.json", "null");
    CHECK_THAT(import(dir, "trtllm", folder), Contains("meta_info.json: \"num_experts\" is no"));
    CHECK_THAT(import(dir, "trtllm", kStat), Contains("is no folder"));
    CHECK_THAT(import(dir, "trtllm", dir.path()), Contains("meta_info.json"));
}

TEST_CASE("a token cannot have more experts than there are") {
    const TempDir dir;
    CHECK_THAT(import(dir, "sglang", kStat, {0, 0, 100, {}}),
               Contains("stat.pt: a token cannot have top-100 of 4 experts"));
    writeFile(dir / "meta_info.json", R"({"num_experts": 4, "num_experts_per_token": 8})");
    writeSafetensors(dir / "rank0.safetensors", {{"1_0", {8, 8, 8, 8}}});
    CHECK_THAT(import(dir, "trtllm", dir.path()), Contains("cannot have top-8 of 4 experts"));
}

TEST_CASE("a long recording leaves a short one its sequences") {
    const TempDir dir;
    RunWriter writer(dir / "r.moescope", RunWriter::Mode::Create);
    const ImportRequest request{"sglang", {"f.pt"}, {}, {}, false, nullptr, {}};
    RoutedFacts facts;
    facts.layers = facts.topK = 1;
    facts.experts = 2;
    CountedRun run(writer, request, facts);
    for (const auto& [group, passes] : {std::pair{"long", 200}, {"short", 3}}) {
        run.begin(group, passes);
        for (int pass = 0; pass < passes; ++pass)
            run.add({1, 1}, "pass " + std::to_string(pass), "f.pt");
    }
    run.finish();
    writer.finish(RunStatus::Done);
    std::map<std::string, std::vector<std::int64_t>> tokens;
    for (const SequenceRow& sequence : RunReader(dir / "r.moescope").sequences())
        tokens[sequence.group].push_back(sequence.promptTokens);
    CHECK(tokens["long"] == std::vector<std::int64_t>(50, 8));  // 4 passes of 2 tokens each
    CHECK(tokens["short"] == std::vector<std::int64_t>(3, 2));
}

TEST_CASE("the ids of OLMoE's script are turned layers first") {
    const TempDir dir;
    // (2 tokens, top-2, 3 layers)
    writeFile(dir / "c4.jsonl",
              R"({"input_ids": [7, 8], "predicted_token_ids": [1, 2], "exp_ids": )"
              R"([[[0, 1, 2], [3, 4, 5]], [[6, 0, 1], [2, 3, 4]]]})"
              "\n");
    REQUIRE(import(dir, "olmoe", dir / "c4.jsonl", {64, 0, 0, {}}).empty());
    const RunReader run(dir / "r.moescope");
    CHECK(run.sequences()[0].promptTokens == 2);
    CHECK(run.tokens(0)[1].token == 8);
    const auto rows = run.routingTokens(0);
    REQUIRE(rows.size() == 3);
    CHECK(rows[0].experts == std::vector<std::int16_t>{0, 3, 6, 2});
    CHECK(rows[2].experts == std::vector<std::int16_t>{2, 5, 1, 4});
    CHECK(summarize(run).experts == 64);

    writeFile(dir / "bad.jsonl", R"({"input_ids": [7], "exp_ids": [[[0]], [[1]]]})");
    CHECK_THAT(import(dir, "olmoe", dir / "bad.jsonl"), Contains("has 1 tokens and experts for 2"));
    writeFile(dir / "bad.jsonl", R"({"routed_experts": [[[0]]]})");
    CHECK_THAT(import(dir, "olmoe", dir / "bad.jsonl"), Contains("line 1: has no \"exp_ids\""));
}

TEST_CASE("each version of llama.cpp's moe-trace is the same run") {
    // Two tokens of prompt, one generated; the last layer has no experts for the first token.
    const std::pair<const char*, int> versions[] = {
        {"0,1\n0,2\n0,3\n0,4\n1,5\n1,6\n0,0\n0,7\n1,1\n1,0\n", 2},
        {"layer,expert\r\n0,1\r\n0,2\r\n0,3\r\n0,4\r\n1,5\r\n1,6\r\n0,0\r\n0,7\r\n1,1\r\n1,0", 2},
        {"-2,0,1,2\n-1,0,3,4\n-1,1,5,6\n0,0,0,7\n0,1,1,0\n", 0},
        {"phase,token,layer,rank,expert\nprefill,0,0,0,1\nprefill,0,0,1,2\nprefill,1,0,0,3\n"
         "prefill,1,0,1,4\nprefill,0,1,0,5\nprefill,0,1,1,6\ndecode,2,0,0,0\ndecode,2,0,1,7\n"
         "decode,2,1,0,1\ndecode,2,1,1,0\n",
         0},
    };
    for (const auto& [content, topK] : versions) {
        INFO(content);
        const TempDir dir;
        writeFile(dir / "t.csv", content);
        REQUIRE(import(dir, "moe-trace", dir / "t.csv", {8, 0, topK, {}}).empty());
        const RunReader run(dir / "r.moescope");
        const auto rows = run.routingTokens(0);
        REQUIRE(rows.size() == 2);
        CHECK(rows[0].experts == std::vector<std::int16_t>{1, 2, 3, 4, 0, 7});
        CHECK(rows[1].experts == std::vector<std::int16_t>{-1, -1, 5, 6, 1, 0});
        CHECK(run.sequences()[0].promptTokens == (topK == 0 ? 2 : 3));
        CHECK(quality(run, "prompt_lengths_unknown") == (topK == 0 ? 0 : 1));
        CHECK(quality(run, "padding_ids") == 2);
    }
}

TEST_CASE("a trace of another form is refused by line and cause") {
    const auto refused = [](const std::string& content, int topK = 2) {
        const TempDir dir;
        writeFile(dir / "t.csv", content);
        return import(dir, "moe-trace", dir / "t.csv", {0, 0, topK, {}});
    };
    CHECK_THAT(refused("0,1\n", 0), Contains("needs --top-k K"));
    CHECK_THAT(refused(""), Contains("holds no rows"));
    CHECK_THAT(refused("layer,expert\n"), Contains("holds no rows"));
    CHECK_THAT(refused("x\n"), Contains("line 1: is no row of a moe-trace"));
    CHECK_THAT(refused("0,1\n0,1,2\n"), Contains("line 2: has 3 columns, those before 2"));
    CHECK_THAT(refused("0,1\n0,b\n"), Contains("line 2: \"b\" is no integer"));
    CHECK_THAT(refused("0,1\n0,-5\n"), Contains("line 2: -5 is no expert"));
    CHECK_THAT(refused("0,1\n2147483648,1\n"), Contains("line 2: layer 2147483648 is not one of"));
    CHECK_THAT(refused("0,1\n0,2\n0,3\n"), Contains("layer 0 has 3 experts, no multiple of top-2"));
    CHECK_THAT(refused("0,0,1,2,3\n"), Contains("has 3 experts, not --top-k 2"));
    CHECK_THAT(refused("0,0" + std::string(400, ',')), Contains("more than 130 columns"));
    CHECK_THAT(refused("phase,token,layer,rank,expert\ndecode,0,0,1,5\n"),
               Contains("line 2: rank 1 stands behind rank -1"));
    CHECK_THAT(refused("phase,token,layer,rank,expert\nPrefill,0,0,0,5\n"),
               Contains("line 2: \"Prefill\" is neither prefill nor decode"));
}

TEST_CASE("the prompt of a trace is as long whichever layer comes first") {
    const std::pair<const char*, int> traces[] = {
        {"-2,1,1,2\n-1,1,3,4\n-2,0,5,6\n-1,0,0,7\n0,1,1,2\n0,0,3,4\n", 2},
        {"-1,1,3,4\n-2,0,5,6\n-1,0,0,7\n0,1,1,2\n0,0,3,4\n", 2},
        {"0,1,1,2\n0,0,3,4\n", 0},
    };
    for (const auto& [content, prompt] : traces) {
        const TempDir dir;
        writeFile(dir / "t.csv", content);
        REQUIRE(import(dir, "moe-trace", dir / "t.csv", {8, 0, 0, {}}).empty());
        const SequenceRow row = RunReader(dir / "r.moescope").sequences()[0];
        CHECK(row.promptTokens == prompt);
        CHECK(row.generatedTokens == 1);
    }
}
