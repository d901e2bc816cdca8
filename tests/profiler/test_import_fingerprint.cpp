// SPDX-License-Identifier: Apache-2.0
// Import of per-token routing: a made-up example worked by hand, hostile variants, the real files.

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

#include "engine/core/decompress.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/analysis/run_summary.h"
#include "profiler/import/importers.h"
#include "tests/engine/packed_xz.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using moescope::testing::packedXz;
using nlohmann::json;
using test::TempDir;
using test::thrownBy;
namespace fs = std::filesystem;

namespace {

/// Five tokens, two of them prompt; tokens 2 and 3 are routed, the last is not.
json example() {
    json document{{"row_index", 7},
                  {"dataset", "mmlu"},
                  {"category", "law"},
                  {"finished_successfully", false},
                  {"has_repetition", true},
                  {"original_prompt", "p"},
                  {"full_text", {"a", "b", "c", "d", "e"}},
                  {"generated_only", {"c", "d", "e"}},
                  {"router_data", json::array()}};
    for (const int token : {2, 3}) {
        json layers;
        for (int layer = 0; layer < 24; ++layer) {
            layers["layer_" + std::to_string(layer)] = {
                {"selected_experts", {31, layer, token + 24, 30}},
                {"selected_probs", {0.5, 0.25, 0.125, 0.1259765625}}};
        }
        document["router_data"].push_back({{"token_" + std::to_string(token), layers}});
    }
    return document;
}

json& choice(json& document, int entry) {
    return document["router_data"][std::size_t(entry)].begin().value()["layer_5"];
}

void import(const TempDir& dir, const fs::path& file, const char* kind = "fingerprint") {
    importFiles({kind, {file}, dir / "out.moescope", {"moescope", "import"}, true, nullptr});
}

std::string importing(const json& document) {
    const TempDir dir;
    const auto path = dir / "bad.json";
    writeFile(path, document.dump());
    const std::string what = thrownBy<Error>([&] { import(dir, path); });
    INFO(what);
    CHECK(what.find(path.string() + ": ") == 0);
    CHECK_FALSE(fs::exists(dir / "out.moescope"));
    return what;
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("an example becomes a sequence with its routing") {
    const TempDir dir;
    for (const bool packed : {false, true}) {
        const auto path = dir / (packed ? "e.json.xz" : "e.json");
        const std::string text = example().dump();
        writeFile(path, packed ? packedXz(text) : text);
        import(dir, path);
        const RunReader run(dir / "out.moescope");
        CHECK(run.status() == RunStatus::Done);
        CHECK(run.meta("kind") == "import");
        CHECK(run.meta("degradation") == "imported");
        CHECK(run.metaJson("sources")[0]["sha256"].get<std::string>().size() == 64);
        REQUIRE(run.sequences().size() == 1);
        CHECK(run.sequences()[0].label == "mmlu/law/7");
        CHECK(run.sequences()[0].group == "mmlu");
        CHECK(run.sequences()[0].promptTokens == 2);
        CHECK(run.sequences()[0].generatedTokens == 3);
        const auto tokens = run.tokens(0);
        REQUIRE(tokens.size() == 5);
        CHECK(tokens[4].text == "e");
        CHECK(tokens[1].prompt);
        CHECK_FALSE(tokens[2].prompt);
        const auto routing = run.routingTokens(0);
        REQUIRE(routing.size() == 24);
        CHECK(routing[5].layer == 5);
        CHECK(routing[5].firstPosition == 2);
        CHECK(routing[5].experts == std::vector<std::int16_t>{31, 5, 26, 30, 31, 5, 27, 30});
        CHECK(routing[5].weights[3] == 0.1259765625F);  // kept as given, sum 1.00098
        std::int64_t sum = 0;
        for (const auto& row : run.routingCounts()) sum += row.count;
        CHECK(sum == 2 * 4 * 24);
        for (const QualityRow& row : run.quality()) {
            if (row.name == "routing_sum") CHECK(row.ok);
            if (row.name == "routing_weight_error") CHECK(row.value == Approx(0.0009765625));
            if (row.name == "prompt_tokens_unrouted") CHECK(row.value == 2);
            if (row.name == "sequences_cut") CHECK(row.value == 1);
        }
    }
}

TEST_CASE("malformed examples are refused with file and cause") {
    json d = example();
    d.erase("full_text");
    CHECK(contains(importing(d), "\"full_text\" is absent"));
    d = example();
    d["row_index"] = "seven";
    CHECK(contains(importing(d), "row_index"));
    d = example();
    d["full_text"][1] = 4;
    CHECK(contains(importing(d), "no text"));
    d = example();
    d["generated_only"][0] = "x";
    CHECK(contains(importing(d), "not the end"));
    d = example();
    d["generated_only"] = json::array({"a", "b", "c", "d", "e", "f"});
    CHECK(contains(importing(d), "longer"));
    d = example();
    choice(d, 0)["selected_experts"][0] = 32;
    CHECK(contains(importing(d), "expert 32 is not one of 32"));
    d = example();
    choice(d, 0)["selected_experts"][0] = 30;
    CHECK(contains(importing(d), "twice"));
    d = example();
    choice(d, 1)["selected_probs"][2] = -0.5;
    CHECK(contains(importing(d), "outside [0, 1]"));
    d = example();
    choice(d, 1)["selected_probs"].push_back(0.1);
    CHECK(contains(importing(d), "has not 4 experts"));
    d = example();
    std::swap(d["router_data"][0], d["router_data"][1]);
    CHECK(contains(importing(d), "out of order"));
    d = example();
    d["router_data"][1] = json{{"token_5", d["router_data"][1].begin().value()}};
    CHECK(contains(importing(d), "token_5"));
    d = example();
    d["router_data"][0].begin().value().erase("layer_23");
    CHECK(contains(importing(d), "24 layers"));
    CHECK(contains(importing(json::array()), "absent"));
}

TEST_CASE("compressed input is bounded and checked") {
    const TempDir dir;
    const std::string packed = packedXz(example().dump());
    writeFile(dir / "cut.json.xz", packed.substr(0, packed.size() / 2));
    CHECK(contains(thrownBy<Error>([&] { import(dir, dir / "cut.json.xz"); }), "truncated"));
    writeFile(dir / "no.json.xz", "plain text, longer than a header");
    CHECK(contains(thrownBy<Error>([&] { import(dir, dir / "no.json.xz"); }), "not xz data"));
    const std::string bomb = packedXz(std::string(std::size_t{30} << 20U, ' '));
    CHECK(contains(thrownBy<Error>([&] { decompressXz(bomb, "bomb", 1ULL << 40U); }), "more than"));
    CHECK(contains(thrownBy<Error>([&] { decompressXz(packed, "small", 100); }), "100 bytes"));
}

TEST_CASE("unknown kinds of import are a usage error that lists the known ones") {
    const TempDir dir;
    CHECK_THROWS_AS(import(dir, dir / "x", "tracy"), UsageError);
    CHECK(std::any_of(importers().begin(), importers().end(),
                      [](const Importer& i) { return i.kind == "fingerprint"; }));
}

TEST_CASE("a real trace keeps every routing decision") {
    const fs::path file =
        fs::path(MOESCOPE_SOURCE_DIR) / "../shared/traces/gpt-oss-20b" /
        "Polyglot-or-Not_Fact-Completion__fact_checking__True_True_examples.json.xz";
    if (!fs::exists(file)) {
        WARN("skipped: " << file << " is absent");
        return;
    }
    const TempDir dir;
    import(dir, file);
    const RunReader run(dir / "out.moescope");
    const RunSummary summary = summarize(run);
    REQUIRE(summary.routing.size() == 24);
    CHECK(summary.experts == 32);
    CHECK(summary.topK == 4);
    CHECK(summary.routing[0].balance.tokens == 65);
    CHECK(summary.sequences[0].promptTokens == 99);
    CHECK(run.tokens(0)[99].text == "<|channel|>");
    CHECK(run.routingTokens(0)[0].firstPosition == 99);
    CHECK(run.routingTokens(0)[0].experts[0] == 31);
}

TEST_CASE("a failed import leaves the run that it was to overwrite") {
    const TempDir dir;
    const auto good = dir / "good.json", bad = dir / "bad.json";
    writeFile(good, example().dump());
    writeFile(bad, "{");
    import(dir, good);
    const std::string before = readFile(dir / "out.moescope");
    CHECK_THROWS_AS(import(dir, bad), Error);
    CHECK(readFile(dir / "out.moescope") == before);
    CHECK_FALSE(fs::exists(dir / "out.moescope.importing-1"));
    import(dir, good);
    CHECK(RunReader(dir / "out.moescope").status() == RunStatus::Done);
}
