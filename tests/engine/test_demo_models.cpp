// SPDX-License-Identifier: Apache-2.0
// The shipped demo models: what the files hold, and that the engine computes with them what
// datasets/demo/training/reference.py does (verify.py --witness), an independent forward pass.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <map>
#include <numeric>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "engine/core/file.h"
#include "engine/core/sha256.h"
#include "engine/run/demo_model.h"
#include "engine/run/generate.h"
#include "engine/run/model_names.h"
#include "engine/run/session.h"

using namespace moescope;

namespace {

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(MOESCOPE_SOURCE_DIR) / "datasets/demo";

/// Mean nats of every token but the first.
double meanLoss(const Model& model, const std::vector<TokenId>& tokens) {
    const int n = static_cast<int>(tokens.size());
    Session session(model, n);
    session.beginSequence(0);
    double sum = 0;
    session.append(tokens, [&](int row, std::span<const float> logits) {
        if (row + 1 == n) return;
        const double largest = *std::max_element(logits.begin(), logits.end());
        double partition = 0;
        for (const float x : logits) partition += std::exp(x - largest);
        const auto next = static_cast<std::size_t>(tokens[static_cast<std::size_t>(row) + 1]);
        sum += largest + std::log(partition) - logits[next];
    });
    return sum / (n - 1);
}

/// By how much, at worst, a token of `continuation` is not the likeliest. Zero: the greedy one.
double worstLag(const Model& model, const std::vector<TokenId>& prompt,
                const std::vector<TokenId>& continuation) {
    Session session(model, static_cast<int>(prompt.size() + continuation.size()));
    session.beginSequence(0);
    double worst = 0;
    std::span<const float> logits = session.append(prompt);
    for (const TokenId& token : continuation) {
        const double best = *std::max_element(logits.begin(), logits.end());
        worst = std::max(worst, best - double{logits[static_cast<std::size_t>(token)]});
        logits = session.append(std::span(&token, 1));
    }
    return worst;
}

nlohmann::json witness(const DemoModel& model) {
    const fs::path file = fs::path(MOESCOPE_SOURCE_DIR) / "tests/golden/data/demo" /
                          (std::string(model.name) + ".json");
    return parseJson(readFile(file), file.string());
}

}  // namespace

TEST_CASE("demo models are as their checksums say and within the promised sizes") {
    std::istringstream sums(readFile(kFolder / "SHA256SUMS"));
    std::map<std::string, std::string> expected;
    for (std::string sum, name; sums >> sum >> name;) expected[name] = sum;
    std::uintmax_t total = 0;
    for (const DemoModel& model : demoModels()) {
        const fs::path file = kFolder / model.file;
        INFO(file);
        CHECK(sha256Hex(readFile(file)) == expected[std::string(model.file)]);
        CHECK(fs::file_size(file) <= 11'000'000);
        total += fs::file_size(file);
    }
    CHECK(total <= 28'000'000);
}

TEST_CASE("demo models have one structure in three shapes of equal size") {
    std::vector<double> totals;
    std::vector<double> actives;
    for (const DemoModel& demo : demoModels()) {
        const auto model = Model::load(std::string(demo.name));
        const ParameterCount counts = countParameters(model->spec(), model->weights());
        totals.push_back(static_cast<double>(counts.total));
        // Without the head, which is wider in the wide model whatever its layers do.
        actives.push_back(static_cast<double>(counts.active - counts.embedding / 2));
        CHECK(model->spec().architecture == "gpt-oss");
        CHECK(model->spec().vocab == 5120);
        CHECK(model->tokenizer().vocabSize() == 5120);
    }
    const auto spread = [](const std::vector<double>& x) {
        return *std::max_element(x.begin(), x.end()) / *std::min_element(x.begin(), x.end()) - 1;
    };
    CHECK(spread(totals) < 0.025);
    CHECK(spread(actives) < 0.05);
}

TEST_CASE("demo models compute the losses and continuations of an independent forward pass") {
    for (const DemoModel& demo : demoModels()) {
        const auto model = Model::load(std::string(demo.name));
        for (const auto& row : witness(demo)) {
            INFO(demo.name << ", " << row.at("domain"));
            const auto tokens = row.at("tokens").get<std::vector<TokenId>>();
            // The issue allows 0.005; bfloat16 activations of the cpu back end stay below it.
            CHECK(meanLoss(*model, tokens) == Approx(row.at("loss").get<double>()).margin(0.005));
            // Two tokens may lie so near each other that another vector unit's rounding swaps them.
            CHECK(worstLag(*model, row.at("prompt").get<std::vector<TokenId>>(),
                           row.at("continuation").get<std::vector<TokenId>>()) < 0.01);
        }
    }
}

TEST_CASE("demo models have learned the order of words and not only their frequency") {
    const auto model = Model::load("demo");
    for (const auto& row : witness(demoModels()[0])) {
        INFO(row.at("domain"));
        auto tokens = row.at("tokens").get<std::vector<TokenId>>();
        const double ordered = meanLoss(*model, tokens);
        CHECK(ordered < 5.0);
        std::shuffle(tokens.begin(), tokens.end(), std::mt19937(1));
        CHECK(meanLoss(*model, tokens) > ordered + 1.0);
    }
}

TEST_CASE("loading is left when it is asked to stop") {
    const StopFlag stop{true};
    for (const char* backend : {"cpu", "reference"}) {
        ModelOptions options;
        options.backend = backend;
        options.stop = &stop;
        CHECK_THROWS_AS(Model::load("demo", options), Interrupted);
    }
    CHECK_THROWS_AS(openModel("synth:demo-synthetic", &stop), Interrupted);
}
