// SPDX-License-Identifier: Apache-2.0
#include "gui/models/cache_models.h"

#include <algorithm>
#include <cmath>

#include "gui/data/format.h"
#include "reports/cache_text.h"
#include "reports/numbers.h"

namespace moescope::gui {
namespace {

constexpr std::size_t kShownStep = 3;  ///< of kStepTokens: 8 tokens

template <class Row, class Get>
TableColumn<Row> share(const QString& title, const QString& tip, Get get) {
    return {title, tip, [get](const Row& r) -> QVariant { return formatFixed(get(r), 3); },
            [get](const Row& r) -> QVariant { return get(r); }};
}

}  // namespace

std::vector<CacheSizeRow> cacheSizes(const ExpertCache& of, const CacheLayer& layer,
                                     const ExpertBytes& bytes) {
    std::vector<CacheSizeRow> rows;
    for (const int size : curveSizes(of)) {
        const std::size_t at = of.index(size);
        CacheSizeRow row{size, of.uniformHits(size), {}, layer.low[at], layer.high[at], 0, 0};
        for (std::size_t p = 0; p < kCachePolicies; ++p)
            row.hits[p] = layer.of(cachePolicies()[p].policy)[at];
        row.fastBytes = cacheBytes(bytes, size);
        row.loadBytes = loadedBytes(of, bytes, CachePolicy::Lru, size);
        rows.push_back(row);
    }
    return rows;
}

CacheSizeModel::CacheSizeModel(QObject* parent) : RowModel(parent) {
    using Row = CacheSizeRow;
    std::vector<TableColumn<Row>> columns{
        {tr("Experts"), tr("Of each layer in fast memory"),
         [](const Row& r) -> QVariant { return formatCount(r.size); },
         [](const Row& r) -> QVariant { return r.size; }}};
    for (std::size_t p = 0; p < kCachePolicies; ++p) {
        const CachePolicyName& name = cachePolicies()[p];
        columns.push_back(share<Row>(heading(name.title), heading(name.note),
                                     [p](const Row& r) { return r.hits[p]; }));
        if (name.policy != CachePolicy::Lru) continue;
        columns.push_back(share<Row>(tr("95 % low"), tr("Of LRU, over texts"),
                                     [](const Row& r) { return r.low; }));
        columns.push_back(share<Row>(tr("95 % high"), tr("Of LRU, over texts"),
                                     [](const Row& r) { return r.high; }));
    }
    columns.push_back(share<Row>(tr("Uniform"),
                                 tr("What a uniform router shows under LRU, LFU and a static set; "
                                    "the optimum would find more"),
                                 [](const Row& r) { return r.uniform; }));
    firstBytes_ = static_cast<int>(columns.size());
    const auto bytes = [](const QString& title, const QString& tip, double Row::*of) {
        return TableColumn<Row>{title,
                                tip,
                                [of](const Row& r) -> QVariant { return formatBytes(r.*of); },
                                [of](const Row& r) -> QVariant { return r.*of; },
                                true,
                                {},
                                QStringLiteral("bytes")};
    };
    columns.push_back(bytes(tr("Fast memory"), tr("All layers"), &Row::fastBytes));
    columns.push_back(bytes(tr("Loaded per token"), tr("By LRU, all layers"), &Row::loadBytes));
    for (const Link& link : usualLinks())
        columns.push_back(
            {text(link.name),
             text(kOffloadModelNote),
             [link](const Row& r) -> QVariant { return formatDuration(loadNs(r.loadBytes, link)); },
             [link](const Row& r) -> QVariant { return loadNs(r.loadBytes, link); },
             true,
             {},
             QStringLiteral("ns")});
    setColumns(std::move(columns));
}

std::vector<CacheLayerRow> cacheLayers(const ExpertCache& of) {
    std::vector<CacheLayerRow> rows;
    const std::size_t at = of.empty() ? 0 : of.index(spokenSize(of));
    for (const CacheLayer& layer : of.layers)
        rows.push_back({layer.layer, layer.reuse, layer.distinct[kShownStep],
                        layer.of(CachePolicy::Lru)[at], layer.of(CachePolicy::Optimum)[at]});
    return rows;
}

CacheLayerModel::CacheLayerModel(QObject* parent) : RowModel(parent) {
    using Row = CacheLayerRow;
    setColumns({
        {tr("Layer"),
         {},
         [](const Row& r) -> QVariant { return r.layer; },
         [](const Row& r) -> QVariant { return r.layer; }},
        share<Row>(tr("Reuse"), tr("Share of a token's experts that the token before had chosen"),
                   [](const Row& r) { return r.reuse; }),
        {tr("8 tokens"), tr("Different experts that a step of 8 tokens of as many texts reads"),
         [](const Row& r) -> QVariant { return formatFixed(r.distinct, 1); },
         [](const Row& r) -> QVariant { return r.distinct; }},
        share<Row>(tr("LRU"), tr("Hits with a quarter of the experts in fast memory"),
                   [](const Row& r) { return r.lru; }),
        share<Row>(tr("Optimum"), tr("The same by the best that is possible"),
                   [](const Row& r) { return r.optimum; }),
    });
}

CurveLayout CurveLayout::of(const CurveSet& set, QRect area) {
    if (set.x.empty()) return {area};
    return {area, set.x.front(), std::max(set.x.back(), set.x.front() + 1), set.low, set.high};
}

QPointF CurveLayout::at(double x, double value) const noexcept {
    return {area.left() + (x - lowX) / (highX - lowX) * area.width(),
            area.top() + (high - value) / (high - low) * area.height()};
}

std::optional<std::size_t> CurveLayout::nearest(const CurveSet& set, QPointF to) const noexcept {
    if (set.x.empty() || !area.contains(to.toPoint())) return std::nullopt;
    std::size_t found = 0;
    for (std::size_t i = 1; i < set.x.size(); ++i)
        if (std::abs(at(set.x[i], low).x() - to.x()) < std::abs(at(set.x[found], low).x() - to.x()))
            found = i;
    return found;
}

}  // namespace moescope::gui
