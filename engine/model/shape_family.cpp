// SPDX-License-Identifier: Apache-2.0
#include "engine/model/shape_family.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>

#include "engine/core/error.h"
#include "engine/model/synth_checkpoint.h"

namespace moescope {
namespace {

constexpr std::int32_t kGrid = 32;  // weights of an MXFP4 or Q8_0 block
constexpr std::int32_t kMostWidth = 1 << 17;
constexpr std::int32_t kMostHeads = 4096;
constexpr std::int32_t kNeighbours = 3;  ///< widths looked at on either side of the crossing

ParameterCount countOutline(SynthConfig config, std::int32_t layers) {
    config.layers = layers;
    const SynthOutline outline(config);
    const BoundModel bound = bindModel(outline);
    return countParameters(bound.spec, bound.weights);
}

std::uint64_t keptOf(const ParameterCount& count, ShapeKeep keep) {
    return keep == ShapeKeep::Total ? count.total : count.active;
}

double deviationOf(std::uint64_t count, std::uint64_t wanted) {
    return static_cast<double>(count) / static_cast<double>(wanted) - 1;
}

/// The multiple of `step` nearest to `wanted`, at least one of them and not above `most`.
std::int32_t onGrid(double wanted, std::int32_t step, std::int32_t most) {
    const double steps = std::clamp(std::round(wanted / step), 1.0, double(most / step));
    return static_cast<std::int32_t>(steps) * step;
}

/// The base with another number of layers and another width, all else in proportion.
SynthConfig scaled(const SynthConfig& base, std::int32_t layers, std::int32_t width) {
    const double ratio = double(width) / base.dModel;
    const std::int32_t group = base.heads / base.kvHeads;
    const std::int32_t step = kGrid / std::gcd(kGrid, group * base.headDim);
    SynthConfig config = base;
    config.layers = layers;
    config.dModel = width;
    config.kvHeads = onGrid(base.kvHeads * ratio, step, kMostHeads / group);
    config.heads = config.kvHeads * group;
    config.ffn = onGrid(base.ffn * ratio, kGrid, kMostWidth);
    return config;
}

SynthConfig withLayers(const SynthConfig& base, std::int32_t layers, ShapeKeep keep,
                       std::uint64_t wanted) {
    const auto kept = [&](const SynthConfig& config) {
        return keptOf(countParameters(config), keep);
    };
    const auto tooNarrow = [&](std::int32_t at) {
        return kept(scaled(base, layers, at * kGrid)) < wanted;
    };
    // Counting maps the largest tensor, so widths far beyond the one that is sought are not tried.
    constexpr std::int32_t kMost = kMostWidth / kGrid;
    std::int32_t low = 1, high = std::min((base.dModel + kGrid - 1) / kGrid, kMost);
    while (high < kMost && tooNarrow(high)) {
        low = high + 1;
        high = std::min(2 * high, kMost);
    }
    while (low < high) {  // to the least width that has enough
        const std::int32_t middle = (low + high) / 2;
        if (tooNarrow(middle))
            low = middle + 1;
        else
            high = middle;
    }
    SynthConfig best;
    std::tuple<double, double> least{std::numeric_limits<double>::infinity(), 0.0};
    const std::int32_t last = std::min(low + kNeighbours, kMost);
    for (std::int32_t at = std::max(low - kNeighbours, 1); at <= last; ++at) {
        SynthConfig config = scaled(base, layers, at * kGrid);
        const double inProportion = double(base.ffn) * config.dModel / base.dModel;
        for (const double side :
             {std::floor(inProportion / kGrid), std::ceil(inProportion / kGrid)}) {
            config.ffn = onGrid(side * kGrid, kGrid, kMostWidth);
            const std::tuple distance{std::abs(deviationOf(kept(config), wanted)),
                                      std::abs(std::log(config.ffn / inProportion))};
            if (distance >= least) continue;
            least = distance;
            best = config;
        }
    }
    return best;
}

/// The base with its experts cut finer or coarser. Returns why that cannot be, or nothing.
std::string splitExperts(SynthConfig& config, std::int32_t experts) {
    const std::int64_t chosen = std::int64_t{config.topK} * experts;
    const std::string what = std::to_string(experts) + " experts of " +
                             std::to_string(config.experts) + " with " +
                             std::to_string(config.topK) + " a token: ";
    if (chosen % config.experts != 0) {
        return what + "a token would choose " + std::to_string(chosen) + "/" +
               std::to_string(config.experts) + " of them, no whole number";
    }
    const double width = double(config.ffn) * config.experts / experts;
    if (width < kGrid / 2.0 || width > kMostWidth) {
        return what + "one would be " + std::to_string(std::llround(width)) + " wide, outside " +
               std::to_string(kGrid) + " to " + std::to_string(kMostWidth);
    }
    config.topK = static_cast<std::int32_t>(chosen / config.experts);
    config.ffn = onGrid(width, kGrid, kMostWidth);
    config.experts = experts;
    return {};
}

class Family {
public:
    Family(const SynthConfig& base, ShapeKeep keep)
        : base_(base), keep_(keep), count_(countParameters(base)) {}

    FamilyShape shape(std::int32_t layers, std::int32_t experts) const {
        FamilyShape shape;
        shape.config = base_;
        if (experts != base_.experts) shape.problem = splitExperts(shape.config, experts);
        if (shape.possible() && layers != base_.layers)
            shape.config = withLayers(shape.config, layers, keep_, keptOf(count_, keep_));
        shape.config.layers = layers;
        shape.config.experts = experts;
        if (layers != base_.layers) shape.config.name += "-l" + std::to_string(layers);
        if (experts != base_.experts) shape.config.name += "-e" + std::to_string(experts);
        if (!shape.possible()) return shape;
        shape.count = countParameters(shape.config);
        shape.totalDeviation = deviationOf(shape.count.total, count_.total);
        shape.activeDeviation = deviationOf(shape.count.active, count_.active);
        return shape;
    }

private:
    const SynthConfig& base_;
    ShapeKeep keep_;
    ParameterCount count_;
};

/// The base's own where nothing is asked.
std::vector<std::int32_t> valuesOf(std::vector<std::int32_t> asked, std::int32_t own) {
    if (asked.empty()) asked.push_back(own);
    return asked;
}

}  // namespace

ParameterCount countParameters(const SynthConfig& config) {
    const ParameterCount one = countOutline(config, 1), two = countOutline(config, 2);
    const auto more = static_cast<std::uint64_t>(config.layers - 1);
    const auto all = [&](std::uint64_t ParameterCount::*part) {
        return one.*part + more * (two.*part - one.*part);
    };
    return {all(&ParameterCount::total), all(&ParameterCount::active),
            all(&ParameterCount::attention), all(&ParameterCount::mlp),
            all(&ParameterCount::embedding)};
}

std::vector<FamilyShape> shapeFamily(const SynthConfig& base, const ShapeFamilyOptions& options) {
    requireSynthShape(base, base.name);
    const Family family(base, options.keep);
    std::vector<FamilyShape> shapes{family.shape(base.layers, base.experts)};
    for (const std::int32_t experts : valuesOf(options.experts, base.experts)) {
        for (const std::int32_t layers : valuesOf(options.layers, base.layers)) {
            const bool there = std::any_of(shapes.begin(), shapes.end(), [&](const auto& shape) {
                return shape.config.layers == layers && shape.config.experts == experts;
            });
            if (!there) shapes.push_back(family.shape(layers, experts));
        }
    }
    return shapes;
}

SynthConfig synthConfigOf(const BoundModel& model, const std::string& name) {
    const ModelSpec& spec = model.spec;
    const auto cannot = [&](const std::string& why) {
        throw Error(name + ": " + why,
                    "Without --layers and --experts its own shape is shown; a family can be made "
                    "of gpt-oss and Qwen3-MoE shapes.");
    };
    SynthConfig config;
    config.name = name;
    config.architecture = spec.architecture == "qwen3-moe" ? "qwen3moe" : spec.architecture;
    if (config.architecture != "gpt-oss" && config.architecture != "qwen3moe")
        cannot("no family can be made of architecture '" + spec.architecture + "'");
    if (spec.expertLayers() != spec.nLayer) cannot("not all of its layers have experts");
    if (spec.tiedHead) cannot("its head is its embedding");
    config.layers = spec.nLayer;
    config.dModel = spec.dModel;
    config.heads = spec.nHead;
    config.kvHeads = spec.nKvHead;
    config.headDim = spec.headDim;
    config.experts = spec.nExpert;
    config.topK = spec.topK;
    config.ffn = spec.layers.front().ffn;
    config.vocab = spec.vocab;
    config.context = spec.contextLength;
    for (const LayerSpec& layer : spec.layers)
        config.window = std::max(config.window, layer.window);
    const RopeSpec& rope = spec.layers.front().rope;
    config.originalContext = rope.originalContext;
    config.yarnFactor = rope.yarn ? rope.factor : 1.0;
    config.ropeTheta = rope.theta;
    config.normEps = static_cast<double>(spec.normEps);
    config.dense = model.weights.head.type == DType::BF16 ? DType::BF16 : DType::Q8_0;
    requireSynthShape(config, name);
    return config;
}

}  // namespace moescope
