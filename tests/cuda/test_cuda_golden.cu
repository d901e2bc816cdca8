// SPDX-License-Identifier: Apache-2.0
// Every golden model, in every layout it comes in, against the logits of Hugging Face transformers:
// by steps of many tokens and token by token.
#include <catch2/catch.hpp>

#include <algorithm>

#include "tests/engine/golden.h"

using namespace moescope;
using namespace moescope::testing;

namespace {

std::size_t argmax(std::span<const float> logits) {
    return static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) -
                                    logits.begin());
}

/// Largest logit less the second largest.
float margin(std::span<const float> logits) {
    std::vector<float> sorted(logits.begin(), logits.end());
    std::nth_element(sorted.begin(), sorted.begin() + 1, sorted.end(), std::greater<>());
    return sorted[0] - sorted[1];
}

/// Within 2e-2 as the cpu back end is held to, and the same choice wherever it is no near tie.
void checkModel(const std::string& name, const std::string& file) {
    const Golden golden = loadGolden(name, file);
    const auto cuda = makeCudaBackend(golden.model, *golden.checkpoint, {});
    const auto vocab = static_cast<std::size_t>(golden.model.spec.vocab);
    for (const int batch : {512, 1}) {
        INFO(name << " " << file << ", steps of " << batch);
        Session session(*cuda, std::min(64, golden.model.spec.contextLength), batch);
        const std::vector<float> logits = allLogits(session, golden.tokens);
        REQUIRE(logits.size() == golden.logits.size());
        CHECK(relativeError(logits, golden.logits) < 2e-2);
        for (std::size_t t = 0; t < golden.tokens.size(); ++t) {
            const auto ours = std::span(logits).subspan(t * vocab, vocab);
            const auto theirs = std::span(golden.logits).subspan(t * vocab, vocab);
            if (margin(theirs) > 0.05F) CHECK(argmax(ours) == argmax(theirs));
        }
    }
}

}  // namespace

TEST_CASE("cuda logits are those of Hugging Face transformers for every golden model") {
    namespace fs = std::filesystem;
    int models = 0;
    for (const fs::directory_entry& entry : fs::directory_iterator(goldenFolder(""))) {
        if (!fs::exists(entry.path() / "logits.f32")) continue;
        const std::string name = entry.path().filename().string();
        for (const char* file : {"", "model.gguf", "original"}) {
            const bool there = *file == '\0' ? fs::exists(entry.path() / "config.json")
                                             : fs::exists(entry.path() / file);
            if (!there) continue;
            checkModel(name, file);
            ++models;
        }
    }
    CHECK(models >= 30);
}
