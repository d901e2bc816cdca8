// SPDX-License-Identifier: Apache-2.0
// From a profile with each token's experts to what `moescope cache` says of them.
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

using namespace moescope::test;
using Catch::Matchers::Contains;

namespace {

/// A profile of twelve short texts and their continuations.
std::string profileIn(const Folder& folder, bool perToken) {
    const std::string workload = folder / "workload.jsonl";
    std::string out = folder / "r.moescope";
    std::ofstream file(workload);
    for (int i = 0; i < 12; ++i)
        file << nlohmann::json{{"id", i}, {"tokens", {100 + i, 101, 102 + i, 103}}}.dump() << '\n';
    file.close();
    std::vector<std::string> words{"profile", "demo", "-w", workload, "-n", "3", "--out", out};
    if (perToken) words.emplace_back("--routing-tokens");
    const Outcome profile = run(words);
    INFO(profile.err);
    REQUIRE(profile.code == 0);
    return out;
}

nlohmann::json cacheOf(std::vector<std::string> words) {
    words.insert(words.begin(), "cache");
    words.emplace_back("--json");
    const Outcome outcome = run(words);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    return nlohmann::json::parse(outcome.out);
}

}  // namespace

TEST_CASE("a profile tells what a cache of its experts would find and what misses cost") {
    const Folder folder;
    const std::string out = profileIn(folder, true);
    const auto json = cacheOf({out});
    CHECK(json.at("schema") == "moescope.cache");
    const int experts = json.at("experts"), topK = json.at("top_k");
    const std::int64_t tokens = json.at("tokens");
    CHECK(json.at("texts") == 12);
    CHECK(json.at("sizes").front() == topK);
    CHECK(json.at("sizes").back() == experts);
    CHECK(json.at("uniform").at("hits").back() == 1.0);
    CHECK(json.at("token_experts") == "together");
    const auto& hits = json.at("all").at("hits");
    for (std::size_t i = 0; i < json.at("sizes").size(); ++i) {
        CHECK(hits.at("lru").at(i) <= hits.at("optimum").at(i));
        CHECK(hits.at("lru_low").at(i) <= hits.at("lru").at(i));
    }
    // The engine counted what the experts read; with all of them only first uses are loaded.
    const auto& all = json.at("offload").back();
    double bytes = 0;
    for (const auto& layer : json.at("layers")) bytes += layer.at("expert_bytes").get<double>();
    CHECK(all.at("cache_bytes").get<double>() == Approx(experts * bytes));
    CHECK(all.at("loaded_bytes_per_token").at("static_in_sample") == 0.0);
    CHECK(all.at("links").at(0).at("most_tokens_per_second").at("static_in_sample").is_null());
    CHECK(all.at("links").at(1).at("ns_per_token").at("lru").get<double>() ==
          Approx(all.at("loaded_bytes_per_token").at("lru").get<double>() / 50));

    const auto generated = cacheOf({out, "--part", "generated"});
    const auto prompt = cacheOf({out, "--part", "prompt"});
    CHECK(prompt.at("tokens") == 48);
    CHECK(generated.at("tokens").get<std::int64_t>() == tokens - 48);

    const auto asked = cacheOf({out, "--sizes", "5,7", "--link", "64", "--expert-bytes", "1000",
                                "--one-by-one", "--warm"});
    CHECK(asked.at("sizes") == std::vector<int>{5, 7});
    CHECK(asked.at("cache_start") == "warm");
    CHECK(asked.at("token_experts") == "one by one");
    CHECK(asked.at("offload").at(0).at("links").size() == 1);
    CHECK(asked.at("offload").at(0).at("links").at(0).at("bytes_per_second") == 64e9);
    CHECK(asked.at("layers").at(0).at("expert_bytes") == 1000.0);
}

TEST_CASE("the cache as text names its tables and is the same every time") {
    const Folder folder;
    const std::string out = profileIn(folder, true);
    const Outcome text = run({"cache", out});
    CHECK(text.code == 0);
    CHECK_THAT(text.out, Contains("every text beginning with an empty cache"));
    CHECK_THAT(text.out, Contains("Hits, mean of the layers:"));
    CHECK_THAT(text.out, Contains("PCIe 5.0 x16"));
    CHECK_THAT(text.out, Contains("A model: every load is waited for"));
    CHECK(run({"cache", out}).out == text.out);
    const Outcome layers = run({"cache", out, "--by", "layer", "--link", "64"});
    CHECK_THAT(layers.out, Contains("Hits of LRU by layer"));
    CHECK_THAT(layers.out, Contains("over 64.0 GB/s"));
}

TEST_CASE("a run without each token's experts says how to record them") {
    const Folder folder;
    const std::string out = profileIn(folder, false);
    const Outcome outcome = run({"cache", out});
    CHECK(outcome.code == 1);
    CHECK(errorLines(outcome.err) == 1);
    CHECK_THAT(outcome.err, Contains(out) && Contains("--routing-tokens"));
}

TEST_CASE("nonsense about caches is refused in one line") {
    const Folder folder;
    const std::string out = profileIn(folder, true);
    for (const std::vector<std::string>& words :
         std::vector<std::vector<std::string>>{{"cache", "absent", "--by", "token"},
                                               {"cache", "absent", "--part", "both"},
                                               {"cache", "absent", "--link", "0"},
                                               {"cache", "absent", "--link", "nan"},
                                               {"cache", "absent", "--link", "fast"},
                                               {"cache", "absent", "--expert-bytes", "-5"},
                                               {"cache", "absent", "--expert-bytes", "inf"},
                                               {"cache", out, "--sizes", "1"},
                                               {"cache", out, "--sizes", "4,,8"},
                                               {"cache", out, "--sizes", "4000"},
                                               {"cache"}}) {
        const Outcome outcome = run(words);
        INFO(outcome.err);
        CHECK(outcome.code == 2);
        CHECK(errorLines(outcome.err) == 1);
    }
}
