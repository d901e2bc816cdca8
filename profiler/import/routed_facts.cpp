// SPDX-License-Identifier: Apache-2.0
#include "profiler/import/routed_facts.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/core/mapped_file.h"
#include "engine/core/sha256.h"

namespace moescope {

using nlohmann::json;

json sourceOf(const std::filesystem::path& path, const StopFlag* stop) {
    const MappedFile file(path);
    constexpr std::uint64_t kStretch = 16ULL << 20U;
    Sha256 hash;
    for (std::uint64_t at = 0; at < file.size(); at += kStretch) {
        throwIfStopped(stop);
        const std::uint64_t bytes = std::min(kStretch, file.size() - at);
        hash.update(
            {reinterpret_cast<const char*>(file.data() + at), static_cast<std::size_t>(bytes)});
        file.release(at, bytes);
    }
    return {{"file", path.filename().string()}, {"bytes", file.size()}, {"sha256", hash.hex()}};
}

void addRoutedFacts(RunWriter& writer, const ImportRequest& request, const RoutedFacts& facts) {
    const ModelFacts& known = request.facts;
    if ((known.experts > 0 && known.experts != facts.experts) ||
        (known.topK > 0 && known.topK != facts.topK))
        throw Error(request.files.front().string() + ": is of " + std::to_string(facts.experts) +
                        " experts and top-" + std::to_string(facts.topK) + ", but " +
                        (request.config.empty() ? "the options" : request.config.string()) +
                        " of others",
                    "is it the config.json of another model?");
    const std::string& given = known.model;
    const std::string model = given.empty() ? facts.model : given;
    json described{{"name", model.empty() ? "not named" : model},
                   {"layers", facts.layers},
                   {"experts", facts.experts},
                   {"top_k", facts.topK}};
    // A placement's and a cache's costs are told from these.
    if (known.width > 0) described["d_model"] = known.width;
    if (known.ffn > 0) described["ffn"] = known.ffn;
    if (known.expertBytes > 0) described["expert_bytes"] = known.expertBytes;
    writer.setMeta("model", described);
    writer.setMeta(
        "routing",
        json{{"experts", facts.experts}, {"top_k", facts.topK}, {"layers", facts.layers}});
    constexpr const char* kFrom[] = {"option", "file", "greatest id"};
    writer.setMeta("settings", json{{"importer", request.kind},
                                    {"experts_from", kFrom[static_cast<std::size_t>(facts.from)]}});
    writer.setMeta("sources", facts.sources);
    writer.setMeta("synthetic", "false");
    writer.add(
        QualityRow{kTimings, 0, "steps", false, "Imported routing: nothing was timed here."});
    if (facts.from == ExpertsFrom::GreatestId)
        writer.add(QualityRow{
            "experts_guessed", double(facts.experts), "experts", false,
            "The greatest id and one: experts behind it that no token chose are missing, and with "
            "them dead experts and part of the imbalance. 'import --experts E' says how many."});
}

void addRoutingSum(RunWriter& writer, std::int64_t counted, std::int64_t expected) {
    writer.add(QualityRow{
        "routing_sum", double(counted - expected), "assignments", counted == expected,
        "Routing counts add up to " + std::to_string(counted) +
            "; routed tokens x top-k x layers with experts is " + std::to_string(expected) + "."});
}

}  // namespace moescope
