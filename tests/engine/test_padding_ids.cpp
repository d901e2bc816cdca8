// SPDX-License-Identifier: Apache-2.0
// A model whose embedding has more rows than its tokenizer has tokens, from loading to sampling.
#include <unistd.h>

#include <algorithm>

#include "engine/run/generate.h"
#include "engine/run/score.h"
#include "engine/run/session.h"
#include "tests/engine/text_test_support.h"

using namespace moescope;
using namespace moescope::text;

namespace {

/// A Qwen3 of 80 rows with a tokenizer of 27 tokens, in a folder of its own.
struct PaddedModel {
    PaddedModel() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "moescope-padding-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        folder = pattern;
        const auto source =
            std::filesystem::path(MOESCOPE_SOURCE_DIR) / "tests/golden/data/qwen3_tied";
        for (const char* name : {"config.json", "model.safetensors"})
            std::filesystem::copy_file(source / name, folder / name);
        nlohmann::json vocab;
        for (char c = 'a'; c <= 'z'; ++c) vocab[std::string(1, c)] = c - 'a';
        const nlohmann::json tokenizer = {
            {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", nlohmann::json::array()}}},
            {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
            {"added_tokens", {{{"id", 26}, {"content", "<end>"}, {"special", true}}}}};
        writeFile(folder / "tokenizer.json", tokenizer.dump());
        ModelOptions options;
        options.backend = "reference";
        model = Model::load(folder.string(), options);
    }
    ~PaddedModel() { std::filesystem::remove_all(folder); }

    std::filesystem::path folder;
    std::unique_ptr<Model> model;
};

}  // namespace

TEST_CASE("padding ids can be sampled and scored and are no text") {
    const PaddedModel padded;
    const Model& model = *padded.model;
    const Tokenizer& tokenizer = model.tokenizer();
    REQUIRE(model.spec().vocab == 80);
    REQUIRE(tokenizer.vocabSize() == 27);

    Session session(model, 48);
    GenerateOptions options;
    options.maxTokens = 40;
    options.sampling.temperature = 1.0;
    options.sampling.seed = 1;
    const auto prompt = tokenizer.encode("moe", SpecialTokens::AsText);
    std::string streamed;
    const Generation result = generate(session, prompt, options, [&](TokenId token) {
        streamed += tokenizer.bytes(token);
        return true;
    });
    const auto isPadding = [&](TokenId id) { return id >= tokenizer.vocabSize(); };
    REQUIRE(std::any_of(result.tokens.begin(), result.tokens.end(), isPadding));
    std::string letters;
    for (const TokenId id : result.tokens)
        if (!isPadding(id))
            letters += id == 26 ? "<end>" : std::string(1, static_cast<char>('a' + id));
    CHECK(streamed == letters);
    CHECK(tokenizer.decode(result.tokens) == letters);

    BatchScorer scorer(model.backend(), 48, {});
    std::size_t found = 0;
    const auto count = [&](BatchScorer::Scored&& scored) { found += scored.findings.size(); };
    scorer.score(std::vector<ScoreSequence>{{Ids{0, 79, 1, 27}, 1}}, count);
    CHECK(found == 3);
    CHECK_THROWS_WITH(scorer.score(std::vector<ScoreSequence>{{Ids{0, 80}, 1}}, count),
                      Catch::Contains("80 is outside the vocabulary of 80"));
    CHECK_THROWS_WITH(tokenizer.bytes(80), Catch::Contains("80 is outside the vocabulary of 80"));
}
