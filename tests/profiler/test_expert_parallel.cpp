// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <cmath>

#include "engine/core/error.h"
#include "profiler/runfile/run_writer.h"
#include "profiler/simulation/expert_parallel.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using test::TempDir;
using test::thrownBy;

namespace {

using Choice = std::vector<std::int16_t>;

/// Texts of one layer each; every text is a list of its tokens' choices.
RoutingTrace traceOf(int experts, const std::vector<std::vector<Choice>>& texts,
                     const std::vector<std::string>& groups = {}) {
    RoutingTrace trace;
    trace.experts = experts;
    trace.topK = static_cast<int>(texts.front().front().size());
    trace.layers = {0};
    for (std::size_t i = 0; i < texts.size(); ++i) {
        TracedText text;
        text.sequence = std::int64_t(i);
        if (!groups.empty()) text.group = groups[i];
        for (const Choice& choice : texts[i]) {
            text.experts.insert(text.experts.end(), choice.begin(), choice.end());
            text.follows.push_back(text.tokens > 0);
            ++text.tokens;
        }
        trace.tokens += text.tokens;
        trace.texts.push_back(std::move(text));
    }
    return trace;
}

ExpertParallelOptions twoGpus(int tokens) {
    ExpertParallelOptions options;
    options.gpus = {2};
    options.tokens = tokens;
    options.redundant = 2;
    options.steps = 20;
    return options;
}

const PlacementFigures& figuresOf(const ExpertParallel& of, PlacementPolicy policy) {
    const PlacementFigures* found = of.find(2, policy);
    REQUIRE(found != nullptr);
    return *found;
}

}  // namespace

TEST_CASE("favourites on one GPU load it alone, and placed by load they are apart") {
    const std::vector<Choice> text(5, Choice{0, 1});
    const ExpertParallel of = expertParallel(traceOf(4, {text, text, text, text}), twoGpus(4));
    REQUIRE(of.reason.empty());

    const PlacementFigures& plain = figuresOf(of, PlacementPolicy::Contiguous);
    CHECK(plain.expertsPerGpu == 2);
    CHECK(plain.imbalance == Approx(2));  // all 8 assignments on GPU 0, 4 is the mean
    CHECK(plain.busiestTokens == Approx(8));
    CHECK(plain.busiestExperts == Approx(2));
    CHECK(plain.activeExperts == Approx(2));
    CHECK(plain.destinations == Approx(1));
    CHECK(plain.arrivals == Approx(2));  // tokens 2 and 3 live on GPU 1
    CHECK(plain.accumulated == Approx(2));
    CHECK(plain.rankedLoad == std::vector<double>{2, 0});
    CHECK(plain.gpuLoad == std::vector<double>{2, 0});

    const PlacementFigures& packed = figuresOf(of, PlacementPolicy::Packed);
    CHECK(packed.imbalance == Approx(1));
    CHECK(packed.busiestExperts == Approx(1));
    CHECK(packed.destinations == Approx(2));
    CHECK(packed.arrivals == Approx(2));
    CHECK(packed.layerImbalance == std::vector<double>{1});

    // Both have a copy on each GPU, and tokens take the copies in turn.
    const PlacementFigures& copies = figuresOf(of, PlacementPolicy::Replicated);
    CHECK(copies.expertsPerGpu == 3);
    CHECK(copies.imbalance == Approx(1));
    CHECK(copies.activeExperts == Approx(4));
    CHECK(copies.destinations == Approx(1));
}

TEST_CASE("loads by number are those of the GPU that holds the experts, not of the busiest") {
    const std::vector<Choice> text(5, Choice{2, 3});  // which lie on GPU 1
    const RoutingTrace trace = traceOf(4, {text, text, text, text});
    const ExpertParallel of = expertParallel(trace, twoGpus(4));
    const PlacementFigures& plain = figuresOf(of, PlacementPolicy::Contiguous);
    CHECK(plain.gpuLoad == std::vector<double>{0, 2});
    CHECK(plain.rankedLoad == std::vector<double>{2, 0});
    const auto placed = placementsToUse(trace, of.options, PlacementPolicy::Contiguous, 2);
    REQUIRE(placed.size() == 1);
    CHECK(placed[0].expertsOf == std::vector<std::vector<int>>{{0, 1}, {2, 3}});
    const auto packed = placementsToUse(trace, of.options, PlacementPolicy::Packed, 2);
    CHECK(packed[0].gpusOf[2] != packed[0].gpusOf[3]);
}

TEST_CASE("a placement is judged on texts that it was not decided on") {
    // Half of the texts have the favourites 0 and 1, half 2 and 3: what one group asks for
    // together the other never uses.
    const std::vector<Choice> a(6, Choice{0, 1}), b(6, Choice{2, 3});
    ExpertParallelOptions options = twoGpus(2);
    options.heldOut = HeldOut::Groups;
    const ExpertParallel of =
        expertParallel(traceOf(4, {a, a, b, b}, {"a", "a", "b", "b"}), options);
    const PlacementFigures& packed = figuresOf(of, PlacementPolicy::Packed);
    CHECK(packed.accumulatedInSample == Approx(1));
    // Decided on a, 2 and 3 bring no load and go where there is room: one to each.
    CHECK(packed.accumulated == Approx(1));
    CHECK(of.parts == 2);

    options.heldOut = HeldOut::Halves;
    CHECK(expertParallel(traceOf(4, {a, a, b, b}), options).parts == 2 * options.splits);
}

TEST_CASE("a placement decided on another workload may be worse than none") {
    // Here 0 and 3 are chosen in turn.
    const RoutingTrace trace = traceOf(4, {{{0}, {3}, {0}, {3}}, {{0}, {3}, {0}, {3}}});
    ExpertParallelOptions options = twoGpus(2);
    options.mix = StepMix::Prefill;
    options.history = {10, 1, 9, 5};  // packed: 0 and 1; 2 and 3 ... as contiguous
    const ExpertParallel same = expertParallel(trace, options);
    CHECK(figuresOf(same, PlacementPolicy::Packed).imbalance == Approx(1));
    options.history = {10, 9, 9, 1};  // 0 and 3 together
    const ExpertParallel worse = expertParallel(trace, options);
    CHECK(figuresOf(worse, PlacementPolicy::Contiguous).imbalance == Approx(1));
    CHECK(figuresOf(worse, PlacementPolicy::Packed).imbalance == Approx(2));
    CHECK(figuresOf(worse, PlacementPolicy::Packed).accumulatedInSample == Approx(18 / 14.5));
}

TEST_CASE("prefill steps are consecutive tokens and decode steps are not") {
    // Tokens take turns between the GPUs: two neighbours never share one.
    std::vector<Choice> text;
    for (int t = 0; t < 40; ++t) text.push_back(t % 2 == 0 ? Choice{0, 1} : Choice{2, 3});
    ExpertParallelOptions options = twoGpus(2);
    options.mix = StepMix::Prefill;
    CHECK(figuresOf(expertParallel(traceOf(4, {text, text}), options), PlacementPolicy::Contiguous)
              .imbalance == Approx(1));
    options.mix = StepMix::Decode;
    options.steps = 400;
    // Half of the pairs fall on one GPU.
    CHECK(figuresOf(expertParallel(traceOf(4, {text, text}), options), PlacementPolicy::Contiguous)
              .imbalance == Approx(1.5).margin(0.06));
}

TEST_CASE("one GPU is even, and reads what a step's tokens choose") {
    const ExpertParallelOptions options = [] {
        ExpertParallelOptions o = twoGpus(3);
        o.gpus = {1};
        return o;
    }();
    const ExpertParallel of = expertParallel(
        traceOf(4, {{Choice{0, 1}}, {Choice{0, 2}}, {Choice{0, 3}}, {Choice{0, 1}}}), options);
    REQUIRE(of.figures.size() == 1);
    CHECK(of.figures[0].imbalance == Approx(1));
    CHECK(of.figures[0].busiestTokens == Approx(6));
    CHECK(of.figures[0].arrivals == 0);
    CHECK(of.figures[0].busiestExperts > 2);
}

TEST_CASE("one text can be spread contiguously but judges no placement") {
    const ExpertParallel of = expertParallel(traceOf(4, {{Choice{0, 1}}}), twoGpus(2));
    CHECK(of.figures.size() == 1);
    CHECK(of.reason.find("one text") != std::string::npos);
}

TEST_CASE("more GPUs than experts are left out") {
    ExpertParallelOptions options = twoGpus(2);
    options.gpus = {8};
    CHECK(expertParallel(traceOf(4, {{Choice{0, 1}}, {Choice{0, 1}}}), options).empty());
}

TEST_CASE("the simulation is the same for the same seed and knows its steps") {
    std::vector<std::vector<Choice>> texts;
    for (int i = 0; i < 6; ++i) {
        texts.emplace_back();
        for (int t = 0; t < 30; ++t)
            texts.back().push_back(
                {std::int16_t((t * 7 + i) % 8), std::int16_t((t * 7 + i + 3) % 8)});
    }
    const RoutingTrace trace = traceOf(8, texts);
    const ExpertParallel a = expertParallel(trace, twoGpus(4)),
                         b = expertParallel(trace, twoGpus(4));
    CHECK(a.figures.front().imbalance == b.figures.front().imbalance);
    CHECK(a.options.steps == 20);
    CHECK(a.find(2, PlacementPolicy::Packed)->lowest <=
          a.find(2, PlacementPolicy::Packed)->imbalance);
    CHECK(a.find(2, PlacementPolicy::Packed)->highest >=
          a.find(2, PlacementPolicy::Packed)->imbalance);
}

TEST_CASE("a router without favourites reaches as many GPUs as combinatorics say") {
    CHECK(uniformDestinations(8, 2, 4) == Approx(1.857143).epsilon(1e-6));
    CHECK(uniformDestinations(128, 4, 8) == Approx(3.342).margin(5e-4));
    CHECK(uniformDestinations(128, 4, 32) == Approx(3.860).margin(5e-4));
    CHECK(uniformDestinations(256, 8, 64) == Approx(7.676).margin(5e-4));
    CHECK(uniformDestinations(4, 4, 1) == Approx(1));
    // The simulated chance is the same within its noise.
    std::vector<Choice> text(4, Choice{0, 1});
    ExpertParallelOptions options = twoGpus(16);
    options.gpus = {4};
    const ExpertParallel of = expertParallel(traceOf(8, {text, text}), options);
    REQUIRE(of.chanceOf(4) != nullptr);
    CHECK(of.chanceOf(4)->destinations == Approx(1.857143).epsilon(0.01));
}

TEST_CASE("history of another model is refused with the file's name") {
    TempDir folder;
    const auto path = folder / "other.moescope";
    RunWriter writer(path, RunWriter::Mode::Create);
    writer.add(SequenceRow{0, "a", "", 1, 0});
    writer.add(RoutingCountRow{0, "prefill", 0, 2, 5});
    writer.add(RoutingCountRow{0, "decode", 0, 2, 1});
    writer.finish(RunStatus::Done);
    const RoutingTrace trace = traceOf(4, {{Choice{0, 1}}});
    CHECK(historyLoad(RunReader(path), trace) == std::vector<double>{0, 0, 6, 0});
    RoutingTrace fewer = traceOf(2, {{Choice{0, 1}}});
    CHECK(thrownBy<Error>([&] { historyLoad(RunReader(path), fewer); }).find("other.moescope") !=
          std::string::npos);
    RoutingTrace deeper = trace;
    deeper.layers = {0, 1};
    CHECK(thrownBy<Error>([&] {
              historyLoad(RunReader(path), deeper);
          }).find("no routing of layer 1") != std::string::npos);
}

TEST_CASE("a placement for a server has each GPU's experts side by side, and all layers") {
    // Layer 0 of two: 3 and 0 are hot, the other layer has no experts.
    const RoutingTrace trace = traceOf(4, {{{3}, {0}, {3}, {0}, {3}}, {{3}, {1}}});
    const auto map = physicalExperts(trace, twoGpus(2), PlacementPolicy::Packed, 2, 2);
    CHECK(map == std::vector<std::vector<int>>{{3, 2, 0, 1}, {0, 1, 2, 3}});
    const auto copies = physicalExperts(trace, twoGpus(2), PlacementPolicy::Replicated, 2, 1);
    REQUIRE(copies.size() == 1);
    CHECK(copies[0].size() == 6);
    CHECK(thrownBy<Error>([&] {
              physicalExperts(trace, twoGpus(2), PlacementPolicy::Contiguous, 3, 1);
          }).find("do not fill 3 GPUs evenly") != std::string::npos);
    RoutingTrace strange = trace;
    strange.layers = {2'000'000'000};
    CHECK_THROWS_AS(physicalExperts(strange, twoGpus(2), PlacementPolicy::Packed, 2, 1), Error);
}

TEST_CASE("runs of more experts or groups than can be placed in time say so") {
    RoutingTrace wide = traceOf(4, {{Choice{0, 1}}, {Choice{0, 1}}});
    wide.experts = 1 << 20;
    wide.layers = {0, 1};
    CHECK(expertParallel(wide, twoGpus(2)).reason.find("too many to be placed") !=
          std::string::npos);
    wide.experts = 32'768;  // one more than ids can name
    wide.layers = {0};
    CHECK(expertParallel(wide, twoGpus(2)).reason.find("too many to be placed") !=
          std::string::npos);
    std::vector<std::string> names;
    for (int i = 0; i < 300; ++i) names.push_back("g" + std::to_string(i));
    ExpertParallelOptions options = twoGpus(2);
    options.heldOut = HeldOut::Groups;
    const ExpertParallel of = expertParallel(
        traceOf(4, std::vector<std::vector<Choice>>(300, {Choice{0, 1}}), names), options);
    CHECK(of.reason.find("more than 256 groups") != std::string::npos);
    CHECK(of.figures.size() == 1);  // contiguous needs no load
}
