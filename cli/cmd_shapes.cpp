// SPDX-License-Identifier: Apache-2.0
// moescope shapes: wide or deep, few large or many small experts, at a fixed number of parameters.
#include <algorithm>
#include <iostream>
#include <optional>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "cli/shape_list.h"
#include "cli/shape_quality.h"
#include "cli/shape_speed.h"
#include "engine/core/count_text.h"
#include "engine/core/error.h"
#include "engine/run/memory.h"
#include "profiler/record/machine.h"
#include "reports/numbers.h"
#include "reports/visible_text.h"

namespace moescope::cli {
namespace {

void addOptions(Options& options) {
    addShapeOptions(options);
    options.add("write", po::value<std::string>()->value_name("DIR"),
                "a configuration of each shape, for synth and synth:FILE");
    options.flag("overwrite", "with --write: replace existing files");
    options.flag("measure", "run the shapes and compare their speeds");
    addSpeedOptions(options);
    options.add("text", po::value<std::string>()->value_name("F.jsonl"),
                "of trained models: bits per byte and balance on these texts, one {\"id\", "
                "\"text\", optional \"group\"} a line");
    options.flag("json", "print one JSON document");
    options.add("progress", po::value<std::string>()->default_value("auto")->value_name("STYLE"),
                "auto, json, off");
    addModelOptions(options);
    options.epilog(
        "A family (--layers, --experts) is measured with random weights, all of its models in "
        "memory at once.\nHow shapes are found and what the figures mean: docs/shapes.md");
}

void checkOptions(const Options& options) {
    const bool family = options.has("layers") || options.has("experts");
    if (!options.has("write"))
        options.refuse({"overwrite"}, "has no meaning without --write");
    else if (!family)
        throw UsageError("--write writes a family: give --layers or --experts");
    if (options.has("text") && options.get<std::string>("text").empty())
        throw UsageError("--text takes the name of a file");
    if (options.has("text") && family)
        throw UsageError("--text goes with trained models, and a family has random weights",
                         "name models instead: moescope shapes demo demo-wide --text F.jsonl");
    if (!options.isSet("measure")) {
        options.refuse({"prompt", "tokens", "depth", "rounds"}, "goes with --measure");
        if (!options.has("text"))
            options.refuse({"backend", "numerics", "threads", "cpu-target", "device",
                            "experts-on-host", "ggml-yarn"},
                           "goes with --measure or --text");
    }
}

/// What running the models showed, as far as it came.
struct Measured {
    std::optional<MeasuredSpeeds> speeds;
    std::optional<MeasuredQuality> quality;
    nlohmann::json settings = nullptr;
    bool interrupted = false;
};

/// All are held at once: what cannot fit is refused before the first is drawn. (A device's memory
/// is known when its back end is there, which says what is missing.)
void requireRoom(const ShapeList& list, const std::string& backend) {
    if (backend != "cpu") return;
    double bytes = 0;
    for (const ListedShape& shape : list.shapes) bytes += double(shape.figures.weightBytes);
    const std::uint64_t available = availableMemory();
    if (bytes <= double(available)) return;
    throw Error("the weights of " + countText(list.shapes.size(), "shape") + " at once need " +
                    formatBytes(bytes) + ", " + formatBytes(double(available)) + " are available",
                "Measure fewer of them at a time, or a base with fewer layers.");
}

/// Loads what is asked for: for speeds every shape and holds it, for texts alone one trained shape
/// after the other.
class Loader {
public:
    Loader(const Options& options, const ShapeList& list)
        : options_(options), list_(list), modelled_(modelOptions(options)) {}

    /// Texts are read before any weights, so that a mistake in them costs no loading.
    TextModel load(std::size_t shape) {
        TextModel out;
        const ListedShape& listed = list_.shapes[shape];
        const std::string path = options_.get<std::string>("text", "");
        out.model = loadModel(listed.open(options_.stop()), modelled_, [&](const Model& opened) {
            if (!path.empty() && !listed.random()) out.texts = readTexts(opened, path);
        });
        if (settings_.is_null()) settings_ = backendFacts(*out.model, options_);
        return out;
    }

    std::vector<TextModel> loadAll() {
        requireRoom(list_, modelled_.backend);
        std::vector<TextModel> out;
        for (std::size_t i = 0; i < list_.shapes.size(); ++i) out.push_back(load(i));
        return out;
    }

    /// Of the first that was loaded; null before.
    const nlohmann::json& settings() const { return settings_; }

private:
    const Options& options_;
    const ShapeList& list_;
    ModelOptions modelled_;
    nlohmann::json settings_ = nullptr;
};

Measured measure(const Options& options, const ShapeList& list,
                 const std::optional<SpeedSetting>& setting) {
    const ProgressStyle style = parseProgressStyle(options.get<std::string>("progress"));
    Loader loader(options, list);
    Measured out;
    std::vector<TextModel> held;
    if (setting) {
        held = loader.loadAll();
        std::vector<std::shared_ptr<const Model>> models;
        for (const TextModel& each : held) models.push_back(each.model);
        Progress progress(style, "shapes", "rounds");
        out.speeds = measureSpeeds(models, *setting, options.stop(), [&](int done, int total) {
            progress.update(static_cast<std::uint64_t>(done), static_cast<std::uint64_t>(total));
        });
        out.settings = loader.settings();
        out.interrupted = out.speeds->interrupted;
    }
    if (!options.has("text") || out.interrupted) return out;
    Progress progress(style, "shapes", "texts");
    try {
        out.quality = measureQuality(
            list, [&](std::size_t i) { return held.empty() ? loader.load(i) : held[i]; },
            options.get<std::string>("text"), options.stop(),
            [&](std::size_t done, std::size_t total) { progress.update(done, total); });
        out.settings = loader.settings();
        out.interrupted = out.quality->interrupted;
    } catch (const Interrupted&) {
        if (!out.speeds) throw;
        out.interrupted = true;  // the speeds are shown first
    }
    return out;
}

nlohmann::json bodyOf(const ShapeList& list) {
    nlohmann::json body = settingJson(list);
    body["shapes"] = nlohmann::json::array();
    for (const ListedShape& shape : list.shapes) body["shapes"].push_back(shapeJson(shape, list));
    body["impossible"] = list.impossible;
    return body;
}

void addMeasured(nlohmann::json& body, const Measured& measured,
                 const std::optional<SpeedSetting>& setting, const ShapeList& list) {
    body["settings"] = measured.settings;
    body["machine"] = machineFacts();
    body["interrupted"] = measured.interrupted;
    if (measured.speeds) body["speeds"] = speedsJson(*measured.speeds, *setting, list);
    if (measured.quality) body["quality"] = qualityJson(*measured.quality, list);
}

}  // namespace

int runShapes(const Invocation& invocation) {
    Options options("shapes");
    addOptions(options);
    if (!options.parse(invocation)) return kDone;
    checkOptions(options);
    const ShapeList list = readShapes(options);
    std::optional<SpeedSetting> setting;
    if (options.isSet("measure")) setting = speedSetting(options, list);

    nlohmann::json body = bodyOf(list);
    std::vector<std::string> files;
    if (options.has("write"))
        files = writeShapes(list, options.get<std::string>("write"), options.isSet("overwrite"));
    body["files"] = files;
    const bool json = options.isSet("json");
    if (!json) {
        printShapes(list);
        for (const std::string& file : files) std::cout << "wrote " << visibleLine(file) << '\n';
        std::cout.flush();
    }
    Measured measured;
    if (setting || options.has("text")) {
        measured = measure(options, list, setting);
        addMeasured(body, measured, setting, list);
        if (!json && measured.speeds) printSpeeds(*measured.speeds, *setting, list);
        if (!json && measured.quality) printQuality(*measured.quality, list);
    }
    if (json) printJson("shapes", body);
    if (measured.interrupted)
        throw Interrupted("interrupted",
                          "what was measured is above: " +
                              (measured.speeds ? countText(measured.speeds->rounds, "whole round")
                                               : std::string("the models that were done")));
    return kDone;
}

}  // namespace moescope::cli
