// SPDX-License-Identifier: Apache-2.0
// TensorRT-LLM's expert statistic (EXPERT_STATISTIC_ITER_RANGE=100-200, EXPERT_STATISTIC_PATH): a
// folder with meta_info.json, {"num_experts", "num_experts_per_token"}, and one rank<N>.safetensors
// a rank with a tensor "<iteration>_<layer>" of n_expert int64 counts, which are of that rank's
// tokens: all ranks' are added. rank<N>_raw.safetensors hold the same as ids and are left aside.
// Source: NVIDIA/TensorRT-LLM tensorrt_llm/_torch/expert_statistic.py at 0fccc5b9,
// examples/wide_ep/ep_load_balancer/utils.py at 7ce477f3.
#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/formats/safetensors.h"
#include "profiler/import/counted_run.h"

namespace moescope {
namespace {

using nlohmann::json;

struct LayerCounts {
    std::int64_t layer = 0;
    const TensorView* counts = nullptr;
};

/// The files of one folder.
class Statistic {
public:
    explicit Statistic(const std::filesystem::path& folder) : folder_(folder) {
        if (!std::filesystem::is_directory(folder))
            throw Error(folder.string() + ": is no folder",
                        "give the folder of EXPERT_STATISTIC_PATH, with meta_info.json in it");
        readMeta();
        for (const auto& entry : std::filesystem::directory_iterator(folder)) {
            const std::string name = entry.path().filename().string();
            if (name.starts_with("rank") && name.ends_with(".safetensors") &&
                !name.ends_with("_raw.safetensors"))
                paths_.push_back(entry.path());
        }
        if (paths_.empty()) throw Error(folder.string() + ": holds no rank<N>.safetensors");
        std::sort(paths_.begin(), paths_.end());
        ranks_.reserve(paths_.size());  // tensors are pointed to
        for (const std::filesystem::path& path : paths_) readRank(path);
    }

    RoutedFacts facts() const {
        RoutedFacts facts;
        facts.layers = static_cast<int>(layers_);
        facts.experts = static_cast<int>(experts_);
        facts.topK = static_cast<int>(topK_);
        return facts;
    }
    std::int64_t iterations() const { return static_cast<std::int64_t>(iterations_.size()); }
    const Paths& paths() const { return paths_; }

    void addTo(CountedRun& run, const StopFlag* stop) const {
        std::vector<std::int64_t> counts(static_cast<std::size_t>(layers_ * experts_));
        for (const auto& [iteration, parts] : iterations_) {
            throwIfStopped(stop);
            std::fill(counts.begin(), counts.end(), 0);
            for (const LayerCounts& part : parts) addPart(part, counts);
            run.add(counts, "iteration " + std::to_string(iteration), folder_.string());
        }
    }

private:
    void readMeta() {
        const std::filesystem::path path = folder_ / "meta_info.json";
        const json meta = parseJson(readFile(path, 1U << 20U), path.string());
        const auto number = [&](const char* key, std::int64_t most) {
            const bool there = meta.is_object() && meta.contains(key);
            if (!there || !meta[key].is_number_integer() || meta[key].get<std::int64_t>() < 1 ||
                meta[key].get<std::int64_t>() > most)
                throw Error(path.string() + ": \"" + key + "\" is no number from 1 to " +
                            std::to_string(most));
            return meta[key].get<std::int64_t>();
        };
        experts_ = number("num_experts", kMaxImportExperts);
        topK_ = number("num_experts_per_token", kMaxImportTopK);
    }

    void readRank(const std::filesystem::path& path) {
        ranks_.emplace_back(path);
        for (const TensorView& tensor : ranks_.back().tensors()) {
            const auto fail = [&](const std::string& cause) {
                throw Error(path.string() + ": tensor '" + tensor.name + "' " + cause);
            };
            std::int64_t iteration = -1, layer = -1;
            const char* end = tensor.name.data() + tensor.name.size();
            auto read = std::from_chars(tensor.name.data(), end, iteration);
            if (read.ec == std::errc() && read.ptr != end && *read.ptr == '_')
                read = std::from_chars(read.ptr + 1, end, layer);
            // "01_0" would be counted beside "1_0".
            if (read.ec != std::errc() || iteration < 0 || layer < 0 ||
                tensor.name != std::to_string(iteration) + "_" + std::to_string(layer))
                fail("is not named <iteration>_<layer>");
            if (layer >= kMaxImportLayers ||
                static_cast<std::size_t>((layer + 1) * experts_) > kMaxImportCells)
                fail("is of more layers than analyses take");
            if (tensor.type != DType::I64 || tensor.rank != 1 || tensor.shape[0] != experts_)
                fail("is not " + std::to_string(experts_) + " counts as I64");
            layers_ = std::max(layers_, layer + 1);
            iterations_[iteration].push_back({layer, &tensor});
        }
    }

    void addPart(const LayerCounts& part, std::vector<std::int64_t>& counts) const {
        std::int64_t* to = counts.data() + part.layer * experts_;
        for (std::int64_t expert = 0; expert < experts_; ++expert) {
            std::int64_t count = 0;
            std::memcpy(&count, part.counts->data + expert * std::int64_t{sizeof count},
                        sizeof count);
            constexpr std::int64_t kMost = std::int64_t{1} << 50U;
            if (count < 0 || count > kMost - to[expert])  // with those of other ranks
                throw Error(folder_.string() + ": tensor '" + part.counts->name +
                            "' holds a count of " + std::to_string(count));
            to[expert] += count;
        }
    }

    std::filesystem::path folder_;
    Paths paths_;
    std::vector<SafetensorsFile> ranks_;
    std::int64_t experts_ = 0, topK_ = 0, layers_ = 0;
    std::map<std::int64_t, std::vector<LayerCounts>> iterations_;
};

}  // namespace

void importTrtllm(const ImportRequest& request, RunWriter& writer) {
    if (request.files.size() != 1)
        throw UsageError("'import trtllm' takes one folder: that of EXPERT_STATISTIC_PATH");
    const Statistic statistic(request.files.front());
    if (statistic.iterations() == 0)
        throw Error(request.files.front().string() + ": holds counts of no iteration");
    CountedRun run(writer, request, statistic.facts());
    run.begin({}, statistic.iterations());
    for (const std::filesystem::path& path : statistic.paths()) run.addSource(path);
    statistic.addTo(run, request.stop);
    run.finish();
}

}  // namespace moescope
