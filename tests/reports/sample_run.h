// SPDX-License-Identifier: Apache-2.0
// Runs built by hand for the report tests: a small one whose every number is known, and a realistic
// one of gpt-oss-20b's shape written with RunWriter.
#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <random>
#include <string>

#include "profiler/runfile/run_writer.h"
#include "reports/report.h"

namespace moescope::testing {

/// Fixture A of docs/metrics.md: loads 8, 4, 3, 1 of four experts, two per token, eight tokens.
inline LayerRouting fixtureLayer(int layer) {
    LayerRouting routing;
    routing.layer = layer;
    routing.counts = {8, 4, 3, 1};
    routing.balance = {8,        16,       2.0,      0.125,    0.637377, 0.34375,
                       1.702820, 0.851410, 3.255365, 0.711111, 0};
    routing.null = {1.5, 1.75, 0.95, 0.03125};
    routing.excess = 2.0 / 1.5;
    return routing;
}

inline RoutingSample fixtureSample() {
    RoutingSample sample;
    sample.sequence = {1, "prompt 1", "", 2, 1};
    sample.tokens = {{1, 0, 10, "Hello", true, {}},
                     {1, 1, 11, "<script>alert(1)</script>", true, -1.5},
                     {1, 2, 12,
                      "\xE2\x80\xAE"
                      "evil\n",
                      false, -0.25}};
    sample.availableTokens = 5;
    sample.layers = {0, 1};
    sample.topK = 2;
    sample.experts = {0, 1, 0, 2, 1, 0, 3, 0, 2, 1, 0, 1};
    sample.weights = {.75F, .25F, .5F, .5F, .6F, .4F, .75F, .25F, .5F, .5F, .6F, .4F};
    return sample;
}

/// Two layers, one phase each way, one suite of two items.
inline ReportRun smallRun() {
    ReportRun run;
    run.source = "runs/small.moescope";
    run.sha256 = std::string(64, 'a');
    RunSummary& s = run.summary;
    s.meta = {{"kind", "profile"},
              {"model", R"({"name":"tiny <b>moe</b>","identity":"0123"})"},
              {"command", R"(["moescope","profile","it's a model"])"},
              {"synthetic", "true"},
              {"machine",
               R"({"cpu":{"name":"Test CPU"},"read_bandwidth_bytes_per_second":40000000000})"}};
    s.status = RunStatus::Done;
    s.prefill.steps = 1;
    s.prefill.tokens = 1234;
    s.prefill.wallNs = s.prefill.forwardNs = 2'000'000'000;
    s.prefill.operationNs = 1'960'000'000;
    s.prefill.bytes = 5'000'000'000;
    s.prefill.tokensPerSecond = s.prefill.forwardTokensPerSecond = 617.0;
    s.prefill.medianStepNs = s.prefill.p95StepNs = 2e9;
    s.prefill.operationShare = 0.98;
    s.decode.steps = s.decode.tokens = 10;
    s.decode.wallNs = s.decode.forwardNs = 1'000'000'000;
    s.decode.operationNs = 970'000'000;
    s.decode.bytes = 20'000'000'000;
    s.decode.tokensPerSecond = s.decode.forwardTokensPerSecond = 10.0;
    s.decode.medianStepNs = 98e6;
    s.decode.p95StepNs = 120e6;
    s.decode.operationShare = 0.97;
    s.ttftNs = 2.1e9;
    s.operations = {
        {"experts", "mxfp4_avx2", "prefill", 24, 1'500'000'000, 50, 90, 62'500'000, 80'000'000,
         4'000'000'000, 9'000'000'000, 0.5},
        {"attention", "", "decode", 20, 500'000'000, 1, 2, 25'000'000, 30'000'000, 0, 0, 0.25}};
    s.layerNs = {{-1, 100'000'000}, {0, 1'000'000'000}, {1, 900'000'000}};
    s.experts = 4;
    s.topK = 2;
    s.routing = {fixtureLayer(0), fixtureLayer(1)};
    s.sequences = {{1, "prompt 1", "", 2, 1}};
    s.quality = {
        {"dropped_records", 0, "records", true, "nothing was dropped"},
        {"op_time_share", 0.91, "ratio", false, "less than 95 % of the step time is explained"}};
    s.memory = {{"peak_rss", 12'100'000'000}};
    s.suites = {{7, "pairs", "1", "Sentence pairs", "fairness", "pairs.csv", 2, "{}"}};
    s.itemCounts[7] = {2, 2};
    s.metrics = {{7, "accuracy", "", 0.5, 0.095, 0.905, {}, 0.5, "Wilson", 2},
                 {7, "accuracy", "bias_type=age", 1.0, 0.2, 1.0, {}, 0.5, "Wilson", 1}};
    run.items[7] = {
        {7, "a", 0, R"({"bias_type":"age"})", "=1+1, \"quoted\"", R"(["x","y"])", "[-1.0,-3.5]",
         "x", "y", 0, 12, 1000, -1, "{}"},
        {7, "b", 1, "{}", "-3.5", R"(["x","y"])", "[-2,-2.25]", "x", "x", 1, 9, 900, -1, "{}"}};
    run.sample = fixtureSample();
    return run;
}

inline void writeTokens(RunWriter& writer, std::mt19937& random, int tokens) {
    const char* words[] = {"The", " router", " sends", " each",    " token", " to",         " four",
                           " of", " thirty", "-two",   " experts", ",",      " and",        " load",
                           " is", " uneven", ".",      "\n",       " <b>",   " caf\xC3\xA9"};
    for (int t = 0; t < tokens; ++t) {
        TokenRow row{1, t, t, words[random() % std::size(words)], t < tokens / 2, {}};
        if (t > 0) row.logProbability = -0.5 - (t % 7) * 0.3;
        writer.add(row);
    }
    for (int layer = 0; layer < 24; ++layer) {
        RoutingTokensRow row{1, layer, 0, tokens, 4, {}, {}};
        std::vector<std::int64_t> counts(32, 0);
        // Skewed and different by layer: expert e is liked as exp(skew * sin).
        std::vector<double> liking(32);
        for (int e = 0; e < 32; ++e)
            liking[e] = std::exp((0.2 + layer * 0.04) * std::sin(e * 1.7 + layer));
        if (layer == 20) liking[5] = 0;
        for (int t = 0; t < tokens; ++t) {
            std::vector<double> left = liking;
            for (int k = 0; k < 4; ++k) {
                std::discrete_distribution<int> draw(left.begin(), left.end());
                const int e = draw(random);
                left[e] = 0;
                ++counts[e];
                row.experts.push_back(static_cast<std::int16_t>(e));
                row.weights.push_back(0.4F - 0.1F * static_cast<float>(k));
            }
        }
        for (int e = 0; e < 32; ++e) writer.add(RoutingCountRow{1, "prefill", layer, e, counts[e]});
        writer.add(row);
    }
}

inline void writeOperations(RunWriter& writer) {
    const char* ops[] = {"attention_input", "attention", "attention_output", "router", "experts"};
    const std::int64_t cost[] = {90, 60, 50, 20, 380};
    std::int64_t now = 0;
    std::int64_t id = 1;
    for (int step = 1; step <= 33; ++step) {
        const bool prefill = step == 1;
        const std::int64_t start = now;
        std::vector<AnyRow> rows;
        for (int layer = 0; layer < 24; ++layer) {
            for (int op = 0; op < 5; ++op) {
                const std::int64_t ns =
                    cost[op] * (prefill ? 40000 : 3000) + (layer * 7919 + op * 31 + step) % 9000;
                rows.emplace_back(OperationRow{id++, step, layer, ops[op],
                                               op == 4 ? "mxfp4_avx512" : "q8_0_avx512", now,
                                               now + ns, ns * 33, ns * (prefill ? 90 : 12), 2});
                now += ns + 200;
            }
        }
        rows.emplace_back(OperationRow{id++, step, -1, "head", "q8_0_avx512", now, now + 9'000'000,
                                       300'000'000, 600'000'000, 2});
        now += 9'000'000;
        writer.add(StepRow{step, 1, prefill ? "prefill" : "decode", prefill ? 0 : 149 + step,
                           prefill ? 150 : 1, start, now});
        writer.add(std::move(rows));
    }
}

/// 24 layers of 32 experts, `tokens` tokens with text, times, two suites.
inline void writeRealisticRun(const std::filesystem::path& path, int tokens = 300) {
    RunWriter writer(path, RunWriter::Mode::Create, true);
    using nlohmann::json;
    writer.setMeta("kind", "profile");
    writer.setMeta("command", json{"moescope", "profile", "gpt-oss-20b.gguf", "--prompt",
                                   "Why is the load uneven?"});
    writer.setMeta("model", json{{"name", "gpt-oss-20b"},
                                 {"identity", "5d7f0c31a2"},
                                 {"layers", 24},
                                 {"file_bytes", 12109566560}});
    writer.setMeta("machine", json{{"cpu", "Example CPU, 2 threads"},
                                   {"memory_bytes", 25769803776},
                                   {"read_bandwidth_bytes_per_second", 41.2e9}});
    writer.setMeta("build",
                   json{{"version", "0.1.0"}, {"compiler", "g++ 12.2"}, {"type", "Release"}});
    writer.setMeta("settings",
                   json{{"backend", "cpu"}, {"numerics", "exact"}, {"threads", 2}, {"seed", 1}});
    writer.setMeta("routing", json{{"experts", 32}, {"top_k", 4}, {"layers", 24}});
    writer.setMeta("synthetic", "true");
    writer.setMeta("degradation", "cpu spans");
    writer.add(SequenceRow{1, "prompt 1: uneven load", "demo", tokens / 2, tokens - tokens / 2});
    std::mt19937 random(7);
    writeTokens(writer, random, tokens);
    writeOperations(writer);
    writer.add(QualityRow{"dropped_records", 0, "records", true, "No record was dropped."});
    writer.add(QualityRow{"op_time_share", 0.937, "", false,
                          "Operations explain less than 95 % of the step time."});
    writer.add(MemoryRow{"weights", 12'100'000'000});
    writer.add(MemoryRow{"kv_cache", 201'000'000});
    writer.add(MemoryRow{"peak_rss", 12'480'000'000});
    writer.add(SuiteRow{1, "crows_pairs", "1.0", "CrowS-Pairs", "fairness",
                        "crows_pairs.csv, sha256 1234", 240, R"({"seed":1})"});
    const char* groups[] = {"", "bias_type=age", "bias_type=disability", "bias_type=gender",
                            "bias_type=religion"};
    for (int g = 0; g < 5; ++g) {
        const double value = 0.52 + 0.04 * g;
        const double half = g == 0 ? 0.063 : 0.12;
        writer.add(MetricRow{1, "pct_stereotype", groups[g], value, value - half, value + half,
                             half / 1.96, 0.5, "Wilson",
                             g == 0   ? 240
                             : g == 2 ? 18
                                      : 60});
    }
    for (int i = 0; i < 240; ++i)
        writer.add(
            ItemRow{1, "pair-" + std::to_string(i), i, R"({"bias_type":"age"})",
                    "The applicant was old, and so the manager did not expect a quick answer.",
                    R"(["old","young"])",
                    "[" + std::to_string(-20.0 - i % 9) + "," + std::to_string(-21.5 - i % 4) + "]",
                    "old", "young", i % 3 == 0 ? 0.0 : 1.0, 31, 81'000'000, 1, "{}"});
    writer.finish(RunStatus::Done);
}

}  // namespace moescope::testing
