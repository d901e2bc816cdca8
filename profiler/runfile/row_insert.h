// SPDX-License-Identifier: Apache-2.0
// The prepared statements that put rows into a run file. Private to profiler/runfile; used by the
// writer thread only.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "profiler/runfile/run_writer.h"
#include "profiler/runfile/sqlite.h"

namespace moescope {

class RowInserter {
public:
    /// Prepares every statement and loads the names and shapes that the file already holds.
    explicit RowInserter(sqlite::Database& db);

    void insert(const AnyRow& row);
    void setMeta(std::string_view key, std::string_view value);
    /// Forgets names and shapes interned in a transaction that was rolled back.
    void reloadNames();

private:
    void put(const SequenceRow& row);
    void put(const TokenRow& row);
    void put(const StepRow& row);
    void put(const OperationRow& row);
    void put(const RoutingCountRow& row);
    void put(const RoutingTokensRow& row);
    void put(const QualityRow& row);
    void put(const MemoryRow& row);
    void put(const SuiteRow& row);
    void put(const ItemRow& row);
    void put(const MetricRow& row);
    void put(const DeviceEventRow& row);
    void put(const OperationTimeRow& row);
    void put(const CounterRow& row);
    void put(const SampleRow& row);
    std::int64_t shapeId(const LaunchShapeRow& shape);
    std::int64_t nameId(const std::string& text);

    sqlite::Database& db_;
    sqlite::Statement meta_, name_, sequence_, token_, step_, operation_, routingCount_,
        routingTokens_, quality_, memory_, suite_, item_, metric_, shape_, device_, operationTime_,
        operationMore_, counter_, sample_;
    std::map<LaunchShapeRow, std::int64_t> shapes_;
    std::unordered_map<std::string, std::int64_t> names_;
};

/// Throws Error naming `path` when a row breaks its own contract (blob sizes, negative counts).
void checkRow(const AnyRow& row, const std::string& path);

}  // namespace moescope
