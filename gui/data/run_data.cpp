// SPDX-License-Identifier: Apache-2.0
#include "gui/data/run_data.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <set>
#include <system_error>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/file.h"

namespace moescope::gui {
namespace {

/// The summary and the columns from one reading of the operations, which are nearly all of a file.
void loadOperations(const RunReader& reader, RunData& run,
                    const std::function<void(double)>& progress) {
    OperationCollector collector(run.steps);
    run.operationsInFile = reader.operationCount();
    std::int64_t seen = 0;
    run.summary = summarize(reader, [&](const OperationRow& row) {
        if (collector.columns().size() < kMaxOperations) collector.add(row);
        if (++seen % 65536 == 0 && progress && run.operationsInFile > 0)
            progress(0.1 +
                     0.7 * static_cast<double>(seen) / static_cast<double>(run.operationsInFile));
    });
    run.operations = collector.take();
}

std::vector<SampleCurve> loadSamples(const RunReader& reader) {
    SampleCurveCollector collector;
    reader.samples([&](const SampleRow& row) {
        collector.add(row);
        return true;
    });
    return collector.take();
}

/// After the reader is open: a file that takes its name later then has another stamp.
FileStamp stampOf(const RunReader& reader, bool finished) {
    struct stat file {};
    if (::stat(reader.path().c_str(), &file) != 0)
        throw Error(reader.path().string() + ": " + std::generic_category().message(errno));
    FileStamp stamp{file.st_dev, file.st_ino,
                    reader.meta("writer_pid") + ' ' + reader.meta("writer_stamp"), 0, 0};
    if (finished) {
        stamp.bytes = static_cast<std::uint64_t>(file.st_size);
        stamp.modifiedNs = file.st_mtim.tv_sec * 1'000'000'000LL + file.st_mtim.tv_nsec;
    }
    return stamp;
}

std::vector<RoutingCell> mergePhases(const std::vector<RoutingCountRow>& rows) {
    std::vector<RoutingCell> cells;
    cells.reserve(rows.size());
    for (const RoutingCountRow& row : rows)
        cells.push_back({row.sequence, row.layer, row.expert, row.count});
    const auto key = [](const RoutingCell& c) { return std::tie(c.sequence, c.layer, c.expert); };
    std::sort(cells.begin(), cells.end(),
              [&](const auto& a, const auto& b) { return key(a) < key(b); });
    std::vector<RoutingCell> merged;
    for (const RoutingCell& cell : cells) {
        if (!merged.empty() && key(merged.back()) == key(cell)) {
            merged.back().count += cell.count;
        } else {
            merged.push_back(cell);
        }
    }
    return merged;
}

}  // namespace

RunReader RunData::reopen(const StopFlag* stop) const {
    RunReader reader(path, stop);
    if (stampOf(reader, stamp.bytes > 0) != stamp)
        throw Error(path.string() + ": the file is no longer the one that was read",
                    "F5 reads it again.");
    return reader;
}

std::string RunData::meta(const std::string& key) const {
    const auto found = summary.meta.find(key);
    return found == summary.meta.end() ? std::string() : found->second;
}

const SequenceRow* RunData::sequence(std::int64_t id) const {
    const auto& rows = summary.sequences;
    const auto found = std::find_if(rows.begin(), rows.end(),
                                    [&](const SequenceRow& row) { return row.id == id; });
    return found == rows.end() ? nullptr : &*found;
}

std::string RunData::modelName() const {
    const nlohmann::json model = looseJson(meta("model"));
    if (model.is_object()) {
        for (const char* key : {"name", "architecture", "path"}) {
            if (model.contains(key) && model[key].is_string()) return model[key].get<std::string>();
        }
    }
    return model.is_discarded() ? meta("model") : std::string();
}

std::int64_t RunData::endNs() const {
    std::int64_t end = 0;
    for (const StepRow& step : steps) end = std::max(end, step.endNs);
    for (const std::int64_t ns : operations.endNs) end = std::max(end, ns);
    return end;
}

RunPtr loadRun(const std::filesystem::path& path, const StopFlag* stop,
               const std::function<void(double)>& progress) {
    const RunReader reader(path, stop);
    auto run = std::make_shared<RunData>();
    run->path = path;
    run->stamp = stampOf(reader, reader.status() != RunStatus::Running);
    const auto report = [&](double share) {
        throwIfStopped(stop);
        if (progress) progress(share);
    };
    report(0.02);
    run->steps = reader.steps();
    loadOperations(reader, *run, progress);
    report(0.8);
    run->deviceInFile = reader.deviceEventCount();
    run->device = loadDeviceWork(reader, run->steps, kMaxOperations);
    run->ceilings = ceilingsOf(run->summary.meta);
    run->samples = loadSamples(reader);
    report(0.9);
    run->routing = mergePhases(reader.routingCounts());
    run->tokenRouting = reader.hasRoutingTokens();
    for (const SuiteRow& suite : run->summary.suites) {
        SuiteData data{suite, {}, reader.items(suite.id)};
        for (const MetricRow& metric : run->summary.metrics) {
            if (metric.suite == suite.id) data.metrics.push_back(metric);
        }
        run->suites.push_back(std::move(data));
    }
    report(1);
    return run;
}

int SequenceData::layerIndex(int layer) const {
    const auto found = std::lower_bound(layers.begin(), layers.end(), layer);
    return found == layers.end() || *found != layer ? -1 : static_cast<int>(found - layers.begin());
}

SequencePtr makeSequence(SequenceRow sequence, std::vector<TokenRow> tokens,
                         const std::vector<RoutingTokensRow>& routing, const std::string& origin) {
    auto out = std::make_shared<SequenceData>();
    out->sequence = std::move(sequence);
    out->tokens = std::move(tokens);
    std::set<int> layers;
    for (const RoutingTokensRow& row : routing) {
        const auto expected = static_cast<std::size_t>(std::max(row.tokens, 0)) *
                              static_cast<std::size_t>(std::max(row.topK, 0));
        if (row.experts.size() != expected ||
            (!row.weights.empty() && row.weights.size() != expected)) {
            throw Error(origin + ": per-token routing of layer " + std::to_string(row.layer) +
                            " contradicts its own size",
                        "The file is damaged; record the run again.");
        }
        layers.insert(row.layer);
        out->topK = std::max(out->topK, row.topK);
    }
    out->layers.assign(layers.begin(), layers.end());
    constexpr std::size_t kMaxCells = 400'000'000;
    const std::size_t perLayer = out->tokens.size() * static_cast<std::size_t>(out->topK);
    if (perLayer > 0 && out->layers.size() > kMaxCells / perLayer) {
        throw Error(origin + ": per-token routing of sequence " + std::to_string(out->sequence.id) +
                    " is too large to show");
    }
    out->experts.assign(out->layers.size() * perLayer, -1);
    out->weights.assign(out->experts.size(), std::numeric_limits<float>::quiet_NaN());
    std::unordered_map<std::int64_t, std::size_t> tokenAt;
    for (std::size_t i = 0; i < out->tokens.size(); ++i)
        tokenAt.emplace(out->tokens[i].position, i);
    for (const RoutingTokensRow& row : routing) {
        const auto layer = static_cast<std::size_t>(out->layerIndex(row.layer));
        const auto k = static_cast<std::size_t>(row.topK);
        for (std::size_t t = 0; t < static_cast<std::size_t>(row.tokens); ++t) {
            const auto found = tokenAt.find(row.firstPosition + static_cast<std::int64_t>(t));
            if (found == tokenAt.end())
                continue;  // routing recorded, text not: nothing to show it on
            const std::size_t to = out->at(layer, found->second);
            std::copy_n(row.experts.begin() + static_cast<std::ptrdiff_t>(t * k), k,
                        out->experts.begin() + static_cast<std::ptrdiff_t>(to));
            if (row.weights.empty()) continue;
            std::copy_n(row.weights.begin() + static_cast<std::ptrdiff_t>(t * k), k,
                        out->weights.begin() + static_cast<std::ptrdiff_t>(to));
        }
    }
    return out;
}

SequencePtr loadSequence(const RunReader& reader, std::int64_t sequence) {
    const std::string path = reader.path().string();
    for (SequenceRow& row : reader.sequences()) {
        if (row.id == sequence) {
            return makeSequence(std::move(row), reader.tokens(sequence),
                                reader.routingTokens(sequence), path);
        }
    }
    throw Error(path + ": no sequence " + std::to_string(sequence),
                "Choose one that the run contains.");
}

}  // namespace moescope::gui
