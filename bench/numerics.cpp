// SPDX-License-Identifier: Apache-2.0
// What fast numerics cost: one model under exact and under fast numerics on the same text, as KL
// divergence, perplexity and agreement of the likeliest token and of the routing.
// Usage: bench_numerics MODEL TEXT.txt [tokens]
#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "evals/compare_numerics.h"

using namespace moescope;

namespace {

std::unique_ptr<Model> loadWith(const char* name, Numerics numerics) {
    ModelOptions options;
    options.cpu.numerics = numerics;
    return Model::load(name, options);
}

void print(const char* what, const Estimate& e) {
    std::printf("%-28s %.6g  [%.6g, %.6g]\n", what, e.value, e.interval.low, e.interval.high);
}

void compare(const char* name, const char* text, std::string_view tokens) {
    NumericsOptions options;
    options.maxTokens = 8192;
    const auto [end, error] =
        std::from_chars(tokens.data(), tokens.data() + tokens.size(), options.maxTokens);
    if (error != std::errc{} || end != tokens.data() + tokens.size() || options.maxTokens < 2)
        throw UsageError("the number of tokens must be 2 or more", "");
    const auto exact = loadWith(name, Numerics::Exact);
    const auto fast = loadWith(name, Numerics::Fast);
    const NumericsReport r = compareNumerics(*exact, *fast, {readFile(text)}, options);
    std::printf("%s: %s against %s, %lld tokens in %lld blocks\n", name,
                fast->backend().description().c_str(), exact->backend().description().c_str(),
                static_cast<long long>(r.tokens), static_cast<long long>(r.blocks));
    print("KL, mean (nats)", r.klMean);
    print("KL, 99th percentile", r.klP99);
    print("log perplexity ratio", r.nats);
    print("same likeliest token", r.sameTop1);
    print("same experts", r.routing);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc < 3)
            throw UsageError("a model and a text are needed",
                             "bench_numerics MODEL TEXT.txt [tokens]");
        compare(argv[1], argv[2], argc > 3 ? argv[3] : "8192");
    } catch (const Error& e) {
        std::fprintf(stderr, "bench_numerics: %s (%s)\n", e.what(), e.hint().c_str());
        return 1;
    }
    return 0;
}
