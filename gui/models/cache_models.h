// SPDX-License-Identifier: Apache-2.0
// A cache of experts: hits by size and by layer as tables, and the pixels of the curves.
#pragma once

#include <QCoreApplication>
#include <QPointF>
#include <QRect>
#include <array>
#include <optional>

#include "gui/models/row_model.h"
#include "profiler/simulation/offload_cost.h"
#include "reports/cache_curves.h"

namespace moescope::gui {

struct CacheSizeRow {
    int size = 0;
    double uniform = 0;  ///< also its share of all experts
    std::array<double, kCachePolicies> hits{};
    double low = 0, high = 0;             ///< of LRU; NaN: no interval
    double fastBytes = 0, loadBytes = 0;  ///< of LRU, all layers; NaN: not known
};
/// A row a size: hits of `layer`, bytes of all layers together.
std::vector<CacheSizeRow> cacheSizes(const ExpertCache& of, const CacheLayer& layer,
                                     const ExpertBytes& bytes);

class CacheSizeModel : public RowModel<CacheSizeRow> {
    Q_DECLARE_TR_FUNCTIONS(CacheSizeModel)
public:
    explicit CacheSizeModel(QObject* parent = nullptr);
    int firstBytesColumn() const noexcept { return firstBytes_; }  ///< from it on: bytes and times

private:
    int firstBytes_ = 0;
};

struct CacheLayerRow {
    int layer = 0;
    double reuse = 0, distinct = 0;  ///< distinct experts of a step of 8 tokens
    double lru = 0, optimum = 0;     ///< hits, of spokenSize
};
std::vector<CacheLayerRow> cacheLayers(const ExpertCache& of);

class CacheLayerModel : public RowModel<CacheLayerRow> {
    Q_DECLARE_TR_FUNCTIONS(CacheLayerModel)
public:
    explicit CacheLayerModel(QObject* parent = nullptr);
};

/// Pixels of curves.
struct CurveLayout {
    QRect area;
    double lowX = 0, highX = 1;
    double low = 0, high = 1;  ///< of the vertical axis

    static CurveLayout of(const CurveSet& set, QRect area);
    QPointF at(double x, double value) const noexcept;
    /// Index of the value of x that is nearest to `to`; none outside the area.
    std::optional<std::size_t> nearest(const CurveSet& set, QPointF to) const noexcept;
};

}  // namespace moescope::gui
