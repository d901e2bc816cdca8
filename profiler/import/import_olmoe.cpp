// SPDX-License-Identifier: Apache-2.0
// What OLMoE's analysis script saves of a model in Hugging Face transformers: JSON lines with
// "input_ids" and "exp_ids", (n_token, top_k, n_layer) in descending order of the gate; texts of
// 2,048 tokens that were given. Source: allenai/OLMoE scripts/run_moe_analysis.py at 8eb1b3d1.
#include <limits>
#include <string>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/import/id_lines.h"
#include "profiler/import/routed_run.h"

namespace moescope {
namespace {

using nlohmann::json;

const LineKeys kKeys{{"exp_ids"}, {"input_ids"}};

/// The script's last two dimensions are the other way round, and NestedIds named them for ours.
ExpertIds layersFirst(const ExpertIds& from) {
    ExpertIds out{from.tokens, from.topK, from.layers, {}};
    out.ids.reserve(from.ids.size());
    for (std::int64_t token = 0; token < out.tokens; ++token)
        for (std::int64_t layer = 0; layer < out.layers; ++layer)
            for (std::int64_t k = 0; k < out.topK; ++k)
                out.ids.push_back(from.ids[static_cast<std::size_t>(
                    (token * out.topK + k) * out.layers + layer)]);
    return out;
}

RoutedSequence sequenceOf(const IdLine& line) {
    RoutedSequence out;
    out.origin = line.origin;
    out.label = "line " + std::to_string(line.number);
    const auto ids = line.object.find("exp_ids");
    if (ids == line.object.end() || !ids->is_array())
        throw Error(line.origin + ": has no \"exp_ids\"",
                    "experts as vLLM and SGLang return them are read by 'import routed-experts'");
    out.ids = layersFirst(line.arrays[(*ids)[0].get<std::size_t>()]);
    out.promptTokens = out.ids.tokens;
    const auto tokens = line.object.find("input_ids");
    if (tokens == line.object.end()) return out;
    for (const json& token : *tokens) {
        if (!token.is_number_integer() || token.get<std::int64_t>() < 0 ||
            token.get<std::int64_t>() > std::numeric_limits<std::int32_t>::max())
            throw Error(line.origin + ": \"input_ids\" holds " + dumpJson(token) + ", no token id");
        out.tokens.push_back(token.get<std::int32_t>());
    }
    if (std::int64_t(out.tokens.size()) != out.ids.tokens)
        throw Error(line.origin + ": has " + std::to_string(out.tokens.size()) +
                    " tokens and experts for " + std::to_string(out.ids.tokens));
    return out;
}

}  // namespace

void importOlmoe(const ImportRequest& request, RunWriter& writer) {
    RoutedRun run(writer, request);
    const std::vector<std::string> groups = groupsOf(request.files);
    for (std::size_t i = 0; i < groups.size(); ++i) {
        const std::filesystem::path& path = request.files[i];
        const MappedFile file(path);
        run.addSource(path);
        readIdLines(file, kKeys, request.stop, [&](IdLine& line) {
            RoutedSequence sequence = sequenceOf(line);
            sequence.group = groups[i];
            run.add(sequence);
        });
    }
    run.finish();
}

}  // namespace moescope
