// SPDX-License-Identifier: Apache-2.0
// Options that every command which runs a model shares, and the facts it writes about the model.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "cli/options.h"
#include "engine/run/session.h"
#include "profiler/record/routing_recorder.h"

namespace moescope::cli {

/// --backend, --numerics, --threads, --cpu-target, --ggml-yarn.
void addModelOptions(Options& options);
ModelOptions modelOptions(const Options& options);
/// "exact", "fast"; UsageError otherwise.
Numerics parseNumerics(const std::string& name);

/// Loads with a line on stderr saying what was loaded, how long it took, and "SYNTHETIC" if it is.
/// Commands read their input in `check` (Model::load): a mistake in it costs no loading then.
std::unique_ptr<Model> loadModel(const std::string& name, const Options& options,
                                 const Model::Check& check = {});
std::unique_ptr<Model> loadModel(const std::string& name, const ModelOptions& options,
                                 const Model::Check& check = {});
std::unique_ptr<Model> loadModel(std::unique_ptr<Checkpoint> checkpoint,
                                 const ModelOptions& options, const Model::Check& check = {});

/// {"name", "path", "architecture", "identity", "synthetic", "parameters": {...}, shape...}: the
/// "model" object of run files and JSON outputs.
nlohmann::json modelFacts(const Model& model);
nlohmann::json modelFacts(const Checkpoint& checkpoint, const ModelSpec& spec,
                          const ModelWeights& weights);
/// {"backend", "numerics", "threads", ...}: part of "settings".
nlohmann::json backendFacts(const Model& model, const Options& options);

/// What to record of the routing, counts alone; absent for models without experts.
std::optional<RoutingOptions> routingOptions(const ModelSpec& spec);

/// --context N, bounded by what the model was trained for; by default as much of `wanted` as that
/// allows, at least `needed`. Tokens that are evaluated: the last of a sequence, which is predicted
/// or chosen, takes no place. UsageError when the option is wrong whatever is needed; Error, which
/// a line's number is put before, when `needed` tokens do not fit.
int contextFor(const Model& model, const Options& options, std::int64_t needed,
               std::int64_t wanted = 0);
/// The same for a prompt of so many tokens and up to -n generated ones: the prompt must fit, and
/// the generation ends where the context is full (FinishReason::ContextFull).
int contextToGenerate(const Model& model, const Options& options, std::size_t prompt);
/// A note where -n is given and more than `context` leaves behind the longest `prompt`.
void noteFullContext(const Options& options, int context, std::size_t prompt);

/// What of the back end decides the bits of a result: "cpu avx2, exact". Threads do not.
std::string numericIdentity(const Model& model, const Options& options);

std::string hashText(std::uint64_t hash);  ///< 16 hex digits

}  // namespace moescope::cli
