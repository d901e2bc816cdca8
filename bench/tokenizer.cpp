// SPDX-License-Identifier: Apache-2.0
// Speed of encoding a text, on one core.   bench_tokenizer RANKS.tiktoken TEXT [REPETITIONS]
// Prints the number of tokens once, then the megabytes per second of every repetition.
// bench/compare_tokenizers.py runs it beside its peers.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "engine/core/file.h"
#include "engine/text/tokenizer.h"

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: bench_tokenizer RANKS.tiktoken TEXT [REPETITIONS]\n");
        return 2;
    }
    try {
        const auto tokenizer = moescope::tokenizerFromTiktoken(argv[1], "o200k_harmony");
        const std::string text = moescope::readFile(argv[2]);
        const int repetitions = argc > 3 ? std::atoi(argv[3]) : 5;
        for (int i = 0; i < repetitions; ++i) {
            const auto start = std::chrono::steady_clock::now();
            const auto tokens = tokenizer->encode(text, moescope::SpecialTokens::AsText);
            const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
            if (i == 0) std::printf("%zu\n", tokens.size());
            std::printf("%.2f\n", static_cast<double>(text.size()) / taken.count() / 1e6);
        }
    } catch (const std::exception& e) {
        std::fprintf(stderr, "bench_tokenizer: %s\n", e.what());
        return 1;
    }
    return 0;
}
