// SPDX-License-Identifier: Apache-2.0
// The cpu back end against the reference on whole models: the demo shape, two layers of
// gpt-oss-20b's shape, and SmolLM2 where `scripts/get-model smollm2` has put it.
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "engine/model/synth.h"
#include "engine/run/generate.h"
#include "engine/run/session.h"
#include "tests/engine/checkpoint_files.h"

using namespace moescope;
using namespace moescope::test;

namespace {

/// What the issue allows `exact` numerics; 16-bit activations stay far below it.
constexpr double kExactTolerance = 2e-2;

std::vector<TokenId> someTokens(int count, int vocab) {
    std::vector<TokenId> tokens;
    std::uint32_t state = 7;
    for (int i = 0; i < count; ++i) {
        state = state * 1664525U + 1013904223U;
        tokens.push_back(static_cast<TokenId>((state >> 8U) % static_cast<std::uint32_t>(vocab)));
    }
    return tokens;
}

/// Greatest |difference| of any logit of any position over the greatest |logit| of that position.
double worstError(const Model& expected, const Model& actual, const std::vector<TokenId>& tokens) {
    const int n = static_cast<int>(tokens.size());
    Session a(expected, n);
    Session b(actual, n);
    a.beginSequence(0);
    b.beginSequence(0);
    std::vector<std::vector<float>> wanted;
    a.append(tokens, [&](int, std::span<const float> logits) {
        wanted.emplace_back(logits.begin(), logits.end());
    });
    double worst = 0;
    b.append(tokens, [&](int row, std::span<const float> logits) {
        const std::vector<float>& reference = wanted[static_cast<std::size_t>(row)];
        double difference = 0;
        double largest = 0;
        for (std::size_t i = 0; i < logits.size(); ++i) {
            difference = std::max(difference, std::abs(double{logits[i]} - double{reference[i]}));
            largest = std::max(largest, std::abs(double{reference[i]}));
        }
        worst = std::max(worst, difference / largest);
    });
    return worst;
}

std::unique_ptr<Model> loadWith(const std::string& path, const char* backend) {
    ModelOptions options;
    options.backend = backend;
    return Model::load(path, options);
}

double synthError(const char* config, int tokens) {
    const TemporaryFolder folder;
    const std::filesystem::path path = folder / "model.gguf";
    synthesize(synthConfig(config), path);
    const auto reference = loadWith(path.string(), "reference");
    const auto cpu = loadWith(path.string(), "cpu");
    return worstError(*reference, *cpu, someTokens(tokens, cpu->spec().vocab));
}

/// Empty, with a message, where the model was not fetched.
std::string smolLm2() {
    const char* folder = std::getenv("MOESCOPE_MODELS");
    const std::filesystem::path path =
        std::filesystem::path(folder != nullptr ? folder : MOESCOPE_SOURCE_DIR "/models") /
        "SmolLM2-135M-Instruct.Q4_1.gguf";
    if (std::filesystem::exists(path)) return path.string();
    WARN("skipped: " << path.string() << " is absent (scripts/get-model smollm2)");
    return {};
}

Generation greedy(const Model& model, const std::string& text, int tokens) {
    Session session(model, 256);
    session.beginSequence(0);
    GenerateOptions options;
    options.maxTokens = tokens;
    return generate(session, model.tokenizer().encode(text, SpecialTokens::AsText), options);
}

}  // namespace

TEST_CASE("cpu logits agree with the reference on the demo shape") {
    CHECK(synthError("demo-synthetic", 192) < kExactTolerance);  // past the window of 128
}

TEST_CASE("cpu logits agree with the reference on two layers of the 20b shape", "[slow]") {
    CHECK(synthError("gpt-oss-20b-2layer", 24) < kExactTolerance);
}

TEST_CASE("cpu logits agree with the reference on SmolLM2", "[slow]") {
    const std::string path = smolLm2();
    if (path.empty()) return;
    const auto reference = loadWith(path, "reference");
    const auto cpu = loadWith(path, "cpu");
    const std::vector<TokenId> tokens = cpu->tokenizer().encode(
        "The old harbour master closed the ledger and looked out at the rain. Nobody had paid the "
        "mooring fee since March, and 3 of the 17 boats were sinking.",
        SpecialTokens::AsText);
    CHECK(worstError(*reference, *cpu, tokens) < kExactTolerance);
}

TEST_CASE("SmolLM2 continues greedily with the same 64 tokens on both back ends", "[slow]") {
    const std::string path = smolLm2();
    if (path.empty()) return;
    const std::string prompt = "Water boils at a lower temperature on a mountain because";
    const Generation wanted = greedy(*loadWith(path, "reference"), prompt, 64);
    const Generation got = greedy(*loadWith(path, "cpu"), prompt, 64);
    CHECK(got.tokens == wanted.tokens);
    CHECK(wanted.tokens.size() == 64);
}
