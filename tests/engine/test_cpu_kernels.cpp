// SPDX-License-Identifier: Apache-2.0
// Every kernel of every instruction set that this machine has, against double arithmetic.
#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <vector>

#include "engine/backend/activation.h"
#include "engine/backend/cpu/kernel_table.h"
#include "engine/backend/cpu/pack.h"
#include "engine/core/arena.h"
#include "engine/core/error.h"
#include "tests/engine/random_tensors.h"

using namespace moescope;
using namespace moescope::cpu;
using moescope::test::RandomTensors;

namespace {

struct Packed {
    explicit Packed(const TensorView& t) : stack(planStack(t)), arena(stack.bytes()) {
        stack.first.codes = arena.take(stack.codeStride * static_cast<unsigned>(stack.count));
        stack.first.scales = arena.take(stack.scaleStride * static_cast<unsigned>(stack.count));
        for (std::int64_t m = 0; m < stack.count; ++m) {
            for (std::int64_t tile = 0; tile < stack.first.tiles(); ++tile) {
                packTile(t.rank > 2 ? t.matrix(m) : t, tile, stack.matrix(m));
            }
        }
    }
    PackedStack stack;
    Arena arena;
};

/// All targets of this machine, exact and fast.
std::vector<const Kernels*> everyKernels() {
    std::vector<const Kernels*> all = availableKernels();
    for (const Kernels* kernels : availableKernels()) {
        if (kernels->fast != nullptr) all.push_back(kernels->fast);
    }
    return all;
}

bool isFast(const Kernels& kernels) {
    return kernels.name.ends_with("_int8");
}

/// What fast kernels multiply integer-coded weights with: 8-bit integers, a step per block of 32.
std::vector<float> quantised(std::vector<float> x) {
    for (std::size_t b = 0; b < x.size(); b += 32) {
        const std::size_t end = std::min(x.size(), b + 32);
        float largest = 127 * 0x1p-126F;
        for (std::size_t i = b; i < end; ++i) largest = std::max(largest, std::fabs(x[i]));
        const float inverse = 127.0F / largest;
        const float step = largest * (1.0F / 127.0F);
        for (std::size_t i = b; i < end; ++i) x[i] = std::nearbyint(x[i] * inverse) * step;
    }
    return x;
}

/// n prepared rows.
struct Rows {
    Rows(const Kernels& kernels, RandomTensors& random, int cols, int n)
        : layout(cols), arena(layout.bytes * static_cast<std::size_t>(n)) {
        for (int t = 0; t < n; ++t) {
            values.push_back(random.normals(static_cast<std::size_t>(cols)));
            std::byte* row = arena.take(layout.bytes);
            std::memcpy(row, values.back().data(), 4 * values.back().size());
            kernels.finishActivation(layout, row);
            rows.push_back(row);
        }
    }
    ActivationLayout layout;
    Arena arena;
    std::vector<std::vector<float>> values;
    std::vector<const std::byte*> rows;
};

/// Product of matrix `m` with x, and the sum of magnitudes that bounds its rounding error.
struct Expected {
    std::vector<double> value, magnitude;
};
Expected multiply(const TensorView& t, std::int64_t m, const std::vector<float>& x) {
    Expected e;
    std::vector<float> row(x.size());
    for (std::int64_t r = 0; r < t.rows(); ++r) {
        dequantizeRow(t, m, r, row);
        double sum = 0;
        double magnitude = 0;
        for (std::size_t c = 0; c < x.size(); ++c) {
            sum += double{row[c]} * x[c];
            magnitude += std::fabs(double{row[c]} * x[c]);
        }
        e.value.push_back(sum);
        e.magnitude.push_back(magnitude);
    }
    return e;
}

constexpr DType kTypes[] = {DType::MXFP4, DType::MXFP4Split, DType::Q8_0, DType::Q4_0,
                            DType::Q4_1,  DType::Q5_0,       DType::BF16, DType::F16,
                            DType::F32,   DType::Q4_K,       DType::Q5_K, DType::Q6_K};

bool isKQuant(DType type) {
    return type == DType::Q4_K || type == DType::Q5_K || type == DType::Q6_K;
}

void checkProducts(const Kernels& kernels, DType type, int rows, int cols, int tokens) {
    INFO(kernels.name << " " << dtypeInfo(type).name << " " << rows << " x " << cols << " times "
                      << tokens);
    RandomTensors random(static_cast<std::uint32_t>(rows * 131 + cols * 7 + tokens));
    const TensorView t = random.matrix(type, rows, cols, 2);
    const Packed packed(t);
    const Rows in(kernels, random, cols, tokens);
    const PackedMatrix w = packed.stack.matrix(1);
    const auto format = static_cast<std::size_t>(w.format);
    Arena scratch(kPanelBytes);
    std::byte* panel = scratch.take(kPanelBytes);
    std::vector<std::vector<float>> matMul(static_cast<std::size_t>(tokens));
    for (std::int64_t tile = 0; tile < w.tiles(); ++tile) {
        std::vector<float> out(static_cast<std::size_t>(tokens) * kTileRows, NAN);
        kernels.matMul[format](w, tile, in.layout, in.rows.data(), tokens, panel, out.data());
        for (std::size_t i = 0; i < matMul.size(); ++i) {
            matMul[i].insert(matMul[i].end(),
                             out.begin() + static_cast<std::ptrdiff_t>(i * kTileRows),
                             out.begin() + static_cast<std::ptrdiff_t>((i + 1) * kTileRows));
        }
    }
    // Rounding bounds relative to the sum of magnitudes: float32 sums and activations good to 2^-16
    // of a block's largest.
    const double bound = 4e-5;
    for (int i = 0; i < tokens; ++i) {
        std::vector<float> matVec(static_cast<std::size_t>(w.groups()) * kGroupRows, NAN);
        kernels.matVec[format](w, 0, w.groups(), in.layout, in.rows[static_cast<std::size_t>(i)],
                               matVec.data());
        const std::vector<float>& x = in.values[static_cast<std::size_t>(i)];
        const bool integers = isFast(kernels) && w.format <= PackedFormat::Q6_K;
        const Expected e = multiply(t, 1, integers ? quantised(x) : x);
        for (std::size_t r = 0; r < e.value.size(); ++r) {
            // Written so that NaN fails.
            if (!(std::fabs(matVec[r] - e.value[r]) <= bound * e.magnitude[r] + 1e-6)) {
                FAIL("matVec row " << r << ": " << matVec[r] << " instead of " << e.value[r]);
            }
            const float m = matMul[static_cast<std::size_t>(i)][r];
            if (!(std::fabs(m - e.value[r]) <= bound * e.magnitude[r] + 1e-6)) {
                FAIL("matMul row " << r << " token " << i << ": " << m << " instead of "
                                   << e.value[r]);
            }
        }
    }
}

}  // namespace

TEST_CASE("packed products equal double arithmetic on every target and format at odd sizes") {
    for (const Kernels* kernels : everyKernels()) {
        for (const DType type : kTypes) {
            if (isKQuant(type)) {
                checkProducts(*kernels, type, 17, 256, 3);
                checkProducts(*kernels, type, 33, 768, 7);
                continue;
            }
            checkProducts(*kernels, type, 1, 32, 1);
            checkProducts(*kernels, type, 16, 64, 2);
            checkProducts(*kernels, type, 33, 96, 5);
            checkProducts(*kernels, type, 31, 224, 7);
            checkProducts(*kernels, type, 50, 288, 19);
            checkProducts(*kernels, type, 3, 2880, 6);
        }
    }
    SUCCEED();
}

TEST_CASE("every token count from one to nineteen multiplies right") {
    for (const Kernels* kernels : everyKernels()) {
        for (int tokens = 1; tokens <= 19; ++tokens) {
            checkProducts(*kernels, DType::MXFP4, 20, 96, tokens);
            checkProducts(*kernels, DType::Q4_1, 20, 96, tokens);
            checkProducts(*kernels, DType::F32, 20, 96, tokens);
        }
    }
    SUCCEED();
}

TEST_CASE("plain formats take widths that are no multiple of a block") {
    for (const Kernels* kernels : everyKernels()) {
        for (const DType type : {DType::BF16, DType::F16, DType::F32})
            checkProducts(*kernels, type, 5, 50, 4);
    }
    SUCCEED();
}

TEST_CASE("the smallest E8M0 scale is two to the minus 127") {
    RandomTensors random(1);
    const TensorView t = random.matrix(DType::MXFP4, 1, 32);
    std::vector<std::byte>& bytes = random.lastBytes();
    bytes[0] = std::byte{0};
    for (std::size_t i = 1; i < 17; ++i) bytes[i] = std::byte{0x77};  // every weight 6 * 2^-127
    const Packed packed(t);
    for (const Kernels* kernels : everyKernels()) {
        INFO(kernels->name);
        const ActivationLayout layout(32);
        Arena arena(layout.bytes);
        std::byte* row = arena.take(layout.bytes);
        for (int i = 0; i < 32; ++i) reinterpret_cast<float*>(row)[i] = 0x1p120F;
        kernels->finishActivation(layout, row);
        float out[16];
        kernels->matVec[static_cast<int>(PackedFormat::Mxfp4)](packed.stack.first, 0, 1, layout,
                                                               row, out);
        CHECK(out[0] == 32 * 6 * 0x1p-7F);
    }
}

TEST_CASE("activations of any magnitude multiply right") {
    RandomTensors random(9);
    const TensorView t = random.matrix(DType::MXFP4, 16, 32);
    std::vector<std::byte>& bytes = random.lastBytes();
    for (std::size_t i = 0; i < bytes.size(); i += 17) bytes[i] = std::byte{127 + 60};
    const Packed packed(t);
    for (const Kernels* kernels : everyKernels()) {
        for (const float size : {0.0F, 1e-44F, 1e-38F, 1e-37F, 9e-35F, 1e-31F, 1e-20F, 1.0F}) {
            INFO(kernels->name << " " << size);
            const ActivationLayout layout(32);
            Arena arena(layout.bytes);
            std::byte* row = arena.take(layout.bytes);
            std::vector<float> x(32);
            for (std::size_t i = 0; i < x.size(); ++i)
                x[i] = size * static_cast<float>(static_cast<int>(i) - 9);
            std::memcpy(row, x.data(), 4 * x.size());
            kernels->finishActivation(layout, row);
            float out[16];
            kernels->matVec[static_cast<int>(PackedFormat::Mxfp4)](packed.stack.first, 0, 1, layout,
                                                                   row, out);
            const Expected e = multiply(t, 0, isFast(*kernels) ? quantised(x) : x);
            // Half a step of 2^-126 for each of 32 activations, times weights of at most 6 * 2^60.
            for (std::size_t r = 0; r < 16; ++r) {
                CHECK(std::fabs(out[r] - e.value[r]) <= 4e-5 * e.magnitude[r] + 32 * 6 * 0x1p-67);
            }
        }
    }
}

TEST_CASE("MXFP4 of any scale times activations of any size has one result, alone or in a batch") {
    constexpr int kCols = 32 * 20;  // more than one panel
    constexpr int kTokens = 7;
    RandomTensors random(11);
    const TensorView t = random.matrix(DType::MXFP4, 32, kCols);
    std::vector<std::byte>& bytes = random.lastBytes();
    // Ordinary, then at both ends of where exponents may be added, past them, and at the format's.
    for (const int exponent : {127, 68, 67, 188, 189, 1, 250}) {
        for (std::size_t i = 0; i < bytes.size(); i += 17)
            bytes[i] = static_cast<std::byte>(exponent - static_cast<int>(i / 17 % 2));
        const Packed packed(t);
        for (const Kernels* kernels : everyKernels()) {
            Rows in(*kernels, random, kCols, kTokens);
            for (const float size : {1.0F, 1e-17F, 1e-19F, 1e-37F, 1e17F, 1e19F, NAN}) {
                INFO(kernels->name << ", exponent " << exponent << ", size " << size);
                auto* row = const_cast<std::byte*>(in.rows[3]);
                for (std::size_t i = 0; i < 32; ++i)  // one block of one token
                    reinterpret_cast<float*>(row)[64 + i] = size * in.values[3][64 + i];
                kernels->finishActivation(in.layout, row);
                Arena scratch(kPanelBytes);
                float together[kTokens * kTileRows];
                kernels->matMul[static_cast<int>(PackedFormat::Mxfp4)](
                    packed.stack.first, 0, in.layout, in.rows.data(), kTokens,
                    scratch.take(kPanelBytes), together);
                for (std::size_t i = 0; i < kTokens; ++i) {
                    float alone[kTileRows];
                    kernels->matVec[static_cast<int>(PackedFormat::Mxfp4)](
                        packed.stack.first, 0, 2, in.layout, in.rows[i], alone);
                    for (std::size_t r = 0; r < kTileRows; ++r) {
                        const float one = together[i * kTileRows + r];
                        const bool same = std::isnan(alone[r]) ? std::isnan(one) : alone[r] == one;
                        if (!same) FAIL("token " << i << ", row " << r << ": " << one);
                    }
                }
                if (std::isnan(size)) CHECK(std::isnan(together[3 * kTileRows]));
            }
        }
    }
}

TEST_CASE("a scale that is not a number is an error that names the tensor") {
    RandomTensors random(2);
    const TensorView t = random.matrix(DType::MXFP4, 4, 64, 1, "blk.3.ffn_up_exps.weight");
    random.lastBytes()[17 * 5] = std::byte{255};
    CHECK_THROWS_WITH(Packed(t), Catch::Contains("blk.3.ffn_up_exps.weight"));
    const TensorView split = random.matrix(DType::MXFP4Split, 4, 64);
    random.lastBytes()[3] = std::byte{255};
    CHECK_THROWS_AS(Packed(split), Error);
}

TEST_CASE("what is not finite in any stored type is an error that names the tensor") {
    RandomTensors random(12);
    for (const DType type : kTypes) {
        INFO(dtypeInfo(type).name);
        const TensorView t = random.matrix(type, 40, 512, 2, "blk.3.damaged.weight");
        CHECK_NOTHROW(Packed(t));
        moescope::test::spoilLastBlock(t);
        CHECK_THROWS_WITH(Packed(t), Catch::Contains("blk.3.damaged.weight"));
    }
}

TEST_CASE("an unknown target is a usage error that lists those of this machine") {
    CHECK_THROWS_AS(chooseKernels("avx1024"), UsageError);
    try {
        chooseKernels("avx1024");
    } catch (const UsageError& e) {
        CHECK_THAT(e.hint(), Catch::Contains("portable"));
    }
    CHECK(chooseKernels("portable").name == "portable");
    CHECK(chooseKernels("").name == availableKernels().back()->name);
}

TEST_CASE("norms and activations equal double arithmetic on every target") {
    RandomTensors random(3);
    ModelSpec spec;
    for (const Kernels* kernels : everyKernels()) {
        INFO(kernels->name);
        for (const int n : {1, 15, 16, 33, 96, 2880}) {
            INFO(n);
            const std::vector<float> x = random.normals(static_cast<std::size_t>(n), 3.0F);
            const std::vector<float> w = random.normals(static_cast<std::size_t>(n));
            std::vector<float> out(x.size());
            double squares = 0;
            for (const float v : x) squares += double{v} * v;
            kernels->rmsNorm(x.data(), w.data(), 1.0F, 1e-5F, n, out.data());
            for (std::size_t i = 0; i < x.size(); ++i) {
                CHECK(out[i] == Approx(x[i] / std::sqrt(squares / n + 1e-5) * (1.0 + w[i]))
                                    .epsilon(1e-5)
                                    .margin(1e-6));
            }
            for (const Activation kind :
                 {Activation::Silu, Activation::GeluTanh, Activation::GptOssSwiGlu}) {
                spec.activation = kind;
                kernels->activate(kind, 1.702F, 7.0F, x.data(), w.data(), n, out.data());
                for (std::size_t i = 0; i < x.size(); ++i) {
                    CHECK(out[i] == Approx(gatedActivation<double>(spec, x[i], w[i]))
                                        .epsilon(1e-5)
                                        .margin(1e-6));
                }
            }
            kernels->activate(Activation::GeluTanh, 0, 0, x.data(), nullptr, n, out.data());
            for (std::size_t i = 0; i < x.size(); ++i) {
                CHECK(out[i] == Approx(geluTanh(double{x[i]})).epsilon(1e-5).margin(1e-6));
            }
        }
    }
}

TEST_CASE("extreme activations stay finite") {
    for (const Kernels* kernels : everyKernels()) {
        const float x[4] = {-1e30F, 1e30F, -200.0F, 200.0F};
        float out[4];
        kernels->activate(Activation::Silu, 0, 0, x, nullptr, 4, out);
        CHECK(out[0] == Approx(0.0).margin(1e-6));
        CHECK(out[1] == Approx(1e30));
        CHECK(out[2] == Approx(0.0).margin(1e-6));
        CHECK(out[3] == Approx(200.0));
    }
}

TEST_CASE("activations of what is not a number are not numbers on every target") {
    const std::vector<float> numbers(37, 0.5F);
    for (const Kernels* kernels : everyKernels()) {
        for (const std::size_t at : {std::size_t{0}, std::size_t{15}, std::size_t{36}}) {
            std::vector<float> broken = numbers;
            broken[at] = NAN;
            for (const Activation kind :
                 {Activation::Silu, Activation::GeluTanh, Activation::GptOssSwiGlu}) {
                INFO(kernels->name << " " << static_cast<int>(kind) << " at " << at);
                for (const bool inGate : {true, false}) {
                    std::vector<float> out(37);
                    kernels->activate(kind, 1.702F, 7.0F, (inGate ? broken : numbers).data(),
                                      (inGate ? numbers : broken).data(), 37, out.data());
                    for (std::size_t i = 0; i < out.size(); ++i)
                        CHECK(std::isnan(out[i]) == (i == at));
                }
                std::vector<float> plain(37);
                kernels->activate(kind, 1.702F, 7.0F, broken.data(), nullptr, 37, plain.data());
                CHECK(std::isnan(plain[at]));
            }
        }
    }
}

TEST_CASE("a softmax over what is not a number has no sum on every target") {
    for (const Kernels* kernels : everyKernels()) {
        for (std::size_t at = 0; at < 32; at += 5) {
            INFO(kernels->name << " at " << at);
            std::vector<float> p(32, 0.25F);
            p[at] = NAN;
            const float sum = kernels->expSum(p.data(), 32, 0.25F);
            CHECK(std::isnan(sum));
            CHECK(std::isnan(p[at]));
        }
    }
}

TEST_CASE("norms of values whose squares overflow are right on every target") {
    for (const Kernels* kernels : everyKernels()) {
        INFO(kernels->name);
        const std::vector<float> x(40, -3e25F);
        const std::vector<float> ones(40, 1.0F);
        std::vector<float> out(40);
        kernels->rmsNorm(x.data(), ones.data(), 0.0F, 1e-5F, 40, out.data());
        for (const float v : out) CHECK(v == Approx(-1.0));
    }
}

TEST_CASE("norms and products of what is not a number are not numbers on every target") {
    RandomTensors random(11);
    for (const Kernels* kernels : everyKernels()) {
        std::vector<float> x(64, 1.0F);
        x[40] = NAN;
        const std::vector<float> ones(64, 1.0F);
        std::vector<float> out(64);
        kernels->rmsNorm(x.data(), ones.data(), 0.0F, 1e-5F, 64, out.data());
        CHECK(std::isnan(out[0]));
        for (const DType type : kTypes) {
            if (isKQuant(type)) continue;  // packed as F16
            INFO(kernels->name << " " << dtypeInfo(type).name);
            const Packed packed(random.matrix(type, 16, 64));
            const ActivationLayout layout(64);
            Arena arena(layout.bytes);
            std::byte* row = arena.take(layout.bytes);
            std::memcpy(row, x.data(), 4 * x.size());
            kernels->finishActivation(layout, row);
            float y[16];
            kernels->matVec[static_cast<std::size_t>(packed.stack.first.format)](
                packed.stack.first, 0, 1, layout, row, y);
            for (const float v : y) CHECK(std::isnan(v));
        }
    }
}

TEST_CASE("softmax kernels equal double arithmetic on every target") {
    RandomTensors random(4);
    for (const Kernels* kernels : everyKernels()) {
        INFO(kernels->name);
        std::vector<float> p = random.normals(64, 4.0F);
        p[7] = -std::numeric_limits<float>::infinity();
        const float largest = *std::max_element(p.begin(), p.end());
        CHECK(kernels->maxOf(p.data(), 64) == largest);
        const std::vector<float> before = p;
        const float sum = kernels->expSum(p.data(), 64, largest);
        double expected = 0;
        for (std::size_t i = 0; i < p.size(); ++i) {
            const double e = std::exp(double{before[i]} - largest);
            expected += e;
            CHECK(p[i] == Approx(e).epsilon(2e-6).margin(1e-30));
        }
        CHECK(sum == Approx(expected).epsilon(1e-5));
    }
}
