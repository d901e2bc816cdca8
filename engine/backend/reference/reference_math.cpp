// SPDX-License-Identifier: Apache-2.0
#include "engine/backend/reference/reference_math.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "engine/backend/kv_layout.h"

namespace moescope::reference {
namespace {

/// Eight sums instead of one: the next addition need not wait for the last, which is four times as
/// fast, and the rounding of a double does not matter here.
double dot(const float* a, const float* b, std::size_t n) {
    constexpr std::size_t kSums = 8;
    std::array<double, kSums> sums{};
    std::size_t i = 0;
    for (; i + kSums <= n; i += kSums) {
        for (std::size_t j = 0; j < kSums; ++j) {
            sums[j] += static_cast<double>(a[i + j]) * b[i + j];
        }
    }
    double total = std::accumulate(sums.begin(), sums.end(), 0.0);
    for (; i < n; ++i) total += static_cast<double>(a[i]) * b[i];
    return total;
}

}  // namespace

std::span<const float> floats(const TensorView& t, std::int64_t row) {
    if (t.empty()) return {};
    assert(t.type == DType::F32 && row < t.rows());
    const auto cols = static_cast<std::size_t>(t.cols());
    return {reinterpret_cast<const float*>(t.data) + static_cast<std::size_t>(row) * cols, cols};
}

void multiply(const TensorView& weights, std::int64_t stackIndex, std::span<const float> bias,
              std::span<const float> in, std::span<float> out, int tokens) {
    const auto rows = static_cast<std::size_t>(weights.rows());
    const auto cols = static_cast<std::size_t>(weights.cols());
    const auto count = static_cast<std::size_t>(tokens);
    assert(in.size() >= count * cols && out.size() >= count * rows);
    std::vector<float> row(cols);
    for (std::size_t r = 0; r < rows; ++r) {
        dequantizeRow(weights, stackIndex, static_cast<std::int64_t>(r), row);
        const double offset = bias.empty() ? 0.0 : bias[r];
        for (std::size_t t = 0; t < count; ++t) {
            out[t * rows + r] =
                static_cast<float>(dot(row.data(), in.data() + t * cols, cols) + offset);
        }
    }
}

void normalize(NormKind kind, float eps, std::span<const float> weight, std::span<const float> bias,
               std::span<const float> in, std::span<float> out) {
    const auto n = static_cast<double>(in.size());
    double mean = 0.0;
    if (kind == NormKind::LayerNorm) {
        for (const float x : in) mean += x;
        mean /= n;
    }
    double squares = 0.0;
    for (const float x : in) squares += (x - mean) * (x - mean);
    const double scale = 1.0 / std::sqrt(squares / n + eps);
    for (std::size_t i = 0; i < in.size(); ++i) {
        const double w = kind == NormKind::RmsPlusOne ? 1.0 + weight[i] : weight[i];
        const double b = bias.empty() ? 0.0 : bias[i];
        out[i] = static_cast<float>((in[i] - mean) * scale * w + b);
    }
}

void attendHead(const HeadAttention& head, std::span<float> out) {
    const std::size_t headDim = head.query.size();
    const auto row = [&](const float* base, int position) {
        return base + static_cast<std::size_t>(kvRow(position, head.cacheRows)) *
                          static_cast<std::size_t>(head.rowWidth);
    };
    std::vector<double> scores;
    double largest = head.sink != nullptr ? *head.sink : -std::numeric_limits<double>::infinity();
    for (int p = head.first; p <= head.last; ++p) {
        scores.push_back(head.scale * dot(head.query.data(), row(head.keys, p), headDim));
        largest = std::max(largest, scores.back());
    }
    double sum = head.sink != nullptr ? std::exp(*head.sink - largest) : 0.0;
    std::vector<double> total(headDim, 0.0);
    for (int p = head.first; p <= head.last; ++p) {
        const double weight = std::exp(scores[static_cast<std::size_t>(p - head.first)] - largest);
        sum += weight;
        const float* value = row(head.values, p);
        for (std::size_t i = 0; i < headDim; ++i) total[i] += weight * value[i];
    }
    for (std::size_t i = 0; i < headDim; ++i) out[i] = static_cast<float>(total[i] / sum);
}

}  // namespace moescope::reference
