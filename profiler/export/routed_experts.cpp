// SPDX-License-Identifier: Apache-2.0
// Each token's experts as 'import routed-experts' reads them: what vLLM returns, a text a line.
#include <algorithm>
#include <limits>
#include <string>

#include "engine/core/base64.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/analysis/run_summary.h"
#include "profiler/export/export_file.h"
#include "profiler/export/exporters.h"
#include "profiler/import/expert_ids.h"
#include "profiler/import/id_lines.h"
#include "profiler/import/routed_facts.h"

namespace moescope {
namespace {

using nlohmann::json;

constexpr std::int64_t kMaxIds = std::int64_t{1} << 28U;                         ///< of one text
constexpr std::int64_t kMaxPosition = std::numeric_limits<std::int32_t>::max();  ///< as it is read

struct PlacedIds {
    std::int64_t firstPosition = 0;
    ExpertIds ids;
};

/// From the first position that has experts to the last; -1 where a layer has none.
PlacedIds placed(const std::vector<RoutingTokensRow>& rows, std::int64_t layers, std::int64_t topK,
                 const std::string& origin) {
    PlacedIds out{rows.front().firstPosition, {0, layers, topK, {}}};
    for (const RoutingTokensRow& row : rows) {
        const std::int64_t from = row.firstPosition - out.firstPosition;
        if (row.topK != topK || row.layer < 0 || row.layer >= layers ||
            row.firstPosition > kMaxPosition || from > kMaxIds / (layers * topK) - row.tokens)
            throw Error(origin + ": the experts of sequence " + std::to_string(row.sequence) +
                        " are of other layers or top-k, or lie too far apart, to be one array");
        out.ids.tokens = std::max(out.ids.tokens, from + row.tokens);
    }
    out.ids.ids.assign(static_cast<std::size_t>(out.ids.tokens * layers * topK), -1);
    for (const RoutingTokensRow& row : rows)
        for (std::int64_t t = 0; t < row.tokens; ++t) {
            const std::int64_t token = row.firstPosition - out.firstPosition + t;
            std::copy_n(row.experts.begin() + t * topK, topK,
                        out.ids.ids.begin() + (token * layers + row.layer) * topK);
        }
    return out;
}

/// Ids where the run has them, else texts; null where it has neither.
json tokensOf(const std::vector<TokenRow>& rows) {
    if (rows.empty() || rows.back().position + 1 != static_cast<std::int64_t>(rows.size()))
        return {};
    const bool ids =
        std::all_of(rows.begin(), rows.end(), [](const TokenRow& row) { return row.token >= 0; });
    json out = json::array();
    for (const TokenRow& row : rows) {
        if (ids)
            out.push_back(row.token);
        else
            out.push_back(row.text);
    }
    return out;
}

}  // namespace

void writeRoutedExperts(const RunReader& run, const std::filesystem::path& path) {
    const RunSummary summary = summarize(run);
    const std::string origin = run.path().string();
    std::int64_t layers = 0;
    for (const LayerRouting& layer : summary.routing)
        layers = std::max(layers, std::int64_t{layer.layer} + 1);
    const json stated = run.metaJson("routing");
    if (stated.is_object() && stated.value("layers", json()).is_number_integer())
        layers = std::max(layers, std::min(stated["layers"].get<std::int64_t>(), kMaxImportLayers));
    const json model = run.metaJson("model");
    const bool promptsKnown = std::none_of(
        summary.quality.begin(), summary.quality.end(),
        [](const QualityRow& row) { return row.name == kPromptLengthsUnknown && row.value > 0; });
    // A run without counts, or of rows without experts, has neither.
    const bool shaped = layers > 0 && summary.topK > 0;
    ExportFile out(path);
    std::int64_t lines = 0;
    for (const SequenceRow& sequence : summary.sequences) {
        const std::vector<RoutingTokensRow> rows = run.routingTokens(sequence.id);
        if (rows.empty() || !shaped) continue;
        const PlacedIds text = placed(rows, layers, summary.topK, origin);
        json line{{"id", sequence.label},
                  {"experts", summary.experts},
                  {"first_position", text.firstPosition},
                  {"routed_experts", encodeBase64(npyOf(text.ids))}};
        if (!sequence.group.empty()) line["group"] = sequence.group;
        const json name = model.is_object() ? model.value("name", json()) : json();
        if (name.is_string() && name != kUnnamedModel) line["model"] = name;
        if (promptsKnown) {
            line["prompt_tokens"] = sequence.promptTokens;
            line["completion_tokens"] = sequence.generatedTokens;
        }
        if (json tokens = tokensOf(run.tokens(sequence.id)); !tokens.is_null())
            line["tokens"] = std::move(tokens);
        const std::string written = dumpJson(line) + "\n";
        if (written.size() > kMaxLineBytes)
            throw Error(origin + ": the line of sequence " + std::to_string(sequence.id) +
                        " would have " + std::to_string(written.size() >> 20U) +
                        " MB, more than 'moescope import' reads");
        out.put(written);
        ++lines;
    }
    if (lines == 0)
        throw Error(origin + ": does not hold the experts of each token",
                    "'moescope profile --routing-tokens' records them");
    out.close();
}

}  // namespace moescope
