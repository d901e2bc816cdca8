// SPDX-License-Identifier: Apache-2.0
#include "tests/gui/make_sample_run.h"

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "profiler/runfile/run_writer.h"

namespace moescope::gui::test {
namespace {

struct OpShape {
    const char* op;
    const char* kernel;
    std::int64_t ns, bytes, flops;
};
constexpr std::array<OpShape, 5> kLayerOps = {{
    {"attention_input", "q8_0_gemv_avx512_bf16", 52'000, 1'900'000, 4'000'000},
    {"attention", "attention_f32", 21'000, 400'000, 900'000},
    {"attention_output", "q8_0_gemv_avx512_bf16", 34'000, 1'400'000, 2'900'000},
    {"router", "f32_gemv_avx512_bf16", 6'000, 370'000, 184'000},
    {"experts", "mxfp4_gemv_avx512_bf16", 310'000, 13'000'000, 50'000'000},
}};

const std::array<const char*, 14> kWords = {" The",      " sky",      " is",  " blue", " because",
                                            " light",    " scatters", ",",    "\n",    " and",
                                            " Rayleigh", " found",    " why", "."};

class Maker {
public:
    Maker(const std::filesystem::path& path, const SampleShape& shape)
        : writer_(path, RunWriter::Mode::Create, true), shape_(shape), random_(7) {}

    void run() {
        meta();
        for (int s = 0; s < shape_.sequences; ++s) sequence(s);
        for (const auto& [key, count] : counts_) {
            const auto& [sequence, phase, layer, expert] = key;
            writer_.add(RoutingCountRow{sequence, phase, layer, expert, count});
        }
        evaluations();
        writer_.add(QualityRow{"dropped_records", 0, "records", true, "No record was dropped."});
        writer_.add(QualityRow{"clock_steps", 2, "steps", false,
                               "The processor changed its clock twice during the run."});
        writer_.add(MemoryRow{"weights", 12'100'000'000});
        writer_.add(MemoryRow{"kv_cache", 201'000'000});
        writer_.add(MemoryRow{"peak_rss", 12'600'000'000});
        if (shape_.status == RunStatus::Running) {
            writer_.flush();
        } else {
            writer_.finish(shape_.status,
                           shape_.status == RunStatus::Failed ? "out of memory" : "");
        }
    }

private:
    void meta() {
        writer_.setMeta("kind", std::string("profile"));
        writer_.setMeta("synthetic", std::string(shape_.synthetic ? "true" : "false"));
        writer_.setMeta("command",
                        nlohmann::json{"moescope", "profile", "sample.gguf", "--prompt",
                                       "Why is the sky blue?", "--out", "sample.moescope"});
        writer_.setMeta("model", nlohmann::json{{"name", "sample-moe-20b"},
                                                {"layers", shape_.layers},
                                                {"experts", shape_.experts},
                                                {"top_k", shape_.topK}});
        writer_.setMeta("machine",
                        nlohmann::json{{"cpu", "Example CPU"},
                                       {"cores", 2},
                                       {"memory_bytes", 25769803776},
                                       {"read_bandwidth_bytes_per_second", 4.5e10},
                                       {"peak_operations_per_second",
                                        {{"fp32", 2.4e11}, {"bf16", 9e11}, {"int8", 1.8e12}}}});
        writer_.setMeta("settings",
                        nlohmann::json{{"numerics", "exact"}, {"threads", 2}, {"seed", 1}});
        writer_.setMeta("degradation", std::string("CPU spans"));
    }

    void step(int sequence, const char* kind, int position, int tokens) {
        const std::int64_t id = nextStep_++;
        const std::int64_t start = now_;
        std::vector<AnyRow> rows;
        const auto op = [&](const OpShape& shape, int layer) {
            std::normal_distribution<double> jitter(1.0, 0.08);
            const auto ns = static_cast<std::int64_t>(static_cast<double>(shape.ns) *
                                                      std::clamp(jitter(random_), 0.6, 1.6) *
                                                      (tokens > 1 ? 0.4 * tokens : 1.0));
            rows.push_back(OperationRow{nextOperation_++, id, layer, shape.op, shape.kernel, now_,
                                        now_ + ns, shape.bytes, shape.flops * tokens, 2});
            now_ += ns + 600;
        };
        op({"embed", "gather_bf16", 3'000, 5'000, 0}, -1);
        for (int layer = 0; layer < shape_.layers; ++layer) {
            for (const OpShape& shape : kLayerOps) op(shape, layer);
        }
        op({"head", "matvec_q8_0", 420'000, 17'000'000, 36'000'000}, -1);
        if (kind[0] == 'd') op({"sample", "greedy", 9'000, 0, 0}, -1);
        rows.push_back(StepRow{id, sequence, kind, position, tokens, start, now_});
        writer_.add(std::move(rows));
        now_ += 20'000;
    }

    void route(int sequence, int position, int tokens, const char* phase) {
        for (int layer = 0; layer < shape_.layers; ++layer) {
            RoutingTokensRow row{sequence, layer, position, tokens, shape_.topK, {}, {}};
            for (int t = 0; t < tokens; ++t) {
                std::vector<std::int16_t> chosen;
                if (layer == 3) chosen.push_back(5);
                // Squaring the draw makes low ids busier, as real routers have favourites.
                std::uniform_real_distribution<double> draw(0, 1);
                while (static_cast<int>(chosen.size()) < shape_.topK) {
                    const double u = draw(random_);
                    const auto expert = static_cast<std::int16_t>(
                        (static_cast<int>(u * u * shape_.experts) + 7 * layer) % shape_.experts);
                    if (std::find(chosen.begin(), chosen.end(), expert) == chosen.end())
                        chosen.push_back(expert);
                }
                for (int k = 0; k < shape_.topK; ++k) {
                    row.experts.push_back(chosen[static_cast<std::size_t>(k)]);
                    row.weights.push_back(2.0F * static_cast<float>(shape_.topK - k) /
                                          static_cast<float>(shape_.topK * (shape_.topK + 1)));
                    ++counts_[{sequence, phase, layer, chosen[static_cast<std::size_t>(k)]}];
                }
            }
            writer_.add(std::move(row));
        }
    }

    void sequence(int s) {
        writer_.add(SequenceRow{s, "prompt " + std::to_string(s),
                                s % 2 == 0 ? "science" : "fiction", shape_.promptTokens,
                                shape_.generatedTokens});
        for (int p = 0; p < shape_.promptTokens + shape_.generatedTokens; ++p) {
            const bool prompt = p < shape_.promptTokens;
            const auto word = static_cast<std::size_t>(p * 5 + s) % kWords.size();
            writer_.add(
                TokenRow{s, p, static_cast<std::int32_t>(1000 + word), kWords[word], prompt,
                         prompt ? std::optional<double>() : std::optional(-0.1 * (p % 20))});
        }
        step(s, "prefill", 0, shape_.promptTokens);
        route(s, 0, shape_.promptTokens, "prefill");
        for (int t = 0; t < shape_.generatedTokens; ++t) {
            step(s, "decode", shape_.promptTokens + t, 1);
            route(s, shape_.promptTokens + t, 1, "decode");
        }
    }

    void evaluations() {
        writer_.add(SuiteRow{1, "arc_easy", "1", "ARC easy", "capability", "arc.jsonl sha256 12ab",
                             40, R"({"seed":1})"});
        writer_.add(SuiteRow{2, "hiring", "1", "Hiring and lending pairs", "fairness",
                             "hiring.jsonl sha256 34cd", 30, "{}"});
        for (int i = 0; i < 40; ++i) {
            const bool right = i % 4 != 0;
            writer_.add(ItemRow{1, "arc-" + std::to_string(i), i,
                                R"({"grade":")" + std::to_string(3 + i % 3) + "\"}",
                                "Question " + std::to_string(i) +
                                    ": Which gas do plants take in to make sugar?\nAnswer:",
                                R"(["oxygen","carbon dioxide","nitrogen","helium"])",
                                right ? "[-4.1,-1.2,-5.0,-7.7]" : "[-1.1,-1.9,-5.2,-8.0]",
                                right ? "carbon dioxide" : "oxygen", "carbon dioxide",
                                right ? 1.0 : 0.0, 31, 42'000'000, i % shape_.sequences,
                                right ? R"({"right":true})" : R"({"right":false})"});
        }
        writer_.add(MetricRow{1, "accuracy", "", 0.75, 0.598, 0.858, 0.0685, 0.25, "Wilson", 40});
        for (int g = 3; g <= 5; ++g)
            writer_.add(MetricRow{1, "accuracy", "grade=" + std::to_string(g), 0.6 + 0.05 * g,
                                  0.5 + 0.03 * g, 0.72 + 0.05 * g, 0.1, 0.25, "Wilson", 13});
        writer_.add(MetricRow{2, "pct_stereotype", "", 56.7, 39.2, 72.6, 9.0, 50.0, "Wilson", 30});
        for (int i = 0; i < 25; ++i) {
            writer_.add(ItemRow{2, "hiring-" + std::to_string(i), i, R"({"gender":"female"})",
                                "The candidate", R"(["was hired","was not hired"])", "[-2.0,-2.2]",
                                "was hired", "", i % 2 == 0 ? 1.0 : 0.0, 12, 9'000'000, -1, "{}"});
        }
    }

    RunWriter writer_;
    SampleShape shape_;
    std::mt19937 random_;
    std::map<std::tuple<int, std::string, int, int>, std::int64_t> counts_;
    std::int64_t now_ = 1'000'000, nextStep_ = 1, nextOperation_ = 1;
};

}  // namespace

void makeSampleRun(const std::filesystem::path& path, const SampleShape& shape) {
    Maker(path, shape).run();
}

}  // namespace moescope::gui::test
