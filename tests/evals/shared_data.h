// SPDX-License-Identifier: Apache-2.0
// The published data and expected metrics in ../shared, which is not part of the repository.
#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "datasets/suite.h"
#include "engine/core/file.h"
#include "evals/metrics/metric.h"
#include "tests/evals/stub_model.h"

namespace moescope::test {

inline const std::filesystem::path kShared =
    std::filesystem::path(MOESCOPE_SOURCE_DIR) / ".." / "shared" / "data";

/// Warns when it is; the test then returns.
inline bool sharedAbsent() {
    if (std::filesystem::exists(kShared / "_oracle" / "oracle.json")) return false;
    WARN("../shared/data is absent: skipped");
    return true;
}

inline nlohmann::json oracle(const std::string& suite) {
    return parseJson(readFile(kShared / "_oracle" / "oracle.json"), "oracle").at(suite);
}

inline const MetricRow& metricRow(const std::vector<MetricRow>& rows, const std::string& name,
                                  const std::string& group = {}) {
    for (const MetricRow& row : rows)
        if (row.name == name && row.group == group) return row;
    throw std::runtime_error("no metric " + name + " " + group);
}

inline const SuiteItem& itemNamed(const SuiteData& data, const std::string& id) {
    for (const SuiteItem& item : data.items)
        if (item.id == id) return item;
    throw std::runtime_error("no item " + id);
}

/// What the runner would hand to metrics if the model had chosen that answer.
inline ItemResult answered(const SuiteItem& item, int answer) {
    ItemResult result;
    result.id = item.id;
    result.cluster = item.cluster;
    result.groups = item.groups;
    result.choices = item.choices.size();
    result.score = answer == item.target ? 1 : 0;
    result.detail = {{"answer_index", answer},
                     {"target_index", item.target},
                     {"right", answer == item.target},
                     {"right_norm", answer == item.target},
                     {"roles", item.roles}};
    if (item.reference) result.detail["reference"] = *item.reference;
    return result;
}

/// All items, answered by the oracle's rule: CRC-32 of a key modulo the number of choices.
inline std::vector<ItemResult> answeredByHash(const SuiteData& data, const std::string& prefix) {
    std::vector<ItemResult> items;
    for (const SuiteItem& item : data.items)
        items.push_back(
            answered(item, static_cast<int>(crc32(prefix + item.id) % item.choices.size())));
    return items;
}

}  // namespace moescope::test
