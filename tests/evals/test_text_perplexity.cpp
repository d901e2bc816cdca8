// SPDX-License-Identifier: Apache-2.0
// How texts are cut into windows, and what their perplexity and its error are.
#include "evals/text_perplexity.h"

#include <catch2/catch.hpp>

#include <cmath>

#include "engine/core/error.h"

using namespace moescope;

using Windows = std::vector<TextWindow>;

TEST_CASE("windows of lm-eval are those of its own functions") {
    // lm_eval 0.4.13: utils.get_rolling_token_windows(range(n), -1, w, 1), make_disjoint_window.
    const auto cut = [](std::size_t n, std::size_t w) {
        return textWindows(WindowConvention::LmEval, n, w, w, true);
    };
    CHECK(cut(10, 4) == Windows{{true, 0, 0, 4}, {false, 3, 4, 8}, {false, 5, 8, 10}});
    CHECK(cut(3, 8) == Windows{{true, 0, 0, 3}});
    CHECK(cut(9, 3) == Windows{{true, 0, 0, 3}, {false, 2, 3, 6}, {false, 5, 6, 9}});
    CHECK(cut(8, 4) == Windows{{true, 0, 0, 4}, {false, 3, 4, 8}});
    CHECK(cut(1, 4) == Windows{{true, 0, 0, 1}});
}

TEST_CASE("windows of the Hugging Face page begin every stride and score what is new") {
    const auto cut = [](std::size_t n, std::size_t w, std::size_t stride) {
        return textWindows(WindowConvention::HuggingFace, n, w, stride, false);
    };
    CHECK(cut(10, 4, 2) ==
          Windows{{false, 0, 1, 4}, {false, 2, 4, 6}, {false, 4, 6, 8}, {false, 6, 8, 10}});
    CHECK(cut(10, 4, 4) == Windows{{false, 0, 1, 4}, {false, 4, 5, 8}, {false, 8, 9, 10}});
    CHECK(cut(3, 8, 8) == Windows{{false, 0, 1, 3}});
    CHECK(cut(9, 4, 4) == Windows{{false, 0, 1, 4}, {false, 4, 5, 8}});  // the last has one token
}

TEST_CASE("windows of llama-perplexity score the second half") {
    const auto cut = [](std::size_t n, std::size_t w, bool lead) {
        return textWindows(WindowConvention::LlamaCpp, n, w, w, lead);
    };
    CHECK(cut(17, 8, false) == Windows{{false, 0, 5, 8}, {false, 8, 13, 16}});
    // With a lead token positions count it: lead 0..6 then, in the place of token 7, lead 8..14.
    CHECK(cut(15, 8, true) == Windows{{true, 0, 4, 7}, {true, 8, 12, 15}});
    CHECK(cut(14, 8, true).size() == 1);
}

TEST_CASE("windows that make no sense are refused") {
    const auto cut = [](WindowConvention c, std::size_t n, std::size_t w, std::size_t s) {
        return textWindows(c, n, w, s, false);
    };
    CHECK_THROWS_AS(cut(WindowConvention::HuggingFace, 9, 1, 1), UsageError);
    CHECK_THROWS_AS(cut(WindowConvention::HuggingFace, 9, 4, 5), UsageError);
    CHECK_THROWS_AS(cut(WindowConvention::HuggingFace, 9, 4, 0), UsageError);
    CHECK_THROWS_AS(cut(WindowConvention::LlamaCpp, 9, 4, 2), UsageError);
    CHECK_THROWS_AS(cut(WindowConvention::LlamaCpp, 9, 3, 3), UsageError);
    CHECK_THROWS_WITH(cut(WindowConvention::LmEval, 9, 4, 4), Catch::Contains("needs a"));
    CHECK_THROWS_WITH(cut(WindowConvention::LlamaCpp, 3, 4, 4), Catch::Contains("too short"));
    CHECK_THROWS_WITH(cut(WindowConvention::HuggingFace, 1, 4, 4), Catch::Contains("too short"));
    CHECK_THROWS_AS(parseConvention("wiki"), UsageError);
}

TEST_CASE("the page counts the first token of a window as a label where windows do not overlap") {
    const auto labels = [](std::size_t stride) {
        const auto windows = textWindows(WindowConvention::HuggingFace, 10, 4, stride, false);
        std::vector<std::size_t> out;
        for (std::size_t i = 0; i < windows.size(); ++i) out.push_back(pageLabels(windows, i));
        return out;
    };
    CHECK(labels(4) == std::vector<std::size_t>{4, 4, 2});
    CHECK(labels(3) == std::vector<std::size_t>{4, 3, 3});  // one token of overlap
    CHECK(labels(2) == std::vector<std::size_t>{4, 2, 2, 2});
}

TEST_CASE("perplexity and its interval by hand") {
    // Two blocks: 130 tokens at 1 nat, 130 at 3 nats; a rest of 40 tokens joins the second.
    const std::vector<WindowScore> windows = {
        {100, -100.0, 101}, {30, -30.0, 30}, {130, -390.0, 130}, {40, -120.0, 40}};
    const TextPerplexity p = textPerplexity(windows);
    CHECK(p.tokens == 300);
    CHECK(p.natsPerToken == Approx(640.0 / 300));
    CHECK(p.perplexity == Approx(std::exp(640.0 / 300)));
    REQUIRE(p.blocks == 2);
    const double off = 130.0 - 640.0 / 300 * 130;
    CHECK(p.standardError == Approx(std::sqrt(2.0 * 2 * off * off) / 300));
    CHECK(p.low == Approx(std::exp(640.0 / 300 - 12.706205 * p.standardError)).epsilon(1e-6));
    CHECK(p.high == Approx(std::exp(640.0 / 300 + 12.706205 * p.standardError)).epsilon(1e-6));
    CHECK(p.huggingFace ==
          Approx(std::exp((100 + 29 + 3 * 129 + 3 * 39.0) / (100 + 29 + 129 + 39))));
    const TextPerplexity one = textPerplexity(std::vector<WindowScore>{{5, -5.0, 6}});
    CHECK(std::isnan(one.standardError));
    CHECK(std::isnan(one.high));
}

TEST_CASE("words are counted as Python splits at white space") {
    // len(re.split(r"\\s+", text))
    CHECK(countWords("") == 1);
    CHECK(countWords("one two") == 2);
    CHECK(countWords(" one\n\ntwo ") == 4);
    CHECK(countWords("a\u00a0b\u3000c\x1c"
                     "d") == 4);
}
