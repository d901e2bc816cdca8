// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/counted_work.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>
#include <tuple>
#include <unordered_map>

namespace moescope {
namespace {

constexpr std::string_view kTensor = "sm__ops_path_tensor_src_bf16_dst_fp32.sum";

/// Counters of one operation: a slice of the rows, which come by operation.
class Values {
public:
    Values(const CounterRow* begin, const CounterRow* end) : begin_(begin), end_(end) {}

    double of(std::string_view metric) const {
        const auto found =
            std::find_if(begin_, end_, [&](const CounterRow& row) { return row.metric == metric; });
        return found == end_ ? CountedWork::kUnknown : found->value;
    }
    /// Sets count the sum or the directions.
    double dramBytes() const {
        const double sum = of("dram__bytes.sum");
        return std::isfinite(sum) ? sum : of("dram__bytes_read.sum") + of("dram__bytes_write.sum");
    }

private:
    const CounterRow *begin_, *end_;
};

using Groups = std::map<std::tuple<std::string, std::string, std::string>, CountedWork>;

void add(Groups& groups, const OperationRow& row, const std::string& phase, const Values& values) {
    const auto [it, created] = groups.try_emplace({row.op, row.kernel, phase});
    CountedWork& work = it->second;
    if (created) {
        work.op = row.op;
        work.kernel = row.kernel;
        work.phase = phase;
        work.ns = work.bytes = work.operations = 0;
    }
    ++work.calls;
    // A call without the metric makes the sum unknown, as NaN does by itself.
    work.ns += values.of("gpu__time_duration.sum");
    work.bytes += values.dramBytes();
    work.operations += values.of(kTensor);
    work.modelledBytes += row.bytes;
    work.modelledFlops += row.flops;
}

double median(std::vector<double>& values) {
    if (values.empty()) return CountedWork::kUnknown;
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    if (values.size() % 2 == 1) return *middle;
    return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

}  // namespace

CountedRun countedWork(const RunReader& run) {
    CountedRun out;
    const std::vector<CounterRow> rows = run.counters();
    if (rows.empty()) return out;
    std::unordered_map<std::int64_t, Values> values;
    for (std::size_t begin = 0, end = 0; begin < rows.size(); begin = end) {
        while (end < rows.size() && rows[end].operation == rows[begin].operation) ++end;
        values.emplace(rows[begin].operation, Values(rows.data() + begin, rows.data() + end));
    }
    std::unordered_map<std::int64_t, std::string> phases;
    for (const StepRow& step : run.steps()) phases[step.id] = step.kind;

    Groups groups;
    run.operations([&](const OperationRow& row) {
        const auto counted = values.find(row.id);
        const auto phase = phases.find(row.step);
        if (counted != values.end() && phase != phases.end())
            add(groups, row, phase->second, counted->second);
        return true;
    });
    for (auto& [key, work] : groups) out.groups.push_back(std::move(work));

    std::vector<double> bytes, operations;
    for (const auto& [id, of] : values) {
        const double memory =
            of.of("dram__bytes.sum.peak_sustained") * of.of("dram__cycles_elapsed.avg.per_second");
        const double tensor = of.of(std::string(kTensor) + ".peak_sustained") *
                              of.of("sm__cycles_elapsed.avg.per_second");
        if (memory > 0) bytes.push_back(memory);
        if (tensor > 0) operations.push_back(tensor);
    }
    out.bytesPerSecond = median(bytes);
    out.operationsPerSecond = median(operations);
    return out;
}

}  // namespace moescope
