// SPDX-License-Identifier: Apache-2.0
// Hit rates by hand, beside caches that are simulated one size at a time, and of a real model.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <random>
#include <set>

#include "engine/core/error.h"
#include "profiler/import/importers.h"
#include "profiler/simulation/expert_cache.h"
#include "tests/profiler/routing_traces.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using test::Choice;
using test::fixtureB;
using test::traceOf;

namespace {

double hits(const ExpertCache& cache, CachePolicy policy, int size) {
    return cache.all.of(policy).at(cache.index(size));
}

/// A text of random choices in which some experts are more likely than others.
std::vector<Choice> randomText(std::mt19937_64& random, int experts, int topK, int tokens) {
    std::vector<Choice> text;
    for (int t = 0; t < tokens; ++t) {
        Choice choice;
        while (choice.size() < std::size_t(topK)) {
            const auto expert = std::int16_t(
                std::min(random() % std::uint64_t(experts), random() % std::uint64_t(experts)));
            if (std::find(choice.begin(), choice.end(), expert) == choice.end())
                choice.push_back(expert);
        }
        text.push_back(choice);
    }
    return text;
}

/// One cache of one size as it would be written down without any theory.
class NaiveCache {
public:
    NaiveCache(int size, bool lfu, bool oneByOne)
        : size_(std::size_t(size)), lfu_(lfu), oneByOne_(oneByOne) {}

    int use(const Choice& choice) {
        int found = 0;
        for (const std::int16_t expert : choice) {
            if (held_.count(expert) > 0)
                ++found;
            else if (held_.size() == size_)
                held_.erase(victim(choice));
            held_.insert(expert);
            last_[expert] = ++clock_;
            ++uses_[expert];
        }
        return found;
    }

private:
    std::int16_t victim(const Choice& choice) const {
        std::int16_t out = -1;
        for (const std::int16_t held : held_) {
            if (!oneByOne_ && std::find(choice.begin(), choice.end(), held) != choice.end())
                continue;
            if (out < 0 || rank(held) < rank(out)) out = held;
        }
        return out;
    }
    std::pair<int, int> rank(std::int16_t expert) const {
        return {lfu_ ? uses_.at(expert) : 0, last_.at(expert)};
    }

    std::size_t size_;
    bool lfu_, oneByOne_;
    std::set<std::int16_t> held_;
    std::map<std::int16_t, int> last_, uses_;
    int clock_ = 0;
};

double naiveHits(const std::vector<std::vector<Choice>>& texts, int size, bool lfu,
                 const ExpertCacheOptions& options) {
    double found = 0, uses = 0;
    NaiveCache cache(size, lfu, options.oneByOne);
    for (const auto& text : texts) {
        if (!options.warm) cache = NaiveCache(size, lfu, options.oneByOne);
        for (const Choice& choice : text) {
            found += cache.use(choice);
            uses += double(choice.size());
        }
    }
    return found / uses;
}

/// The most hits that any order of throwing out gives, by trying them all. Uses one by one, or
/// whole tokens.
class AllChoices {
public:
    AllChoices(std::vector<Choice> requests, std::size_t size)
        : requests_(std::move(requests)), size_(size) {}
    int most() { return from(0, {}); }

private:
    int from(std::size_t at, const std::set<std::int16_t>& held) {
        if (at == requests_.size()) return 0;
        const auto known = known_.find({at, held});
        if (known != known_.end()) return known->second;
        int found = 0;
        std::set<std::int16_t> next = held;
        for (const std::int16_t expert : requests_[at])
            if (!next.insert(expert).second) ++found;
        std::vector<std::int16_t> others;
        for (const std::int16_t expert : next)
            if (std::find(requests_[at].begin(), requests_[at].end(), expert) ==
                requests_[at].end())
                others.push_back(expert);
        int best = -1;
        for (std::size_t out = 0; out < std::size_t{1} << others.size(); ++out) {
            std::set<std::int16_t> left = next;
            for (std::size_t i = 0; i < others.size(); ++i)
                if ((out >> i & 1U) != 0) left.erase(others[i]);
            if (left.size() <= size_) best = std::max(best, from(at + 1, left));
        }
        return known_[{at, held}] = found + best;
    }

    std::vector<Choice> requests_;
    std::size_t size_;
    std::map<std::pair<std::size_t, std::set<std::int16_t>>, int> known_;
};

}  // namespace

TEST_CASE("six tokens worked by hand give the published hits where experts come one by one") {
    const ExpertCache cache = expertCache(fixtureB(), {.oneByOne = true});
    CHECK(cache.leastSize == 1);
    CHECK(cache.all.reuse == Approx(0.4));
    CHECK(cache.chanceReuse() == 0.5);
    const std::array<std::array<double, 3>, 3> expected{
        {{3, 4, 5}, {6, 6, 7}, {8, 8, 8}}};  // LRU, LFU, optimum of 12 uses
    for (int size = 2; size <= 4; ++size) {
        INFO("experts in the cache: " << size);
        const auto& row = expected[std::size_t(size - 2)];
        CHECK(hits(cache, CachePolicy::Lru, size) == Approx(row[0] / 12));
        CHECK(hits(cache, CachePolicy::Lfu, size) == Approx(row[1] / 12));
        CHECK(hits(cache, CachePolicy::Optimum, size) == Approx(row[2] / 12));
        CHECK(cache.uniformHits(size) == size / 4.0);
    }
}

TEST_CASE("a token's experts stay while it is in flight, so that of top-k hits are the reuse") {
    // Token 4 {0,1} finds 1 although 0 comes before it, and token 5 {2,3} finds 3 with C = 3.
    const ExpertCache cache = expertCache(fixtureB());
    CHECK(cache.leastSize == 2);
    CHECK(cache.all.of(CachePolicy::Lru).size() == 3);
    for (const CachePolicy policy : {CachePolicy::Lru, CachePolicy::Lfu, CachePolicy::Optimum}) {
        CHECK(hits(cache, policy, 2) == Approx(4.0 / 12));
        CHECK(hits(cache, policy, 4) == Approx(8.0 / 12));
    }
    CHECK(hits(cache, CachePolicy::Lru, 3) == Approx(7.0 / 12));
    CHECK(hits(cache, CachePolicy::Optimum, 3) == Approx(7.0 / 12));
    CHECK(hits(cache, CachePolicy::Lfu, 3) == Approx(7.0 / 12));
    CHECK(cache.misses(cache.all, CachePolicy::Lru, 3) == Approx(2 * 5.0 / 12));
}

TEST_CASE("one pass over the stack gives what a cache of each size gives by itself") {
    std::mt19937_64 random(7);
    for (const int topK : {1, 2, 4}) {
        std::vector<std::vector<Choice>> texts;
        for (int i = 0; i < 6; ++i) texts.push_back(randomText(random, 11, topK, 5 + 9 * i));
        for (const bool warm : {false, true}) {
            for (const bool oneByOne : {false, true}) {
                const ExpertCacheOptions options{.warm = warm, .oneByOne = oneByOne};
                const ExpertCache cache = expertCache(traceOf(11, texts), options);
                for (int size = cache.leastSize; size <= 11; ++size) {
                    INFO("k " << topK << ", warm " << warm << ", one by one " << oneByOne
                              << ", size " << size);
                    CHECK(hits(cache, CachePolicy::Lru, size) ==
                          Approx(naiveHits(texts, size, false, options)));
                    CHECK(hits(cache, CachePolicy::Lfu, size) ==
                          Approx(naiveHits(texts, size, true, options)));
                }
            }
        }
    }
}

TEST_CASE("no way of throwing experts out finds more than the optimum") {
    std::mt19937_64 random(3);
    for (int round = 0; round < 12; ++round) {
        const std::vector<Choice> text = randomText(random, 5, 2, 8);
        std::vector<Choice> uses;
        for (const Choice& choice : text)
            for (const std::int16_t expert : choice) uses.push_back({expert});
        const ExpertCache together = expertCache(traceOf(5, {text}));
        const ExpertCache apart = expertCache(traceOf(5, {text}), {.oneByOne = true});
        for (int size = 2; size <= 5; ++size) {
            CHECK(hits(together, CachePolicy::Optimum, size) ==
                  Approx(AllChoices(text, std::size_t(size)).most() / 16.0));
            CHECK(hits(apart, CachePolicy::Optimum, size) ==
                  Approx(AllChoices(uses, std::size_t(size)).most() / 16.0));
        }
    }
}

TEST_CASE("a cold cache begins every text anew and a warm one does not") {
    const auto trace = traceOf(4, {{{0}, {1}}, {{0}, {1}}, {{2}, {0}}});
    const ExpertCache cold = expertCache(trace), warm = expertCache(trace, {.warm = true});
    CHECK(hits(cold, CachePolicy::Lru, 4) == 0);
    CHECK(hits(warm, CachePolicy::Lru, 4) == Approx(3.0 / 6));
    CHECK(hits(warm, CachePolicy::Lru, 1) == 0);
    CHECK(hits(warm, CachePolicy::Optimum, 2) == Approx(3.0 / 6));
    CHECK(std::isnan(expertCache(traceOf(4, {{{0}}})).all.reuse));  // no token follows another
}

TEST_CASE("tokens behind a gap count as uses but not as reuse") {
    RoutingTrace trace = traceOf(4, {{{0}, {0}, {1}, {1}}});
    trace.texts[0].follows = {false, false, true, true};
    const ExpertCache cache = expertCache(trace);
    CHECK(cache.all.reuse == Approx(0.5));
    CHECK(hits(cache, CachePolicy::Lru, 1) == Approx(2.0 / 4));
}

TEST_CASE("a static set is chosen from one half of the texts and tried on the other") {
    // Expert 0 is what every text uses most; the second favourite of each is nobody else's.
    const auto trace = traceOf(4, {{{0}, {0}, {0}, {1}}, {{0}, {0}, {0}, {2}}});
    const ExpertCache cache = expertCache(trace);
    CHECK(hits(cache, CachePolicy::StaticHeldOut, 1) == Approx(6.0 / 8));
    CHECK(hits(cache, CachePolicy::StaticHeldOut, 2) == Approx(6.0 / 8));
    CHECK(hits(cache, CachePolicy::StaticInSample, 2) == Approx(7.0 / 8));
    CHECK(hits(cache, CachePolicy::StaticInSample, 4) == 1);
    const ExpertCache alone = expertCache(traceOf(4, {{{0}, {0}}}));
    CHECK(std::isnan(hits(alone, CachePolicy::StaticHeldOut, 1)));
    CHECK(hits(alone, CachePolicy::StaticInSample, 1) == 1);
}

TEST_CASE("the interval of LRU is over texts and withheld of few") {
    std::vector<std::vector<Choice>> texts;
    for (std::int16_t i = 0; i < 10; ++i) texts.push_back({{0}, {std::int16_t(i % 2)}});
    const ExpertCache cache = expertCache(traceOf(4, texts));
    // Hits 1 or 0 of 2 uses, rate 0.25: sqrt(10 / 9 * 10 * 0.25) / 20 = 0.0833, t(9) = 2.2622.
    CHECK(hits(cache, CachePolicy::Lru, 1) == Approx(0.25));
    CHECK(cache.all.low.at(0) == Approx(0.25 - 0.18851).margin(1e-4));
    CHECK(cache.all.high.at(0) == Approx(0.25 + 0.18851).margin(1e-4));
    CHECK(cache.layers.at(0).high == cache.all.high);
    texts.pop_back();
    CHECK(std::isnan(expertCache(traceOf(4, texts)).all.low.at(0)));
}

TEST_CASE("over all layers stand the means of the layers") {
    RoutingTrace trace = traceOf(4, {{{0}, {0}}});
    trace.layers = {3, 7};
    trace.texts[0].experts = {0, 0, 0, 1};
    const ExpertCache cache = expertCache(trace);
    REQUIRE(cache.layers.size() == 2);
    CHECK(cache.layers[1].layer == 7);
    CHECK(cache.layers[0].of(CachePolicy::Lru).at(0) == 0.5);
    CHECK(cache.layers[1].of(CachePolicy::Lru).at(0) == 0);
    CHECK(hits(cache, CachePolicy::Lru, 1) == 0.25);
    CHECK(cache.all.reuse == 0.5);
}

TEST_CASE("what a run file holds cannot make the simulation endless") {
    RoutingTrace wide = traceOf(4, {{{0}}});
    wide.experts = 1 << 21;
    CHECK(expertCache(wide).reason.find("too many") != std::string::npos);
    CHECK(expertCache(wide).empty());

    // Of 16,384 experts 2^31 / 2^14 tokens are simulated: one text of three, or a part of one.
    const std::vector<Choice> text(100'000, {5});
    const ExpertCache some = expertCache(traceOf(1 << 14, {text, text, text}));
    CHECK(some.texts == 1);
    CHECK(some.tokens == 100'000);
    CHECK(some.textsLeftOut == 2);
    CHECK(some.tokensLeftOut == 200'000);
    const std::vector<Choice> longer(200'000, {5});
    const ExpertCache cut = expertCache(traceOf(1 << 14, {longer, longer}));
    CHECK(cut.tokens == 131'072);

    StopFlag stop{true};
    CHECK_THROWS_AS(expertCache(fixtureB(), {.stop = &stop}), Interrupted);
}

TEST_CASE("a trace without texts says why there is no cache") {
    RoutingTrace trace;
    trace.reason = "Nothing was routed.";
    const ExpertCache cache = expertCache(trace);
    CHECK(cache.empty());
    CHECK(cache.reason == "Nothing was routed.");
}

TEST_CASE("the published curve of gpt-oss-20b comes out of its published traces") {
    namespace fs = std::filesystem;
    const fs::path folder = fs::path(MOESCOPE_SOURCE_DIR) / "../shared/traces/gpt-oss-20b";
    if (!fs::exists(folder)) {
        WARN("skipped: " << folder << " is absent");
        return;
    }
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    const test::TempDir dir;
    importFiles({"fingerprint", files, dir / "r.moescope", {"moescope", "import"}, true, nullptr});
    const RoutingTrace trace = routingTrace(RunReader(dir / "r.moescope"), 32);
    REQUIRE(trace.texts.size() == 38);
    const ExpertCache cache = expertCache(trace, {.oneByOne = true});
    constexpr std::array<int, 8> kSizes{4, 6, 8, 12, 16, 20, 24, 28};
    // By a Python program of its own from the same files, then as published of 116 such texts.
    constexpr std::array<double, 8> kLru{.3564, .5186, .6354, .7922, .8880, .9418, .9680, .9780};
    constexpr std::array<double, 8> kPublished{.352, .514, .632, .792, .888, .942, .969, .979};
    constexpr std::array<double, 8> kStatic{.2896, .4033, .5051, .6737, .8000, .8939, .9529, .9867};
    for (std::size_t i = 0; i < kSizes.size(); ++i) {
        CHECK(hits(cache, CachePolicy::Lru, kSizes[i]) == Approx(kLru[i]).margin(1e-4));
        CHECK(hits(cache, CachePolicy::Lru, kSizes[i]) == Approx(kPublished[i]).margin(5e-3));
        CHECK(hits(cache, CachePolicy::StaticInSample, kSizes[i]) ==
              Approx(kStatic[i]).margin(1e-4));
    }
    CHECK(cache.all.reuse == Approx(0.4493).margin(1e-4));  // published: 0.445
}
