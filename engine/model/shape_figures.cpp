// SPDX-License-Identifier: Apache-2.0
#include "engine/model/shape_figures.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/backend/work.h"
#include "engine/formats/dtypes.h"
#include "engine/model/memory_plan.h"
#include "engine/run/session.h"

namespace moescope {
namespace {

void add(DecodeStep& step, const OpWork& work) {
    step.bytes += static_cast<double>(work.bytes);
    step.flops += static_cast<double>(work.flops);
}

/// Work grows by the same bytes with each further expert that is read.
void addExperts(DecodeStep& step, const ModelSpec& spec, const LayerWeights& layer,
                const StepShape& shape) {
    std::vector<std::int32_t> all(static_cast<std::size_t>(spec.nExpert));
    std::iota(all.begin(), all.end(), 0);
    const OpWork one = expertsWork(spec, layer, shape, std::span(all).first(1));
    add(step, one);
    if (spec.nExpert < 2) return;
    const OpWork every = expertsWork(spec, layer, shape, all);
    const double more = static_cast<double>(every.bytes - one.bytes) / (spec.nExpert - 1);
    step.bytes += (step.distinctExperts - 1) * more;
}

DecodeStep decodeStep(const BoundModel& model, const ShapeSetting& setting, int sequences) {
    const ModelSpec& spec = model.spec;
    const std::vector<StepRun> runs(static_cast<std::size_t>(sequences),
                                    StepRun{nullptr, setting.context - 1, 1});
    const StepShape shape{sequences, runs, setting.kvElementBytes};
    DecodeStep step;
    step.sequences = sequences;
    if (spec.expertLayers() > 0)
        step.distinctExperts = distinctExperts(spec.nExpert, spec.topK, sequences);
    add(step, embedWork(spec, model.weights, shape));
    for (std::size_t i = 0; i < spec.layers.size(); ++i) {
        const LayerWeights& layer = model.weights.layers[i];
        add(step, attentionInputWork(spec, layer, shape));
        add(step, attentionWork(spec, spec.layers[i], shape));
        add(step, attentionOutputWork(layer, shape));
        if (spec.layers[i].mlp != MlpKind::Experts) {
            add(step, mlpWork(layer, shape));
            continue;
        }
        add(step, routeWork(layer, shape));
        addExperts(step, spec, layer, shape);
    }
    add(step, headWork(model.weights, sequences));
    return step;
}

}  // namespace

double distinctExperts(int experts, int topK, int sequences) noexcept {
    const double missed = std::pow(1 - double(topK) / experts, double(sequences));
    return experts * (1 - missed);
}

int operationsPerToken(const ModelSpec& spec) noexcept {
    constexpr int kDenseLayer = 4;  // attention's input, attention, its output, feed-forward
    constexpr int kEnds = 3;        // embedding, head, choice
    return kEnds + kDenseLayer * spec.nLayer + spec.expertLayers();  // whose router comes first
}

ShapeFigures shapeFigures(const Checkpoint& checkpoint, const BoundModel& model,
                          const ShapeSetting& setting) {
    const ModelSpec& spec = model.spec;
    ShapeFigures figures;
    figures.parameters = countParameters(spec, model.weights);
    for (const TensorView& t : checkpoint.tensors()) figures.weightBytes += storedBytes(t);
    const auto kept = [&](int context) {
        return keyValueBytes(spec, context, std::min(Session::kDefaultBatch, context),
                             setting.kvElementBytes);
    };
    figures.kvBytes = kept(setting.context);
    constexpr int kBeyondWindows = 1 << 26;  // longer than any window that a file may state
    figures.tokenKvBytes = kept(kBeyondWindows + 1) - kept(kBeyondWindows);
    figures.dependentOperations = operationsPerToken(spec);
    for (const int sequences : setting.sequences)
        figures.steps.push_back(decodeStep(model, setting, sequences));
    return figures;
}

}  // namespace moescope
