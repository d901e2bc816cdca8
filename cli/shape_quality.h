// SPDX-License-Identifier: Apache-2.0
// What trained models of different shapes make of the same texts: bits per byte, and the balance of
// their routing beside chance, from one pass.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/score_items.h"
#include "cli/shape_list.h"
#include "engine/run/session.h"
#include "evals/stats/paired.h"
#include "profiler/analysis/depth_bands.h"

namespace moescope::cli {

inline constexpr int kDepthBands = 4;

struct ShapeQuality {
    bool trained = false;             ///< else nothing below is known
    std::vector<double> bits, bytes;  ///< (texts): of the scored tokens and of what they spell
    std::size_t scoredTokens = 0;
    std::size_t routedTokens = 0;    ///< that were evaluated
    std::vector<DepthBand> balance;  ///< kDepthBands, and all layers; empty without experts
    stats::Estimate bitsPerByte;
    stats::Estimate difference;  ///< from the first model's, by text; NaN where that is not trained
};

struct MeasuredQuality {
    std::vector<ShapeQuality> shapes;  ///< of each model
    std::size_t texts = 0;
    bool interrupted = false;  ///< models behind the interruption are left as not trained
};

/// The lines of a file ({"id", "text", optional "group"}) as `score` reads them, for
/// measureQuality. Throws Error naming file and line for what cannot be scored.
std::vector<ScoreItem> readTexts(const Model& model, const std::filesystem::path& path);

/// A trained model and the lines that it scores.
struct TextModel {
    std::shared_ptr<const Model> model;
    std::vector<ScoreItem> texts;
};

/// The trained shapes score the texts of one file, one after the other: `load` is asked for each
/// when its turn comes, what it gave goes before the next, and random weights are never loaded.
/// Throws Error as `score` does; Interrupted when stopped before the first model is done.
MeasuredQuality measureQuality(
    const ShapeList& list, const std::function<TextModel(std::size_t shape)>& load,
    const std::filesystem::path& path, const StopFlag* stop,
    const std::function<void(std::size_t done, std::size_t total)>& progress);

void printQuality(const MeasuredQuality& quality, const ShapeList& list);
nlohmann::json qualityJson(const MeasuredQuality& quality, const ShapeList& list);

}  // namespace moescope::cli
