// SPDX-License-Identifier: Apache-2.0
// Every architecture against Hugging Face transformers: tiny random models, made by
// tests/golden/make_golden.py, that between them use every switch of ModelSpec.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <numeric>
#include <random>

#include "engine/backend/cpu/kernel_table.h"
#include "tests/engine/experts_apart.h"
#include "tests/engine/golden.h"

using namespace moescope;
using namespace moescope::testing;

namespace {

constexpr int kContext = 64;

std::vector<float> logitsOf(const Backend& backend, std::span<const TokenId> tokens,
                            int batch = Session::kDefaultBatch) {
    Session session(backend, std::min(kContext, backend.spec().contextLength), batch);
    return allLogits(session, tokens);
}

/// The same with the tokens handed over in parts of random lengths.
std::vector<float> logitsInParts(const Backend& backend, std::span<const TokenId> tokens,
                                 std::mt19937& random) {
    Session session(backend, std::min(kContext, backend.spec().contextLength));
    std::vector<float> logits;
    while (!tokens.empty()) {
        const std::size_t n = 1 + random() % std::min<std::size_t>(tokens.size(), 9);
        const std::vector<float> part = allLogits(session, tokens.first(n));
        logits.insert(logits.end(), part.begin(), part.end());
        tokens = tokens.subspan(n);
    }
    return logits;
}

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

void checkCpu(const Golden& golden, const std::string& target) {
    CpuOptions options;
    options.threads = 2;
    options.target = target;
    const auto backend = makeCpuBackend(golden.model, *golden.checkpoint, options);
    const std::vector<float> logits = logitsOf(*backend, golden.tokens);
    REQUIRE(logits.size() == golden.logits.size());
    const auto vocab = static_cast<std::size_t>(golden.model.spec.vocab);
    float worst = 0.0F;
    for (std::size_t t = 0; t < golden.tokens.size(); ++t) {
        const auto ours = std::span(logits).subspan(t * vocab, vocab);
        const auto theirs = std::span(golden.logits).subspan(t * vocab, vocab);
        for (std::size_t i = 0; i < vocab; ++i) {
            worst = std::max(worst, std::abs(ours[i] - theirs[i]));
        }
        if (margin(theirs) > 0.05F) CHECK(argmax(ours) == argmax(theirs));
    }
    CHECK(worst < 2e-2F);
}

/// Reference within 1e-4 of transformers, the same for any chunking within 1e-5, and every cpu
/// target within 2e-2.
void checkModel(const std::string& name, const std::string& file = {}) {
    INFO(name << " " << file);
    const Golden golden = loadGolden(name, file);
    const auto backend = makeReferenceBackend(golden.model);
    const std::vector<float> whole = logitsOf(*backend, golden.tokens);
    CHECK(relativeError(whole, golden.logits) < 1e-4);
    for (const int batch : {1, 3, 7}) {
        CHECK(relativeError(logitsOf(*backend, golden.tokens, batch), whole) < 1e-5);
    }
    std::mt19937 random(20251124);
    for (int round = 0; round < 4; ++round) {
        CHECK(relativeError(logitsInParts(*backend, golden.tokens, random), whole) < 1e-5);
    }
    for (const cpu::Kernels* kernels : cpu::availableKernels()) {
        INFO(kernels->name);
        checkCpu(golden, std::string(kernels->name));
    }
}

/// What is off when `change` was made to the bound model, relative to transformers.
template <typename Change>
double errorAfter(const std::string& name, const Change& change) {
    Golden golden = loadGolden(name);
    change(golden.model.spec);
    const auto backend = makeReferenceBackend(golden.model);
    return relativeError(logitsOf(*backend, golden.tokens), golden.logits);
}

constexpr double kVisible = 1e-3;

/// Sums of the recorded gate weights of each token.
struct GateSums final : RoutingSink {
    std::vector<float> sums;
    void onRouting(const StepInfo&, int, int topK, std::span<const std::int32_t>,
                   std::span<const float> weights) override {
        for (; !weights.empty(); weights = weights.subspan(static_cast<std::size_t>(topK)))
            sums.push_back(std::accumulate(weights.begin(), weights.begin() + topK, 0.0F));
    }
};

std::vector<float> gateSums(const Backend& backend, std::span<const TokenId> tokens) {
    GateSums sink;
    Session session(backend, kContext);
    session.setRouting(&sink);
    session.append(tokens);
    return std::move(sink.sums);
}

}  // namespace

TEST_CASE("Qwen3 equals transformers") {
    checkModel("qwen3_tied");
    checkModel("qwen3_tied", "model.gguf");
    checkModel("qwen3_yarn");
    checkModel("qwen3_yarn", "model.gguf");
    checkModel("qwen3_window");
}

TEST_CASE("Qwen3-MoE equals transformers") {
    checkModel("qwen3_moe_renormalised");
    checkModel("qwen3_moe_renormalised", "model.gguf");
    checkModel("qwen3_moe_plain");
    checkModel("qwen3_moe_sparse");
}

TEST_CASE("gpt-oss equals transformers on every target and for any chunking") {
    checkModel("gpt_oss_window");
    checkModel("gpt_oss_heads");
    checkModel("gpt_oss_mxfp4");
    checkModel("gpt_oss_mxfp4", "model.gguf");
    checkModel("gpt_oss_openai", "original");
}

TEST_CASE("Llama equals transformers on every target and for any chunking") {
    checkModel("llama_tied");
    checkModel("llama_tied", "model.gguf");
    checkModel("llama_untied");
    checkModel("llama_linear");
    checkModel("llama_linear", "model.gguf");
    checkModel("llama_llama3");
    checkModel("llama_llama3", "model.gguf");
}

TEST_CASE("Mistral equals transformers") {
    checkModel("mistral_window");
    checkModel("mistral_null");
    checkModel("mistral_null", "model.gguf");
    checkModel("mistral_silent");
    CHECK(loadGolden("mistral_null").model.spec.layers[0].window == 0);
    CHECK(loadGolden("mistral_silent").model.spec.layers[0].window == 4096);
}

TEST_CASE("Mixtral equals transformers") {
    checkModel("mixtral_pair");
    checkModel("mixtral_pair", "model.gguf");
    checkModel("mixtral_many");
    checkModel("mixtral_window");
    for (const char* file : {"", "model.gguf"}) {
        const ModelSpec spec = loadGolden("mixtral_pair", file).model.spec;
        CHECK(spec.architecture == "mixtral");
        CHECK(spec.routing == RoutingRule::SoftmaxThenTopKRenorm);
    }
}

TEST_CASE("Mixtral from a GGUF file with one tensor for each expert has the same logits") {
    const Golden merged = loadGolden("mixtral_pair", "model.gguf");
    const auto path = std::filesystem::temp_directory_path() /
                      ("moescope-apart-" + std::to_string(::getpid()) + ".gguf");
    writeExpertsApart(*merged.checkpoint, path);
    const auto apart = openCheckpoint(path);
    std::filesystem::remove(path);
    const BoundModel model = bindModel(*apart);
    CHECK(model.weights.layers[1].down.matrices != nullptr);
    const auto a = makeReferenceBackend(merged.model);
    const auto b = makeReferenceBackend(model);
    CHECK(logitsOf(*a, merged.tokens) == logitsOf(*b, merged.tokens));
}

TEST_CASE("recorded gate weights sum to 1 of a Mixtral and to less of an OLMoE") {
    for (const char* name : {"mixtral_pair", "mixtral_many", "mixtral_window", "olmoe_plain"}) {
        INFO(name);
        const Golden golden = loadGolden(name);
        const auto layers = static_cast<std::size_t>(golden.model.spec.nLayer);
        for (const bool reference : {true, false}) {
            const auto backend = reference ? makeReferenceBackend(golden.model)
                                           : makeCpuBackend(golden.model, *golden.checkpoint, {});
            const std::vector<float> sums = gateSums(*backend, golden.tokens);
            CHECK(sums.size() == golden.tokens.size() * layers);
            for (const float sum : sums) {
                if (golden.model.spec.architecture == "mixtral") {
                    CHECK(sum == Approx(1.0F).margin(1e-6));
                } else {
                    CHECK(sum < 0.999F);
                }
            }
        }
    }
}

TEST_CASE("Qwen2 equals transformers") {
    checkModel("qwen2_tied");
    checkModel("qwen2_tied", "model.gguf");
    checkModel("qwen2_window");
    checkModel("qwen2_yarn");
}

TEST_CASE("OLMoE equals transformers") {
    checkModel("olmoe_plain");
    checkModel("olmoe_plain", "model.gguf");
    checkModel("olmoe_renormalised");
    checkModel("olmoe_yarn");
}

TEST_CASE("OLMo 2 equals transformers") {
    checkModel("olmo2_heads");
    checkModel("olmo2_heads", "model.gguf");
    checkModel("olmo2_grouped");
    checkModel("olmo2_grouped", "model.gguf");
    checkModel("olmo2_yarn");
}

TEST_CASE("OLMo 3 equals transformers") {
    checkModel("olmo3_pattern");
    checkModel("olmo3_pattern", "model.gguf");
    checkModel("olmo3_types");
    checkModel("olmo3_types", "model.gguf");
    checkModel("olmo3_older");
    CHECK(loadGolden("olmo3_pattern", "model.gguf").model.spec.architecture == "olmo3");
    CHECK(loadGolden("olmo2_heads", "model.gguf").model.spec.architecture == "olmo2");
}

TEST_CASE("GPT-2 equals transformers") {
    checkModel("gpt2_tied");
    checkModel("gpt2_tied", "model.gguf");
    checkModel("gpt2_untied");
    checkModel("gpt2_untied", "model.gguf");
    checkModel("gpt2_full");
}

TEST_CASE("Gemma 3 equals transformers") {
    checkModel("gemma3_pattern");
    checkModel("gemma3_pattern", "model.gguf");
    checkModel("gemma3_scaled");
    checkModel("gemma3_scaled", "model.gguf");
    checkModel("gemma3_older");
}

TEST_CASE("the text model of a Gemma 3 that sees images equals transformers") {
    checkModel("gemma3_images");
    const Golden golden = loadGolden("gemma3_images");
    CHECK(golden.model.spec.architecture == "gemma3");
    CHECK(golden.model.spec.leftAside ==
          "the image encoder and its projection (7 tensors): text alone is computed");
    CHECK(loadGolden("gemma3_pattern").model.spec.leftAside.empty());
}

TEST_CASE("the golden OLMo models see their switches") {
    const auto noYarn = [](ModelSpec& s) {
        for (LayerSpec& l : s.layers) l.rope.yarn = false;
    };
    CHECK(errorAfter("olmoe_plain", [](ModelSpec& s) { s.qkNorm = QkNorm::None; }) > kVisible);
    CHECK(errorAfter("olmoe_plain", [](ModelSpec& s) {
              s.routing = RoutingRule::SoftmaxThenTopKRenorm;
          }) > kVisible);
    CHECK(errorAfter("olmoe_yarn", noYarn) > kVisible);
    CHECK(errorAfter("olmo2_heads", [](ModelSpec& s) { s.qkNorm = QkNorm::None; }) > kVisible);
    CHECK(errorAfter("olmo2_yarn", noYarn) > kVisible);
    CHECK(errorAfter("olmo3_pattern", noYarn) > kVisible);
    CHECK(errorAfter("olmo3_pattern", [](ModelSpec& s) {
              for (LayerSpec& l : s.layers) l.rope = s.layers.back().rope;
          }) > kVisible);
    CHECK(errorAfter("olmo3_pattern", [](ModelSpec& s) {
              for (LayerSpec& l : s.layers) l.window = 0;
          }) > kVisible);
    CHECK(errorAfter("olmo3_types", [](ModelSpec& s) {
              for (LayerSpec& l : s.layers) l.rope.attentionFactor = 0.0;
          }) > kVisible);
}

TEST_CASE("the golden GPT-2 and Gemma models see their switches") {
    CHECK(errorAfter("gpt2_full", [](ModelSpec& s) { s.normEps = 1e-5F; }) > kVisible);
    CHECK(errorAfter("gpt2_tied", [](ModelSpec& s) { s.activation = Activation::Silu; }) >
          kVisible);
    CHECK(errorAfter("gemma3_pattern", [](ModelSpec& s) { s.norm = NormKind::Rms; }) > kVisible);
    CHECK(errorAfter("gemma3_pattern", [](ModelSpec& s) { s.qkNorm = QkNorm::None; }) > kVisible);
    CHECK(errorAfter("gemma3_pattern", [](ModelSpec& s) { s.embeddingScale = 1.0F; }) > kVisible);
    CHECK(errorAfter("gemma3_pattern", [](ModelSpec& s) { s.activation = Activation::Silu; }) >
          kVisible);
    CHECK(errorAfter("gemma3_pattern", [](ModelSpec& s) {
              for (LayerSpec& l : s.layers) l.window = 0;
          }) > kVisible);
    CHECK(errorAfter("gemma3_pattern", [](ModelSpec& s) {
              for (LayerSpec& l : s.layers) l.rope = s.layers.back().rope;
          }) > kVisible);
    CHECK(errorAfter("gemma3_scaled", [](ModelSpec& s) { s.attentionScale = 0.0F; }) > kVisible);
    CHECK(errorAfter("gemma3_scaled", [](ModelSpec& s) {
              for (LayerSpec& l : s.layers) l.rope.factor = 1.0;
          }) > kVisible);
}

TEST_CASE("the golden Llama models see their switches") {
    CHECK(errorAfter("llama_linear", [](ModelSpec& s) {
              for (LayerSpec& l : s.layers) l.rope.factor = 1.0;
          }) > kVisible);
    CHECK(errorAfter("llama_llama3", [](ModelSpec& s) {
              for (LayerSpec& l : s.layers) l.rope.divisors.clear();
          }) > kVisible);
    CHECK(errorAfter("llama_llama3", [](ModelSpec& s) {
              for (LayerSpec& l : s.layers)
                  for (float& d : l.rope.divisors) d = d > 1.0F ? 8.0F : 1.0F;
          }) > kVisible);
}

TEST_CASE("the golden Mistral, Mixtral and Qwen2 models see their switches") {
    const auto noWindow = [](ModelSpec& s) {
        for (LayerSpec& l : s.layers) l.window = 0;
    };
    CHECK(errorAfter("mistral_window", noWindow) > kVisible);
    CHECK(errorAfter("mixtral_window", noWindow) > kVisible);
    CHECK(errorAfter("qwen2_window", noWindow) > kVisible);
    CHECK(errorAfter("mistral_null", [](ModelSpec& s) {
              for (LayerSpec& l : s.layers) l.rope.theta = 10000.0;
          }) > kVisible);
    CHECK(errorAfter("mixtral_many", [](ModelSpec& s) {
              for (LayerSpec& l : s.layers) l.rope.theta = 10000.0;
          }) > kVisible);
    CHECK(errorAfter("mixtral_pair",
                     [](ModelSpec& s) { s.routing = RoutingRule::SoftmaxThenTopK; }) > kVisible);
    CHECK(errorAfter("qwen2_yarn", [](ModelSpec& s) {
              for (LayerSpec& l : s.layers) l.rope.yarn = false;
          }) > kVisible);
    CHECK(errorAfter("gemma3_images", [](ModelSpec& s) {
              for (LayerSpec& l : s.layers) l.rope.factor = 1.0;
          }) > kVisible);
}

TEST_CASE("the golden Qwen3 models see their switches") {
    CHECK(errorAfter("qwen3_tied", [](ModelSpec& s) { s.qkNorm = QkNorm::None; }) > kVisible);
    CHECK(errorAfter("qwen3_yarn", [](ModelSpec& s) {
              for (LayerSpec& l : s.layers) l.rope.yarn = false;
          }) > kVisible);
    CHECK(errorAfter("qwen3_yarn", [](ModelSpec& s) {
              for (LayerSpec& l : s.layers) l.rope.truncate = false;
          }) > kVisible);
    CHECK(errorAfter("qwen3_window", [](ModelSpec& s) {
              for (LayerSpec& l : s.layers) l.window = 0;
          }) > kVisible);
    CHECK(errorAfter("qwen3_moe_renormalised",
                     [](ModelSpec& s) { s.routing = RoutingRule::SoftmaxThenTopK; }) > kVisible);
    CHECK(errorAfter("qwen3_moe_plain", [](ModelSpec& s) {
              s.routing = RoutingRule::SoftmaxThenTopKRenorm;
          }) > kVisible);
}
