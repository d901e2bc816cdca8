// SPDX-License-Identifier: Apache-2.0
#include "cli/shape_speed.h"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>

#include "cli/output.h"
#include "engine/core/count_text.h"
#include "engine/core/cpu_features.h"
#include "engine/core/error.h"
#include "engine/formats/dtypes.h"
#include "engine/model/memory_plan.h"
#include "profiler/analysis/roofline.h"
#include "reports/numbers.h"

namespace moescope::cli {
namespace {

constexpr int kMostTokens = 1 << 24, kMostRounds = 1000;

/// One model, ready to be timed again and again.
class Runner {
public:
    Runner(const Model& model, const SpeedSetting& setting, const StopFlag* stop)
        : model_(model),
          session_(model, std::max(setting.prompt, setting.depth + setting.tokens)),
          bench_(model, session_, nullptr, nullptr, stop) {
        session_.setStop(stop);
        speed_.prefill = bench_.prefill(setting.prompt, 0);
        speed_.decode = bench_.decode(setting.depth, setting.tokens, 0);
    }

    void round() {
        bench_.again(speed_.prefill);
        bench_.again(speed_.decode);
    }

    /// Of the first `rounds` rounds.
    ShapeSpeed speed(int rounds) const {
        ShapeSpeed speed = speed_;
        speed.prefill.seconds.resize(static_cast<std::size_t>(rounds));
        speed.decode.seconds.resize(static_cast<std::size_t>(rounds));
        speed.cached = model_.backend().deviceMemory().total == 0 &&
                       cacheResident(model_.checkpoint().fileBytes(), lastLevelCacheBytes());
        speed.memoryBytes = memory();
        return speed;
    }

private:
    double memory() const {
        const Backend& backend = model_.backend();
        const int context = session_.maxContext();
        if (backend.name() == "cpu")
            return double(planMemory(model_.bound(), context, backend.threads()).total());
        std::uint64_t bytes = 0;
        for (const TensorView& t : model_.checkpoint().tensors()) bytes += storedBytes(t);
        const CacheShape shape{context, std::min(context, backend.preferredBatch())};
        return double(bytes + backend.cacheBytes(shape) + backend.deviceCacheBytes(shape));
    }

    const Model& model_;
    Session session_;
    SpeedBench bench_;
    ShapeSpeed speed_;
};

/// Ratios of rates, round by round.
void setRatiosToFirst(std::vector<ShapeSpeed>& shapes) {
    for (ShapeSpeed& shape : shapes) {
        const ShapeSpeed& first = shapes.front();
        shape.prefillRatio = stats::pairedRatio(first.prefill.seconds, shape.prefill.seconds);
        shape.decodeRatio = stats::pairedRatio(first.decode.seconds, shape.decode.seconds);
    }
}

int numberOf(const Options& options, const char* name, const char* shown, int least, int most) {
    const int value = options.get<int>(name);
    if (value < least || value > most)
        throw UsageError(std::string(shown) + " takes " + std::to_string(least) + " to " +
                         std::to_string(most));
    return value;
}

nlohmann::json rowJson(const SpeedRow& row, const stats::Estimate& ratio) {
    return {{"tokens", row.tokens},         {"depth", row.depth},
            {"seconds", row.seconds},       {"tokens_per_second", ShapeSpeed::rate(row)},
            {"ratio", estimateJson(ratio)}, {"bytes", row.bytes},
            {"flops", row.flops},           {"read_bandwidth", row.bandwidth}};
}

}  // namespace

void addSpeedOptions(Options& options) {
    options.add("prompt,p", po::value<int>()->default_value(128)->value_name("N"),
                "with --measure: prefill length");
    options.add("tokens,n", po::value<int>()->default_value(64)->value_name("N"),
                "with --measure: tokens to decode");
    options.add("depth,d", po::value<int>()->default_value(16)->value_name("N"),
                "with --measure: tokens before those decoded");
    options.add("rounds,r", po::value<int>()->default_value(10)->value_name("N"),
                "with --measure: rounds, each of which runs every model once");
}

SpeedSetting speedSetting(const Options& options, const ShapeList& list) {
    const SpeedSetting setting{numberOf(options, "prompt", "-p", 1, kMostTokens),
                               numberOf(options, "tokens", "-n", 1, kMostTokens),
                               numberOf(options, "depth", "-d", 0, kMostTokens),
                               numberOf(options, "rounds", "--rounds", 1, kMostRounds)};
    const int longest = std::max(setting.prompt, setting.depth + setting.tokens);
    for (const ListedShape& shape : list.shapes) {
        if (longest > shape.spec.contextLength)
            throw UsageError(std::to_string(longest) + " tokens are more than the " +
                             std::to_string(shape.spec.contextLength) + " that '" + shape.name +
                             "' was made for");
    }
    return setting;
}

double ShapeSpeed::bandwidthShare() const {
    if (cached || decode.bandwidth <= 0) return std::numeric_limits<double>::quiet_NaN();
    return double(decode.bytes) / decode.median() / decode.bandwidth;
}

MeasuredSpeeds measureSpeeds(const std::vector<std::shared_ptr<const Model>>& models,
                             const SpeedSetting& setting, const StopFlag* stop,
                             const std::function<void(int done, int total)>& progress) {
    std::vector<std::unique_ptr<Runner>> runners;
    for (const auto& model : models)
        runners.push_back(std::make_unique<Runner>(*model, setting, stop));
    MeasuredSpeeds out;
    try {
        while (out.rounds < setting.rounds) {
            for (std::size_t i = 0; i < runners.size(); ++i)
                runners[out.rounds % 2 == 0 ? i : runners.size() - 1 - i]->round();
            progress(++out.rounds, setting.rounds);
        }
    } catch (const Interrupted&) {
        if (out.rounds == 0) throw;
        out.interrupted = true;  // what was measured is shown first
    }
    for (const auto& runner : runners) out.shapes.push_back(runner->speed(out.rounds));
    setRatiosToFirst(out.shapes);
    return out;
}

std::string estimateText(const stats::Estimate& estimate, int decimals) {
    std::string value = formatFixed(estimate.value, decimals);
    if (std::isnan(estimate.interval.low)) return value;
    return value + " [" + formatFixed(estimate.interval.low, decimals) + ", " +
           formatFixed(estimate.interval.high, decimals) + "]";
}

nlohmann::json estimateJson(const stats::Estimate& estimate) {
    return {{"value", estimate.value},
            {"low", estimate.interval.low},
            {"high", estimate.interval.high}};
}

void printSpeeds(const MeasuredSpeeds& speeds, const SpeedSetting& setting, const ShapeList& list) {
    TextTable table({"shape", "prefill tok/s", "ratio [95 %]", "decode tok/s", "ratio [95 %]",
                     "GB/s", "share", "memory"});
    for (std::size_t i = 0; i < speeds.shapes.size(); ++i) {
        const ShapeSpeed& s = speeds.shapes[i];
        const auto ratio = [&](const stats::Estimate& of) {
            return i == 0 ? std::string("1") : estimateText(of, 3);
        };
        table.row({list.shapes[i].name, formatFixed(ShapeSpeed::rate(s.prefill), 1),
                   ratio(s.prefillRatio), formatFixed(ShapeSpeed::rate(s.decode), 1),
                   ratio(s.decodeRatio),
                   formatFixed(double(s.decode.bytes) / s.decode.median() / 1e9, 2),
                   s.cached ? "in cache" : formatPercent(s.bandwidthShare()),
                   formatBytes(s.memoryBytes)});
    }
    std::cout << '\n'
              << table.text() << "prefill of " << groupedCount(setting.prompt, "token")
              << ", decode of " << groupedDigits(setting.tokens) << " behind "
              << groupedDigits(setting.depth) << "; medians of "
              << countText(speeds.rounds, "round")
              << " that run every shape once, every other one backwards.\n"
                 "ratio: of rates to the first shape, median of the rounds with its interval by "
                 "order statistics (from six rounds on,\ntaken as independent).\nGB/s, share: of "
                 "decode, beside the best "
                 "read bandwidth "
                 "measured in between; memory: planned.\n";
}

nlohmann::json speedsJson(const MeasuredSpeeds& speeds, const SpeedSetting& setting,
                          const ShapeList& list) {
    nlohmann::json shapes = nlohmann::json::array();
    for (std::size_t i = 0; i < speeds.shapes.size(); ++i) {
        const ShapeSpeed& s = speeds.shapes[i];
        shapes.push_back({{"name", list.shapes[i].name},
                          {"prefill", rowJson(s.prefill, s.prefillRatio)},
                          {"decode", rowJson(s.decode, s.decodeRatio)},
                          {"bandwidth_share", s.bandwidthShare()},
                          {"planned_memory_bytes", s.memoryBytes}});
    }
    return {{"rounds", speeds.rounds},
            {"rounds_asked", setting.rounds},
            {"interrupted", speeds.interrupted},
            {"shapes", std::move(shapes)}};
}

}  // namespace moescope::cli
