// SPDX-License-Identifier: Apache-2.0
// The forward pass of gpt-oss against Hugging Face transformers, an independent implementation.
#include <catch2/catch.hpp>

#include "tests/engine/golden.h"

using namespace moescope;
using namespace moescope::testing;

namespace {

constexpr double kTolerance = 1e-4;

double goldenError(const std::string& name, const std::string& file = {}) {
    const Golden golden = loadGolden(name, file);
    const auto backend = makeReferenceBackend(golden.model);
    Session session(*backend, 128);
    return relativeError(allLogits(session, golden.tokens), golden.logits);
}

}  // namespace

TEST_CASE("gpt-oss with a window shorter than the prompt and YaRN equals transformers") {
    CHECK(goldenError("gpt_oss_window") < kTolerance);
}

TEST_CASE("gpt-oss with odd sizes, bf16 weights and a biting clamp equals transformers") {
    CHECK(goldenError("gpt_oss_heads") < kTolerance);
}

TEST_CASE("gpt-oss with MXFP4 experts in Hugging Face layout equals transformers") {
    CHECK(goldenError("gpt_oss_mxfp4") < kTolerance);
}

TEST_CASE("gpt-oss with MXFP4 experts in GGUF layout equals transformers") {
    CHECK(goldenError("gpt_oss_mxfp4", "model.gguf") < kTolerance);
}

TEST_CASE("gpt-oss in OpenAI's original layout equals transformers") {
    CHECK(goldenError("gpt_oss_mxfp4", "original") < kTolerance);
}

TEST_CASE(
    "gpt-oss in shards numbered from 0 and with experts of a plain type equals transformers") {
    CHECK(goldenError("gpt_oss_window", "original") < kTolerance);
    const ModelSpec spec = loadGolden("gpt_oss_window", "original").model.spec;
    CHECK(spec.architecture == "gpt-oss");
    CHECK(spec.contextLength == 16 * 32);
    CHECK(spec.layers[0].window == 8);
    CHECK(spec.layers[1].window == 0);
}

TEST_CASE("gpt-oss equals OpenAI's own implementation") {
    Golden golden = loadGolden("gpt_oss_openai", "original");
    CHECK(goldenError("gpt_oss_openai") < kTolerance);
    golden.logits = readLogits(goldenFolder("gpt_oss_openai") / "original");
    const auto backend = makeReferenceBackend(golden.model);
    Session session(*backend, 128);
    CHECK(relativeError(allLogits(session, golden.tokens), golden.logits) < kTolerance);
}

TEST_CASE("truncated YaRN bounds change the logits") {
    Golden golden = loadGolden("gpt_oss_window");
    golden.model = bindModel(*golden.checkpoint, {.ggmlCompatibleYarn = true});
    const auto backend = makeReferenceBackend(golden.model);
    Session session(*backend, 128);
    CHECK(relativeError(allLogits(session, golden.tokens), golden.logits) > 1e-3);
}
