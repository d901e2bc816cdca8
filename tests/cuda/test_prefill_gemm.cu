// SPDX-License-Identifier: Apache-2.0
// Prefill's matrix products and the sorting of slots, against plain loops in double.
#include <catch2/catch.hpp>

#include <algorithm>

#include "engine/backend/cuda/prefill_product.h"
#include "tests/cuda/device_data.h"

using namespace moescope;
using namespace moescope::cuda;
using namespace moescope::cuda::test;

namespace {

constexpr double kExact = 1e-4;
constexpr double kBf16 = 1e-2;

/// The kernels.
struct Variant {
    const char* name;
    bool warpgroups;
    int mostTokens;
};
constexpr Variant kVariants[] = {
    {"mma.sync", false, 128},
    {"wgmma", true, kWarpgroupTokens},
};

void multiply(const Product& p, const Variant& v, int tile) {
    if (v.warpgroups) {
        multiplyWarpgroups(p, tile, nullptr);
    } else {
        multiplyMma(p, tile, nullptr);
    }
}

/// On a GPU: whether it has code for the variant.
bool available(const Variant& v, WeightFormat format, bool low) {
    return !v.warpgroups || (warpgroupsTake(format, low) && hasWarpgroups());
}

double dot(const Weights& w, int stack, int row, const Operand& x, int xRow) {
    double sum = 0.0;
    for (int c = 0; c < w.matrix().cols; ++c) sum += double{w.at(stack, row, c)} * x.at(xRow, c);
    return sum;
}

/// Error norm of one projection.
double projectionError(WeightFormat format, const Variant& variant, int tile, int rows, int cols,
                       int tokens, bool low, bool add) {
    const Weights w(format, 1, rows, cols, 7);
    const Operand x(format, tokens, cols, low, 8);
    const std::vector<float> bias = randomFloats(static_cast<std::size_t>(rows), 9);
    const Buffer<float> deviceBias(bias);
    const int stride = rows + 3;
    const std::size_t size = static_cast<std::size_t>(tokens) * stride;
    const std::vector<float> before = randomFloats(size, 10);
    const Buffer<float> out(before);
    Projection p;
    p.weights = w.matrix();
    p.x = x.rows();
    p.bias = add ? nullptr : deviceBias.get();
    p.tokens = tokens;
    p.out = out.get();
    p.outStride = stride;
    p.add = add;
    multiply(productOf(p), variant, tile);
    std::vector<double> expected(before.begin(), before.end());
    for (int t = 0; t < tokens; ++t) {
        for (int r = 0; r < rows; ++r) {
            double& to = expected[static_cast<std::size_t>(t) * stride + r];
            to = dot(w, 0, r, x, t) + (add ? to : double{bias[r]});
        }
    }
    return errorNorm(out.read(), expected);
}

struct Layer {
    int tokens, topK, nExpert, model, ffn;
    WeightFormat format;
    bool low;
    Activation activation;
};

double activated(const Layer& l, double gate, double up) {
    switch (l.activation) {
        case Activation::Silu:
            return gate / (1 + std::exp(-gate)) * up;
        case Activation::GeluTanh:
            return 0.5 * gate *
                   (1 + std::tanh(0.7978845608028654 * (gate + 0.044715 * gate * gate * gate))) *
                   up;
        case Activation::GptOssSwiGlu:
            break;
    }
    const double g = std::min(gate, 7.0);
    return g / (1 + std::exp(-1.702 * g)) * (std::clamp(up, -7.0, 7.0) + 1);
}

std::vector<std::int32_t> randomExperts(const Layer& l, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<std::int32_t> chosen;
    for (int i = 0; i < l.tokens * l.topK; ++i) {
        // Expert 1 is never chosen, expert 0 by every other slot.
        const auto e = static_cast<int>(random() % static_cast<unsigned>(l.nExpert));
        chosen.push_back(random() % 2 == 0 || e == 1 ? 0 : e);
    }
    return chosen;
}

/// The two halves of the experts on their own inputs: the second one's are not the first's outputs,
/// whose rounding would show.
void checkExperts(const Layer& l, const Variant& variant, int tile) {
    const auto chosen = randomExperts(l, 3);
    const Buffer<std::int32_t> experts(chosen);
    const Buffer<std::int32_t> offsets(static_cast<std::size_t>(l.nExpert) + 1);
    const Buffer<std::int32_t> slots(chosen.size());
    const ExpertGroups groups{offsets.get(), slots.get()};
    groupByExpert(experts.get(), l.tokens, l.topK, l.nExpert, groups, nullptr);
    const auto order = slots.read();
    const int n = l.tokens * l.topK;
    const double limit = l.low ? kExact : kBf16;

    const Weights up(l.format, l.nExpert, 2 * l.ffn, l.model, 11);
    const Operand x(l.format, l.tokens, l.model, l.low, 12);
    const auto upBias = randomFloats(static_cast<std::size_t>(l.nExpert * 2 * l.ffn), 13);
    const Buffer<float> deviceUpBias(upBias);
    const Operand hidden(l.format, n, l.ffn, l.low);
    const Operand sorted(l.format, n, l.model, l.low);
    ExpertsUp e;
    e.gateUp = up.matrix();
    e.bias = deviceUpBias.get();
    e.x = x.rows();
    e.groups = groups;
    e.tokens = l.tokens;
    e.topK = l.topK;
    e.nExpert = l.nExpert;
    e.activation = l.activation;
    e.swigluAlpha = 1.702F;
    e.swigluLimit = 7.0F;
    e.hidden = hidden.rows();
    e.sorted = sorted.rows();
    multiply(productOf(e), variant, tile);
    std::vector<double> expected;
    for (const int slot : order) {
        const int expert = chosen[static_cast<std::size_t>(slot)];
        for (int i = 0; i < l.ffn; ++i) {
            const float* const bias = upBias.data() + expert * 2 * l.ffn + 2 * i;
            expected.push_back(activated(l, dot(up, expert, 2 * i, x, slot / l.topK) + bias[0],
                                         dot(up, expert, 2 * i + 1, x, slot / l.topK) + bias[1]));
        }
    }
    CHECK(errorNorm(hidden.read(), expected) < limit);

    const Weights down(l.format, l.nExpert, l.model, l.ffn, 14);
    const Operand h(l.format, n, l.ffn, l.low, 15);
    const auto downBias = randomFloats(static_cast<std::size_t>(l.nExpert * l.model), 16);
    const Buffer<float> deviceDownBias(downBias);
    const Buffer<float> products(static_cast<std::size_t>(n) * l.model);
    ExpertsDown d;
    d.down = down.matrix();
    d.bias = deviceDownBias.get();
    d.hidden = h.rows();
    d.groups = groups;
    d.tokens = l.tokens;
    d.topK = l.topK;
    d.nExpert = l.nExpert;
    d.products = products.get();
    multiply(productOf(d), variant, tile);
    expected.assign(static_cast<std::size_t>(n) * l.model, 0.0);
    for (int i = 0; i < n; ++i) {
        const int slot = order[static_cast<std::size_t>(i)];
        const int expert = chosen[static_cast<std::size_t>(slot)];
        for (int r = 0; r < l.model; ++r) {
            expected[static_cast<std::size_t>(slot) * l.model + r] =
                dot(down, expert, r, h, i) + downBias[expert * l.model + r];
        }
    }
    CHECK(errorNorm(products.read(), expected) < limit);
}

}  // namespace

TEST_CASE("prefill projections of every format and size match plain loops") {
    struct Size {
        int tile, rows, cols, tokens;
        bool low, add;
    };
    const Size sizes[] = {{32, 20, 96, 5, true, false},     {32, 136, 160, 33, true, true},
                          {32, 24, 160, 27, true, false},  // columns of the wgmma: 32
                          {64, 8, 544, 70, false, true},    {128, 130, 64, 129, false, false},
                          {128, 24, 96, 110, true, false},     // columns of the wgmma: 128
                          {160, 200, 96, 140, true, true},     // 144
                          {256, 260, 160, 300, false, true}};  // more tiles than multiprocessors
    for (const WeightFormat format : kFormats) {
        for (const Variant& variant : kVariants) {
            for (const Size& s : sizes) {
                if (!available(variant, format, s.low)) continue;
                INFO("format " << static_cast<int>(format) << ", " << variant.name << ", rows "
                               << s.rows);
                CHECK(projectionError(format, variant, std::min(s.tile, variant.mostTokens), s.rows,
                                      s.cols, s.tokens, s.low, s.add) < (s.low ? kExact : kBf16));
            }
        }
    }
}

TEST_CASE("a projection through the public interface has the pipeline's full depth of panels") {
    const int rows = 24, cols = 1056, tokens = 40;
    const Weights w(WeightFormat::Mxfp4, 1, rows, cols, 1);
    const Operand x(WeightFormat::Mxfp4, tokens, cols, true, 2);
    const Buffer<float> out(static_cast<std::size_t>(tokens * rows));
    Projection p;
    p.weights = w.matrix();
    p.x = x.rows();
    p.tokens = tokens;
    p.out = out.get();
    p.outStride = rows;
    project(p, nullptr);
    std::vector<double> expected;
    for (int t = 0; t < tokens; ++t) {
        for (int r = 0; r < rows; ++r) expected.push_back(dot(w, 0, r, x, t));
    }
    CHECK(errorNorm(out.read(), expected) < kExact);
}

TEST_CASE("slots are sorted by expert, in ascending order within one") {
    for (const int nExpert : {1, 3, 40}) {
        const Layer l{300, 3, nExpert, 0, 0, WeightFormat::Bf16, false, Activation::Silu};
        const auto chosen = randomExperts(l, 5);
        const Buffer<std::int32_t> experts(chosen);
        const Buffer<std::int32_t> offsets(static_cast<std::size_t>(nExpert) + 1);
        const Buffer<std::int32_t> slots(chosen.size());
        groupByExpert(experts.get(), l.tokens, l.topK, nExpert, {offsets.get(), slots.get()},
                      nullptr);
        std::vector<std::int32_t> order, starts;
        for (int e = 0; e < nExpert; ++e) {
            starts.push_back(static_cast<std::int32_t>(order.size()));
            for (std::size_t i = 0; i < chosen.size(); ++i) {
                if (chosen[i] == e) order.push_back(static_cast<std::int32_t>(i));
            }
        }
        starts.push_back(static_cast<std::int32_t>(order.size()));
        CHECK(slots.read() == order);
        CHECK(offsets.read() == starts);
    }
}

TEST_CASE("experts gather, activate and scatter as plain loops do") {
    const Layer layers[] = {
        {37, 2, 3, 96, 64, WeightFormat::Mxfp4, true, Activation::GptOssSwiGlu},
        {21, 3, 5, 64, 90, WeightFormat::Bf16, true, Activation::Silu},
        {9, 1, 1, 96, 40, WeightFormat::Q8_0, true, Activation::GeluTanh},
        {9, 2, 40, 32, 24, WeightFormat::Bf16Pair, true, Activation::Silu},
        {50, 2, 3, 160, 72, WeightFormat::Mxfp4, false, Activation::GptOssSwiGlu},
    };
    for (const Layer& l : layers) {
        for (const Variant& variant : kVariants) {
            if (!available(variant, l.format, l.low)) continue;
            INFO("format " << static_cast<int>(l.format) << ", " << variant.name);
            checkExperts(l, variant, 32);
        }
    }
}

TEST_CASE("hidden rows may be in another format's order than the product that makes them") {
    const Operand x(WeightFormat::Bf16, 3, 32, true, 1);
    const Weights w(WeightFormat::Bf16, 1, 2 * 150, 32, 2);
    const Buffer<std::int32_t> experts(std::vector<std::int32_t>(3, 0));
    const Buffer<std::int32_t> offsets(2);
    const Buffer<std::int32_t> slots(3);
    groupByExpert(experts.get(), 3, 1, 1, {offsets.get(), slots.get()}, nullptr);
    const Operand hidden(WeightFormat::Mxfp4, 3, 150, true);
    ExpertsUp e;
    e.gateUp = w.matrix();
    e.x = x.rows();
    e.groups = {offsets.get(), slots.get()};
    e.tokens = 3;
    e.topK = 1;
    e.nExpert = 1;
    e.hidden = hidden.rows();
    expertsUp(e, nullptr);
    std::vector<double> expected;
    for (int t = 0; t < 3; ++t) {
        for (int i = 0; i < 150; ++i) {
            const double gate = dot(w, 0, 2 * i, x, t);
            expected.push_back(gate / (1 + std::exp(-gate)) * dot(w, 0, 2 * i + 1, x, t));
        }
    }
    CHECK(errorNorm(hidden.read(), expected) < kExact);
}

TEST_CASE("what is no number stays none through the clamped activation of many tokens") {
    constexpr int kTokens = 3;
    constexpr int kFfn = 24;
    const Operand x(WeightFormat::Bf16, kTokens, 32, true, 1);
    const Weights w(WeightFormat::Bf16, 1, 2 * kFfn, 32, 2);
    std::vector<float> values(2 * kFfn, 0.1F);
    values[2 * 7] = NAN;      // of a gate
    values[2 * 9 + 1] = NAN;  // of a linear part
    const Buffer<float> bias(values);
    const Buffer<std::int32_t> experts(std::vector<std::int32_t>(kTokens, 0));
    const Buffer<std::int32_t> offsets(2);
    const Buffer<std::int32_t> slots(kTokens);
    groupByExpert(experts.get(), kTokens, 1, 1, {offsets.get(), slots.get()}, nullptr);
    const Operand hidden(WeightFormat::Bf16, kTokens, kFfn, true);
    ExpertsUp e;
    e.gateUp = w.matrix();
    e.bias = bias.get();
    e.x = x.rows();
    e.groups = {offsets.get(), slots.get()};
    e.tokens = kTokens;
    e.topK = 1;
    e.nExpert = 1;
    e.activation = Activation::GptOssSwiGlu;
    e.swigluAlpha = 1.702F;
    e.swigluLimit = 7.0F;
    e.hidden = hidden.rows();
    expertsUp(e, nullptr);
    const std::vector<float> out = hidden.read();
    for (int i = 0; i < kTokens * kFfn; ++i) {
        INFO("column " << i % kFfn);
        CHECK(std::isnan(out[static_cast<std::size_t>(i)]) == (i % kFfn == 7 || i % kFfn == 9));
    }
}
