// SPDX-License-Identifier: Apache-2.0
// Loading: name, checkpoint, specification, tokenizer, the caller's check, memory check, back end -
// in this order, so that every refusal comes before the expensive part.
#include <chrono>

#include "engine/core/error.h"
#include "engine/formats/dtypes.h"
#include "engine/model/memory_plan.h"
#include "engine/run/model_names.h"
#include "engine/run/session.h"

namespace moescope {
namespace {

using Clock = std::chrono::steady_clock;

std::uint64_t nanoseconds(Clock::duration time) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(time).count());
}

struct BackendEntry {
    std::string_view name;
    std::unique_ptr<Backend> (*make)(const BoundModel& model, const Checkpoint& checkpoint,
                                     const ModelOptions& options);
    bool copiesWeights;  ///< repacks all weights into host memory of its own
};

constexpr BackendEntry kBackends[] = {
    {"cpu",
     [](const BoundModel& model, const Checkpoint& checkpoint, const ModelOptions& options) {
         return makeCpuBackend(model, checkpoint, options.cpu, options.stop);
     },
     true},
    {"cuda",
     [](const BoundModel& model, const Checkpoint& checkpoint, const ModelOptions& options) {
         return makeCudaBackend(model, checkpoint, options.cuda, options.stop);
     },
     false},
    {"reference",
     [](const BoundModel& model, const Checkpoint&, const ModelOptions& options) {
         return makeReferenceBackend(model, options.stop);
     },
     false},
};

const BackendEntry& backendEntry(const std::string& name) {
    std::string known;
    for (const BackendEntry& entry : kBackends) {
        if (entry.name == name) return entry;
        known += (known.empty() ? "" : ", ") + std::string(entry.name);
    }
    throw UsageError("back end '" + name + "' does not exist", "back ends: " + known);
}

}  // namespace

std::unique_ptr<Model> Model::load(const std::string& name, const ModelOptions& options,
                                   const Check& check) {
    const auto start = Clock::now();
    backendEntry(options.backend);  // refused before anything is opened
    auto checkpoint = openModel(name, options.stop);
    const auto opening = Clock::now() - start;
    auto model = load(std::move(checkpoint), options, check);
    model->loadNs_ += nanoseconds(opening);
    return model;
}

std::unique_ptr<Model> Model::load(std::unique_ptr<Checkpoint> checkpoint,
                                   const ModelOptions& options, const Check& check) {
    const auto start = Clock::now();
    const BackendEntry& entry = backendEntry(options.backend);
    std::unique_ptr<Model> model(new Model());
    model->checkpoint_ = std::move(checkpoint);
    model->bound_ = bindModel(*model->checkpoint_, options.architecture);
    model->tokenizer_ = tokenizerFromCheckpoint(*model->checkpoint_);
    const auto beforeCheck = Clock::now();
    if (check) check(*model);
    const auto checked = Clock::now();
    if (entry.copiesWeights) {
        // The file's pages are released as they are repacked, so one copy is what it takes. How
        // long the cache will be is the session's to say; it refuses what does not fit then.
        refuseIfTooLarge(planMemory(model->bound_, Session::kDefaultBatch, options.cpu.threads),
                         model->checkpoint_->path().string());
    }
    try {
        model->backend_ = entry.make(model->bound_, *model->checkpoint_, options);
    } catch (const WeightError& e) {
        throw Error(model->checkpoint_->path().string() + ": " + e.what(), e.hint());
    }
    const auto loading = (beforeCheck - start) + (Clock::now() - checked);
    model->loadNs_ = nanoseconds(loading);
    return model;
}

Model::~Model() = default;

const Tokenizer& Model::tokenizer() const {
    if (tokenizer_ == nullptr) {
        throw Error(checkpoint_->path().string() + ": the checkpoint carries no tokenizer",
                    "put tokenizer.json beside the weights");
    }
    return *tokenizer_;
}

}  // namespace moescope
