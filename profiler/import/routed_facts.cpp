// SPDX-License-Identifier: Apache-2.0
#include "profiler/import/routed_facts.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "engine/core/count_text.h"
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

std::vector<std::string> groupsOf(const Paths& files) {
    if (files.size() < 2) return std::vector<std::string>(files.size());
    /// The last `parts` parts of the path; 0: the name without its extension.
    const auto endOf = [](const std::filesystem::path& file, std::size_t parts) {
        if (parts == 0) return file.stem();
        std::filesystem::path end;
        auto part = file.end();
        for (; parts > 0 && part != file.begin(); --parts)
            end = end.empty() ? *--part : *--part / end;
        return end;
    };
    std::size_t longest = 0;
    for (const std::filesystem::path& file : files)
        longest = std::max(longest, std::size_t(std::distance(file.begin(), file.end())));
    std::vector<std::string> groups;
    for (std::size_t parts = 0; parts <= longest; ++parts) {
        groups.clear();
        for (const std::filesystem::path& file : files)
            groups.push_back(endOf(file, parts).string());
        if (std::set<std::string>(groups.begin(), groups.end()).size() == files.size()) break;
    }
    return groups;
}

void addRoutedFacts(RunWriter& writer, const ImportRequest& request, const RoutedFacts& facts) {
    const ModelFacts& known = request.facts;
    const auto agree = [&](const std::string& here, const std::string& said, bool ofConfig,
                           const char* option) {
        if (here == said) return;
        throw Error(request.files.front().string() + ": is of " + here + ", but " +
                        (ofConfig ? request.config.string() : option) + " of " + said,
                    ofConfig ? "is it the config.json of another model?" : "");
    };
    if (known.experts > 0)
        agree(countText(facts.experts, "expert"), countText(known.experts, "expert"),
              known.expertsOfConfig, "--experts");
    if (known.topK > 0)
        agree("top-" + std::to_string(facts.topK), "top-" + std::to_string(known.topK),
              known.topKOfConfig, "--top-k");
    if (facts.topK > facts.experts)
        throw Error(request.files.front().string() + ": a token cannot have top-" +
                    std::to_string(facts.topK) + " of " + countText(facts.experts, "expert"));
    const std::string& given = known.model;
    const std::string model = given.empty() ? facts.model : given;
    json described{{"name", model.empty() ? kUnnamedModel : model},
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

}  // namespace moescope
