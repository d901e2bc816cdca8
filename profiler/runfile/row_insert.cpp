// SPDX-License-Identifier: Apache-2.0
#include "profiler/runfile/row_insert.h"

#include <bit>

#include "engine/core/error.h"

namespace moescope {

// Blobs are little-endian arrays, written straight from memory.
static_assert(std::endian::native == std::endian::little);

RowInserter::RowInserter(sqlite::Database& db)
    : db_(db),
      meta_(db, "INSERT OR REPLACE INTO meta VALUES (?,?)"),
      name_(db, "INSERT INTO name VALUES (?,?)"),
      sequence_(db, "INSERT OR REPLACE INTO sequence VALUES (?,?,?,?,?)"),
      token_(db, "INSERT OR REPLACE INTO token VALUES (?,?,?,?,?,?)"),
      step_(db, "INSERT OR REPLACE INTO step VALUES (?,?,?,?,?,?,?)"),
      operation_(db, "INSERT OR REPLACE INTO operation_event VALUES (?,?,?,?,?,?,?,?,?,?)"),
      routingCount_(db, "INSERT OR REPLACE INTO routing_count VALUES (?,?,?,?,?)"),
      routingTokens_(db, "INSERT OR REPLACE INTO routing_tokens VALUES (?,?,?,?,?,?,?)"),
      quality_(db, "INSERT OR REPLACE INTO quality VALUES (?,?,?,?,?)"),
      memory_(db, "INSERT OR REPLACE INTO memory VALUES (?,?)"),
      suite_(db, "INSERT OR REPLACE INTO suite VALUES (?,?,?,?,?,?,?,?)"),
      item_(db, "INSERT OR REPLACE INTO item VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"),
      metric_(db, "INSERT OR REPLACE INTO metric VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"),
      shape_(db, "INSERT INTO launch_shape VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"),
      device_(db, "INSERT INTO device_event VALUES (NULL,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"),
      operationTime_(db, "UPDATE operation_event SET start_ns=?, end_ns=? WHERE id=?"),
      operationMore_(db,
                     "UPDATE operation_event SET start_ns=min(start_ns,?), end_ns=max(end_ns,?) "
                     "WHERE id=?"),
      counter_(db, "INSERT OR REPLACE INTO counter_value VALUES (?,?,?)"),
      sample_(db, "INSERT INTO sample_value VALUES (NULL,?,?,?,?)") {
    reloadNames();
}

void RowInserter::reloadNames() {
    names_.clear();
    sqlite::Statement statement(db_, "SELECT id, text FROM name");
    while (statement.step()) names_[statement.text(1)] = statement.integer(0);
    shapes_.clear();
    sqlite::Statement stored(db_, "SELECT * FROM launch_shape");
    while (stored.step()) {
        LaunchShapeRow shape;
        int column = 1;
        for (auto* triple : {&shape.grid, &shape.block, &shape.cluster})
            for (std::int32_t& value : *triple) value = stored.int32(column++);
        shape.registers = stored.int32(column++);
        shape.staticShared = stored.int32(column++);
        shape.dynamicShared = stored.int32(column);
        shapes_[shape] = stored.integer(0);
    }
}

void RowInserter::insert(const AnyRow& row) {
    std::visit([this](const auto& value) { put(value); }, row);
}

void RowInserter::setMeta(std::string_view key, std::string_view value) {
    meta_.bind(key).bind(value).run();
}

std::int64_t RowInserter::nameId(const std::string& text) {
    const auto [entry, added] = names_.try_emplace(text, std::int64_t(names_.size()) + 1);
    if (added) name_.bind(entry->second).bind(text).run();
    return entry->second;
}

void RowInserter::put(const SequenceRow& row) {
    sequence_.bind(row.id).bind(row.label).bind(row.group);
    sequence_.bind(row.promptTokens).bind(row.generatedTokens).run();
}

void RowInserter::put(const TokenRow& row) {
    token_.bind(row.sequence).bind(row.position).bind(std::int64_t{row.token});
    token_.bindBlob(row.text.data(), row.text.size());
    token_.bind(std::int64_t{row.prompt}).bind(row.logProbability).run();
}

void RowInserter::put(const StepRow& row) {
    step_.bind(row.id).bind(row.sequence).bind(row.kind).bind(row.firstPosition);
    step_.bind(row.tokens).bind(row.startNs).bind(row.endNs).run();
}

void RowInserter::put(const OperationRow& row) {
    const std::int64_t op = nameId(row.op);
    const std::int64_t kernel = nameId(row.kernel);
    operation_.bind(row.id).bind(row.step).bind(std::int64_t{row.layer}).bind(op).bind(kernel);
    operation_.bind(row.startNs).bind(row.endNs).bind(row.bytes).bind(row.flops);
    operation_.bind(std::int64_t{row.threads}).run();
}

void RowInserter::put(const RoutingCountRow& row) {
    routingCount_.bind(row.sequence).bind(row.phase).bind(std::int64_t{row.layer});
    routingCount_.bind(std::int64_t{row.expert}).bind(row.count).run();
}

void RowInserter::put(const RoutingTokensRow& row) {
    routingTokens_.bind(row.sequence).bind(std::int64_t{row.layer}).bind(row.firstPosition);
    routingTokens_.bind(std::int64_t{row.tokens}).bind(std::int64_t{row.topK});
    routingTokens_.bindBlob(row.experts.data(), row.experts.size() * sizeof(std::int16_t));
    routingTokens_.bindBlob(row.weights.data(), row.weights.size() * sizeof(float)).run();
}

void RowInserter::put(const QualityRow& row) {
    quality_.bind(row.name).bind(row.value).bind(row.unit);
    quality_.bind(std::int64_t{row.ok}).bind(row.note).run();
}

void RowInserter::put(const MemoryRow& row) {
    memory_.bind(row.name).bind(row.bytes).run();
}

void RowInserter::put(const SuiteRow& row) {
    suite_.bind(row.id).bind(row.name).bind(row.version).bind(row.title).bind(row.kind);
    suite_.bind(row.source).bind(row.items).bind(row.settings).run();
}

void RowInserter::put(const ItemRow& row) {
    item_.bind(row.suite).bind(row.id).bind(row.ordinal).bind(row.groups).bind(row.prompt);
    item_.bind(row.choices).bind(row.logLikelihoods).bind(row.answer).bind(row.target);
    item_.bind(row.score).bind(row.tokens).bind(row.durationNs).bind(row.sequence);
    item_.bind(row.detail).bind(row.repeat).run();
}

void RowInserter::put(const MetricRow& row) {
    metric_.bind(row.suite).bind(row.name).bind(row.group).bind(row.value).bind(row.low);
    metric_.bind(row.high).bind(row.standardError).bind(row.chance).bind(row.method);
    metric_.bind(row.n).bind(row.clusters).bind(row.ordinal).run();
}

std::int64_t RowInserter::shapeId(const LaunchShapeRow& shape) {
    const auto [entry, added] = shapes_.try_emplace(shape, std::int64_t(shapes_.size()) + 1);
    if (added) {
        shape_.bind(entry->second);
        for (const auto* triple : {&shape.grid, &shape.block, &shape.cluster})
            for (const std::int32_t value : *triple) shape_.bind(std::int64_t{value});
        shape_.bind(std::int64_t{shape.registers}).bind(std::int64_t{shape.staticShared});
        shape_.bind(std::int64_t{shape.dynamicShared}).run();
    }
    return entry->second;
}

void RowInserter::put(const DeviceEventRow& row) {
    const std::int64_t op = nameId(row.op), kind = nameId(row.kind), name = nameId(row.name);
    const std::int64_t shape = shapeId(row.shape);
    device_.bind(row.step).bind(std::int64_t{row.layer}).bind(op).bind(row.operation);
    device_.bind(kind).bind(name).bind(shape);
    device_.bind(std::int64_t{row.device}).bind(std::int64_t{row.stream});
    device_.bind(row.startNs).bind(row.endNs).bind(std::int64_t{row.valid});
    device_.bind(row.launchStartNs).bind(row.launchEndNs).bind(row.correlation);
    device_.bind(row.graph).bind(row.node).bind(row.bytes).run();
}

void RowInserter::put(const CounterRow& row) {
    const std::int64_t metric = nameId(row.metric);
    counter_.bind(row.operation).bind(metric).bind(row.value).run();
}

void RowInserter::put(const SampleRow& row) {
    const std::int64_t metric = nameId(row.metric);
    sample_.bind(row.startNs).bind(row.endNs).bind(metric).bind(row.value).run();
}

void RowInserter::put(const OperationTimeRow& row) {
    sqlite::Statement& statement = row.extend ? operationMore_ : operationTime_;
    statement.bind(row.startNs).bind(row.endNs).bind(row.id).run();
}

void checkRow(const AnyRow& row, const std::string& path) {
    if (const auto* tokens = std::get_if<RoutingTokensRow>(&row)) {
        const auto cells = std::int64_t{tokens->tokens} * tokens->topK;
        const bool negative = tokens->tokens < 0 || tokens->topK < 0;
        const bool badWeights =
            !tokens->weights.empty() && std::int64_t(tokens->weights.size()) != cells;
        if (negative || std::int64_t(tokens->experts.size()) != cells || badWeights) {
            throw Error(path + ": routing of " + std::to_string(tokens->tokens) + " tokens with " +
                        std::to_string(tokens->topK) + " experts each came with " +
                        std::to_string(tokens->experts.size()) + " expert ids and " +
                        std::to_string(tokens->weights.size()) + " weights");
        }
    } else if (const auto* count = std::get_if<RoutingCountRow>(&row)) {
        if (count->count < 0) throw Error(path + ": negative routing count");
    }
}

}  // namespace moescope
