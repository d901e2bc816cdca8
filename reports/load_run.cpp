// SPDX-License-Identifier: Apache-2.0
// From a run file to a ReportRun.
#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <unordered_map>

#include "engine/core/error.h"
#include "engine/core/sha256.h"
#include "reports/report_model.h"

namespace moescope {
namespace {

/// Streamed: a run file of a long profile need not fit in memory twice.
std::string fileSha256(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw Error(path.string() + ": cannot be read");
    Sha256 hash;
    std::vector<char> buffer(1 << 20);
    while (in) {
        in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
        hash.update({buffer.data(), static_cast<std::size_t>(in.gcount())});
    }
    return hash.hex();
}

/// Tokens of the sequence; sources without token texts still have positions in their routing.
std::vector<TokenRow> sampleTokens(const RunReader& run, std::int64_t sequence,
                                   const std::vector<RoutingTokensRow>& routing) {
    std::vector<TokenRow> tokens = run.tokens(sequence);
    if (!tokens.empty()) return tokens;
    std::set<std::int64_t> positions;
    for (const RoutingTokensRow& row : routing) {
        for (std::int32_t t = 0; t < row.tokens; ++t) positions.insert(row.firstPosition + t);
    }
    for (const std::int64_t position : positions) {
        TokenRow token;
        token.sequence = sequence;
        token.position = position;
        token.token = -1;
        tokens.push_back(std::move(token));
    }
    return tokens;
}

/// Keeps kSampleTokens from the first token that has routing, with a few before it as context.
void cut(RoutingSample& sample, const std::vector<RoutingTokensRow>& routing) {
    constexpr std::ptrdiff_t kContext = 24;
    std::int64_t firstRouted = routing.front().firstPosition;
    for (const RoutingTokensRow& row : routing)
        firstRouted = std::min(firstRouted, row.firstPosition);
    std::vector<TokenRow>& tokens = sample.tokens;
    sample.availableTokens = static_cast<std::int64_t>(tokens.size());
    if (tokens.size() <= kSampleTokens) return;
    const auto routed = std::find_if(tokens.begin(), tokens.end(), [&](const TokenRow& token) {
        return token.position >= firstRouted;
    });
    const std::ptrdiff_t before = routed == tokens.end() ? 0 : routed - tokens.begin();
    sample.skippedTokens = std::max<std::ptrdiff_t>(0, before - kContext);
    tokens.erase(tokens.begin(), tokens.begin() + sample.skippedTokens);
    if (tokens.size() > kSampleTokens) tokens.resize(kSampleTokens);
}

void place(RoutingSample& sample, const RoutingTokensRow& row,
           const std::unordered_map<std::int64_t, std::size_t>& tokenAt) {
    const auto layer = static_cast<std::size_t>(
        std::lower_bound(sample.layers.begin(), sample.layers.end(), row.layer) -
        sample.layers.begin());
    const auto rowTopK = static_cast<std::size_t>(row.topK);
    for (std::int32_t t = 0; t < row.tokens; ++t) {
        const auto token = tokenAt.find(row.firstPosition + t);
        if (token == tokenAt.end()) continue;
        for (std::size_t k = 0; k < rowTopK; ++k) {
            const std::size_t from = static_cast<std::size_t>(t) * rowTopK + k;
            const std::size_t to = sample.index(layer, token->second, k);
            if (from >= row.experts.size()) return;
            sample.experts[to] = row.experts[from];
            if (from < row.weights.size()) sample.weights[to] = row.weights[from];
        }
    }
}

}  // namespace

std::optional<RoutingSample> routingSample(const RunReader& run) {
    for (const SequenceRow& sequence : run.sequences()) {
        const std::vector<RoutingTokensRow> routing = run.routingTokens(sequence.id);
        if (routing.empty()) continue;
        RoutingSample sample;
        sample.sequence = sequence;
        sample.tokens = sampleTokens(run, sequence.id, routing);
        cut(sample, routing);
        std::set<int> layers;
        bool weighted = false;
        for (const RoutingTokensRow& row : routing) {
            layers.insert(row.layer);
            sample.topK = std::max(sample.topK, static_cast<int>(row.topK));
            weighted = weighted || !row.weights.empty();
        }
        sample.layers.assign(layers.begin(), layers.end());
        const std::size_t size = sample.index(sample.layers.size(), 0, 0);
        sample.experts.assign(size, -1);
        if (weighted) sample.weights.assign(size, 0.0F);
        std::unordered_map<std::int64_t, std::size_t> tokenAt;
        for (std::size_t t = 0; t < sample.tokens.size(); ++t)
            tokenAt[sample.tokens[t].position] = t;
        for (const RoutingTokensRow& row : routing) place(sample, row, tokenAt);
        return sample;
    }
    return std::nullopt;
}

ReportRun loadReportRun(const std::filesystem::path& path) {
    const RunReader reader(path);
    ReportRun run;
    run.source = path.string();
    AnalysedRun analysed = analyse(reader);
    run.summary = std::move(analysed.summary);
    run.analysis = std::move(analysed.analysis);
    run.sample = routingSample(reader);
    if (!run.summary.routing.empty()) {
        run.specialization = specialization(reader);
        const std::vector<ItemGrouping> groupings = itemGroupings(reader);
        SpecializationOptions options;
        options.work /= double(std::max<std::size_t>(1, groupings.size()));  // of all together
        run.itemGroups = compareItemGroups(reader, groupings, options);
        const RoutingTrace trace = routingTrace(reader, run.summary.experts);
        run.parallel = parallelForecast(reader, trace);
        run.cache = expertCache(trace);
        run.expertBytes = expertBytes(reader, run.analysis.expertLoad.launches, run.cache);
    }
    for (const SuiteRow& suite : run.summary.suites) run.items[suite.id] = reader.items(suite.id);
    run.sha256 = fileSha256(path);
    return run;
}

}  // namespace moescope
