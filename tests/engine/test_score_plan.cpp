// SPDX-License-Identifier: Apache-2.0
#include "engine/run/score_plan.h"

#include <catch2/catch.hpp>
#include <numeric>
#include <random>

using namespace moescope;

namespace {

using Ids = std::vector<TokenId>;

/// What each sequence's tokens come from, node by node, must be its own and reach its end.
void checkPlan(const std::vector<ScoreSequence>& sequences, const ScorePlanOptions& options) {
    const ScorePlan plan = planScoring(sequences, options);
    std::vector<std::size_t> sorted = plan.order;
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t i = 0; i < sorted.size(); ++i) REQUIRE(sorted[i] == i);
    std::vector<int> ends(sequences.size(), 0);
    for (std::size_t n = 0; n < plan.nodes.size(); ++n) {
        const ScorePlan::Node& node = plan.nodes[n];
        REQUIRE(node.begin < node.end);
        REQUIRE(node.first < node.last);
        REQUIRE(node.parent < static_cast<std::ptrdiff_t>(n));
        int lineage = 1;
        std::ptrdiff_t at = node.parent;
        for (; at >= 0; at = plan.nodes[static_cast<std::size_t>(at)].parent) ++lineage;
        if (node.parent >= 0) {
            const ScorePlan::Node& parent = plan.nodes[static_cast<std::size_t>(node.parent)];
            CHECK(parent.end == node.begin);
            CHECK((parent.first <= node.first && node.last <= parent.last));
            CHECK((parent.subtreeEnd > n && parent.subtreeEnd >= node.subtreeEnd));
        } else {
            CHECK((node.begin == 0) == (node.parent == ScorePlan::kFresh));
        }
        const ScoreSequence& one = sequences[plan.order[node.first]];
        std::size_t held = 0;
        if (node.parent == ScorePlan::kHeld) held = node.begin;
        for (std::size_t k = node.first; k < node.last; ++k) {
            const ScoreSequence& s = sequences[plan.order[k]];
            REQUIRE(node.end < s.tokens.size());
            REQUIRE(std::equal(one.tokens.begin(),
                               one.tokens.begin() + static_cast<std::ptrdiff_t>(node.end),
                               s.tokens.begin()));
            REQUIRE(std::equal(s.tokens.begin(),
                               s.tokens.begin() + static_cast<std::ptrdiff_t>(held),
                               options.held.begin()));
            if (held > 0) CHECK(s.reportFrom > held);
            if (node.end == s.tokens.size() - 1) ++ends[plan.order[k]];
        }
        if (at == ScorePlan::kHeld) {
            const ScorePlan::Node* root = &node;
            while (root->parent >= 0) root = &plan.nodes[static_cast<std::size_t>(root->parent)];
            lineage += options.heldLineage[root->begin - 1];
        }
        CHECK(lineage <= options.maxLineage);
    }
    for (const int count : ends) CHECK(count == 1);
}

std::size_t tokensOf(const ScorePlan& plan) {
    std::size_t tokens = 0;
    for (const ScorePlan::Node& node : plan.nodes) tokens += node.end - node.begin;
    return tokens;
}

}  // namespace

TEST_CASE("what sequences have in common is planned once") {
    Ids a(20), b;
    std::iota(a.begin(), a.end(), 0);
    b = a;
    b[12] = 99;
    const std::vector<ScoreSequence> two = {{a, 15}, {b, 15}};
    const ScorePlan plan = planScoring(two, {});
    REQUIRE(plan.nodes.size() == 3);
    CHECK(plan.nodes[0].end == 12);
    CHECK(plan.nodes[0].subtreeEnd == 3);
    CHECK(tokensOf(plan) == 12 + 7 + 7);
    CHECK(tokensOf(planScoring(two, {.share = false})) == 38);
    // Only the last token, which is not evaluated, differs: one node.
    Ids c = a;
    c.back() = 77;
    CHECK(planScoring(std::vector<ScoreSequence>{{a, 19}, {c, 19}}, {}).nodes.size() == 1);
}

TEST_CASE("groups go on from as much of what is held as each has in common with it") {
    Ids held(30);
    std::iota(held.begin(), held.end(), 0);
    std::vector<int> lineage(30, 1);
    std::fill(lineage.begin() + 10, lineage.end(), 2);
    Ids near = held, far(held.begin(), held.begin() + 8), other = {50, 51, 52, 53, 54, 55};
    near.insert(near.end(), {60, 61});
    far.insert(far.end(), {70, 71, 72, 73, 74});
    const std::vector<ScoreSequence> three = {{near, 31}, {far, 9}, {other, 2}};
    const ScorePlanOptions options{true, 8, held, lineage};
    checkPlan(three, options);
    CHECK(tokensOf(planScoring(three, options)) == 1 + 4 + 5);
}

TEST_CASE("plans of random sequences reach every sequence's end within the lineage") {
    std::mt19937 random(11);
    for (int round = 0; round < 300; ++round) {
        std::vector<ScoreSequence> sequences;
        const int count = 1 + static_cast<int>(random() % 12);
        for (int i = 0; i < count; ++i) {
            // Few ids, so that beginnings agree; copies of earlier ones with another end.
            Ids tokens;
            if (i > 0 && random() % 3 != 0) {
                const Ids& from = sequences[random() % sequences.size()].tokens;
                tokens.assign(from.begin(),
                              from.begin() + 1 + static_cast<long>(random() % from.size()));
            }
            const std::size_t more = (tokens.size() < 2 ? 2 : 0) + random() % 20;
            for (std::size_t t = 0; t < more; ++t)
                tokens.push_back(static_cast<TokenId>(random() % 2));
            const std::size_t from = 1 + random() % (tokens.size() - 1);
            sequences.push_back({std::move(tokens), from});
        }
        Ids held;
        std::vector<int> lineage;
        if (round % 2 == 0) {
            held = sequences[random() % sequences.size()].tokens;
            for (std::size_t i = 0; i < held.size(); ++i)
                lineage.push_back(1 + static_cast<int>(i / 6));
        }
        for (const int most : {1, 2, 3, 8}) checkPlan(sequences, {true, most, held, lineage});
        checkPlan(sequences, {false, 1, {}, {}});
    }
}
