// SPDX-License-Identifier: Apache-2.0
// The cuda back end of a tiny model, and how far its results may be from the reference's.
#pragma once

#include <catch2/catch.hpp>
#include <cmath>
#include <memory>
#include <span>

#include "engine/backend/backend.h"
#include "tests/engine/tiny_models.h"

namespace moescope::test {

/// |a - b| / |b| in the Euclidean norm; not a number counts as infinite.
inline double errorNorm(std::span<const float> a, std::span<const float> b) {
    double difference = 0;
    double size = 0;
    for (std::size_t i = 0; i < b.size(); ++i) {
        difference += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
        size += double{b[i]} * b[i];
    }
    const double error = std::sqrt(difference / size);
    return std::isnan(error) ? INFINITY : error;
}

/// Keys and values are half precision: 2e-4 a layer was measured on these models, and the layers
/// pass it on, 1.0e-3 at worst. Everything else keeps 16 bits of mantissa (1e-5).
inline constexpr double kExact = 2e-3;
/// Activations rounded to bf16 in steps of many tokens: under 1e-2 for each product
/// (test_prefill_gemm), 1.1e-2 behind three layers of them.
inline constexpr double kFast = 2e-2;

inline std::unique_ptr<Backend> makeCuda(const BoundModel& model,
                                         Numerics numerics = Numerics::Exact) {
    CudaOptions options;
    options.numerics = numerics;
    return makeCudaBackend(model, NoCheckpoint(), options);
}

/// Logits of one token as one submission.
inline void wholeStep(const Backend& cuda, BackendState& state, KvCache& cache, TokenId token,
                      int position, std::span<float> logits) {
    REQUIRE(cuda.wholeSteps());
    cuda.sendToken(state, cache, token, position, nullptr);
    cuda.runToken(state);
    cuda.fetchLogits(state, logits);
}

}  // namespace moescope::test
