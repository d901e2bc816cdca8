// SPDX-License-Identifier: Apache-2.0
// The forward pass of llama against Hugging Face transformers.
#include <catch2/catch.hpp>

#include "tests/engine/golden.h"

using namespace moescope;
using namespace moescope::testing;

namespace {

double goldenError(const std::string& name, const std::string& file = {}) {
    const Golden golden = loadGolden(name, file);
    const auto backend = makeReferenceBackend(golden.model);
    Session session(*backend, 128);
    return relativeError(allLogits(session, golden.tokens), golden.logits);
}

}  // namespace

TEST_CASE("llama with a tied head and grouped queries equals transformers") {
    CHECK(goldenError("llama_tied") < 1e-4);
}

TEST_CASE("llama in GGUF layout with permuted rows equals transformers") {
    CHECK(goldenError("llama_tied", "model.gguf") < 1e-4);
}

TEST_CASE("llama with its own head and biases equals transformers") {
    CHECK(goldenError("llama_untied") < 1e-4);
}
