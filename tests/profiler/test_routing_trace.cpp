// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "profiler/runfile/run_writer.h"
#include "profiler/simulation/routing_trace.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using test::TempDir;

namespace {

constexpr int kExperts = 4;

RoutingTrace traceOf(const std::vector<AnyRow>& rows, TracePart part = TracePart::All) {
    TempDir folder;
    const auto path = folder / "run.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    writer.add(rows);
    writer.finish(RunStatus::Done);
    return routingTrace(RunReader(path), kExperts, part);
}

std::vector<std::int16_t> choiceOf(const RoutingTrace& trace, std::size_t text, std::int64_t token,
                                   std::size_t layer) {
    const auto choice = trace.choice(trace.texts.at(text), token, layer);
    return {choice.begin(), choice.end()};
}

}  // namespace

TEST_CASE("a routing trace holds each token's experts by text, token and layer") {
    const RoutingTrace trace = traceOf(
        {SequenceRow{7, "a", "code", 2, 1}, RoutingTokensRow{7, 1, 0, 2, 2, {0, 1, 2, 3}, {}},
         RoutingTokensRow{7, 5, 0, 2, 2, {3, 2, 1, 0}, {}},
         RoutingTokensRow{7, 1, 2, 1, 2, {1, 2}, {}}, RoutingTokensRow{7, 5, 2, 1, 2, {0, 3}, {}}});
    REQUIRE(trace.texts.size() == 1);
    CHECK(trace.layers == std::vector<int>{1, 5});
    CHECK(trace.topK == 2);
    CHECK(trace.tokens == 3);
    CHECK(trace.texts[0].sequence == 7);
    CHECK(trace.texts[0].group == "code");
    CHECK(choiceOf(trace, 0, 0, 0) == std::vector<std::int16_t>{0, 1});
    CHECK(choiceOf(trace, 0, 1, 1) == std::vector<std::int16_t>{1, 0});
    CHECK(choiceOf(trace, 0, 2, 1) == std::vector<std::int16_t>{0, 3});
    CHECK(trace.texts[0].follows == std::vector<bool>{false, true, true});
    CHECK(trace.tokensLeftOut == 0);
}

TEST_CASE("prompt and generated tokens of a routing trace are told by the prompt's length") {
    const std::vector<AnyRow> rows{SequenceRow{0, "a", "", 2, 1},
                                   RoutingTokensRow{0, 0, 0, 3, 1, {0, 1, 2}, {}}};
    CHECK(traceOf(rows, TracePart::Prompt).tokens == 2);
    const RoutingTrace generated = traceOf(rows, TracePart::Generated);
    REQUIRE(generated.tokens == 1);
    CHECK(choiceOf(generated, 0, 0, 0) == std::vector<std::int16_t>{2});
}

TEST_CASE("tokens that lack a layer or whose choice is none are left out of a trace and counted") {
    const RoutingTrace trace =
        traceOf({SequenceRow{0, "a", "", 6, 0},
                 RoutingTokensRow{0, 0, 0, 6, 2, {0, 1, 0, 1, -1, 1, 2, 2, 0, 9, 1, 3}, {}},
                 RoutingTokensRow{0, 1, 0, 1, 2, {0, 1}, {}},
                 RoutingTokensRow{0, 1, 2, 4, 2, {0, 1, 0, 1, 0, 1, 0, 1}, {}}});
    // Position 1 lacks layer 1; 2 has no expert, 3 one twice, 4 one that the model lacks.
    CHECK(trace.tokens == 2);
    CHECK(trace.tokensLeftOut == 4);
    CHECK(trace.texts.at(0).follows == std::vector<bool>{false, false});
}

TEST_CASE("texts of other layers or another top-k are left out of a trace and counted") {
    const RoutingTrace trace = traceOf(
        {SequenceRow{0, "a", "", 1, 0}, SequenceRow{1, "b", "", 1, 0},
         SequenceRow{2, "c", "", 1, 0}, RoutingTokensRow{0, 0, 0, 1, 2, {0, 1}, {}},
         RoutingTokensRow{1, 0, 0, 1, 1, {0}, {}}, RoutingTokensRow{2, 3, 0, 1, 2, {0, 1}, {}}});
    CHECK(trace.texts.size() == 1);
    CHECK(trace.textsLeftOut == 2);
}

TEST_CASE("one damaged text does not decide the shape of a trace") {
    const RoutingTrace trace = traceOf(
        {SequenceRow{0, "damaged", "", 1, 0}, SequenceRow{1, "b", "", 2, 0},
         RoutingTokensRow{0, 0, 0, 1, 2, {0, 1}, {}}, RoutingTokensRow{0, 7, 0, 0, 0, {}, {}},
         RoutingTokensRow{1, 0, 0, 2, 2, {0, 1, 2, 3}, {}},
         RoutingTokensRow{1, 1, 0, 2, 2, {0, 1, 2, 3}, {}}});
    CHECK(trace.layers == std::vector<int>{0, 1});
    REQUIRE(trace.texts.size() == 1);
    CHECK(trace.texts[0].sequence == 1);
    CHECK(trace.textsLeftOut == 1);
}

TEST_CASE("more layers than a model has, with a token each, make no trace and take no memory") {
    std::vector<AnyRow> rows{SequenceRow{0, "a", "", 9000, 0}};
    for (std::int32_t layer = 0; layer < 9000; ++layer)
        rows.push_back(RoutingTokensRow{0, layer, layer, 1, 1, {0}, {}});
    CHECK(traceOf(rows).empty());
}

TEST_CASE("where a rewind left two rows for a position a trace has the later one") {
    const RoutingTrace trace =
        traceOf({SequenceRow{0, "a", "", 3, 0}, RoutingTokensRow{0, 0, 0, 3, 1, {0, 1, 2}, {}},
                 RoutingTokensRow{0, 0, 1, 1, 1, {3}, {}}});
    REQUIRE(trace.tokens == 3);
    CHECK(choiceOf(trace, 0, 1, 0) == std::vector<std::int16_t>{3});
    CHECK(choiceOf(trace, 0, 2, 0) == std::vector<std::int16_t>{2});
}

TEST_CASE("a run without per-token routing gives a trace that says so") {
    const RoutingTrace trace = traceOf({SequenceRow{0, "a", "", 3, 0}});
    CHECK(trace.empty());
    CHECK(trace.reason.find("--routing-tokens") != std::string::npos);
}
