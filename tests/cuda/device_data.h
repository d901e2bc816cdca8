// SPDX-License-Identifier: Apache-2.0
// Data of kernel tests: device buffers, weights as floats and as they lie in device memory. Written
// from the description in layout.h alone, apart from the packing of models.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "engine/backend/cuda/launch.h"
#include "engine/backend/cuda/layout.h"
#include "engine/backend/cuda/prefill.h"
#include "engine/formats/half.h"

namespace moescope::cuda::test {

inline constexpr WeightFormat kFormats[] = {WeightFormat::Bf16, WeightFormat::Bf16Pair,
                                            WeightFormat::Q8_0, WeightFormat::Mxfp4};

/// Device memory, poisoned with NaN or a copy of host data.
template <typename T>
class Buffer {
public:
    /// As large as it says, so that who reads behind it is found.
    explicit Buffer(std::size_t count) : count_(count) {
        check(cudaMalloc(reinterpret_cast<void**>(&data_), bytes()), "cudaMalloc");
        check(cudaMemsetAsync(data_, 0xFF, bytes(), nullptr), "cudaMemset");
    }
    explicit Buffer(const std::vector<T>& from) : Buffer(from.size()) {
        check(cudaMemcpyAsync(data_, from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice,
                              nullptr),
              "cudaMemcpy");
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { cudaFree(data_); }

    T* get() const { return data_; }
    std::vector<T> read() const {
        std::vector<T> to(count_);
        check(
            cudaMemcpyAsync(to.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost, nullptr),
            "cudaMemcpy");
        check(cudaStreamSynchronize(nullptr), "the kernels under test");
        return to;
    }

private:
    std::size_t bytes() const { return std::max<std::size_t>(count_, 1) * sizeof(T); }

    T* data_ = nullptr;
    std::size_t count_;
};

inline std::vector<float> randomFloats(std::size_t count, unsigned seed, float sigma = 1.0F) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0F, sigma);
    std::vector<float> values(count);
    for (float& x : values) x = normal(random);
    return values;
}

/// |a - b| / |b|; NaN where `a` has one.
inline double errorNorm(const std::vector<float>& a, const std::vector<double>& b) {
    double difference = 0.0, norm = 0.0;
    for (std::size_t i = 0; i < b.size(); ++i) {
        difference += (a[i] - b[i]) * (a[i] - b[i]);
        norm += b[i] * b[i];
    }
    return std::sqrt(difference / norm);
}

/// A stack of random matrices, in floats and in device memory.
class Weights {
public:
    Weights(WeightFormat format, int stack, int rows, int cols, unsigned seed)
        : random_(seed), values_(static_cast<std::size_t>(stack) * rows * cols) {
        matrix_.rows = rows;
        matrix_.cols = cols;
        matrix_.format = format;
        codes_.resize(stack * matrix_.codeBytes());
        // What lies past the end of a row's scales is never to matter.
        scales_.assign(stack * matrix_.scaleBytes(), 0xFF);
        for (int s = 0; s < stack; ++s) {
            for (int r = 0; r < rows; ++r) fillRow(s, r);
        }
        deviceCodes_ = std::make_unique<Buffer<std::uint8_t>>(codes_);
        deviceScales_ = std::make_unique<Buffer<std::uint8_t>>(scales_);
        matrix_.codes = reinterpret_cast<const uint4*>(deviceCodes_->get());
        if (!scales_.empty()) {
            matrix_.scales = reinterpret_cast<const std::uint32_t*>(deviceScales_->get());
        }
    }

    const DeviceMatrix& matrix() const { return matrix_; }
    float at(int stack, int row, int col) const {
        return values_[(static_cast<std::size_t>(stack) * matrix_.rows + row) * matrix_.cols + col];
    }

private:
    std::size_t tileOf(int stack, int row) const {
        return static_cast<std::size_t>(stack) * matrix_.tiles() + row / kTileRows;
    }
    std::uint8_t* unit(int stack, int row, std::int64_t index) {
        return codes_.data() + (tileOf(stack, row) * matrix_.tileUnits() + index) * 16;
    }
    std::uint8_t* scaleWord(int stack, int row, std::int64_t index) {
        return scales_.data() + (tileOf(stack, row) * matrix_.tileScales() + index) * 4;
    }
    static void put16(std::uint8_t* at, std::uint16_t value) { std::memcpy(at, &value, 2); }

    void fillRow(int s, int r) {
        const int cols = matrix_.cols;
        float* const row = values_.data() + (static_cast<std::size_t>(s) * matrix_.rows + r) * cols;
        if (matrix_.format == WeightFormat::Mxfp4) return fillMxfp4(s, r, row);
        if (matrix_.format == WeightFormat::Q8_0) return fillQ8(s, r, row);
        const bool pair = matrix_.format == WeightFormat::Bf16Pair;
        std::normal_distribution<float> normal;
        for (int c = 0; c < cols; ++c) {
            const float x = normal(random_);
            const std::uint16_t high = floatToBf16(x);
            const std::uint16_t low = floatToBf16(x - bf16ToFloat(high));
            row[c] = bf16ToFloat(high) + (pair ? bf16ToFloat(low) : 0.0F);
            const int lane = 4 * (r % 8) + c % 32 / 8;
            const int index = c / 32 * chunkUnits(matrix_.format) + lane;
            put16(unit(s, r, index) + c % 8 * 2, high);
            if (pair) put16(unit(s, r, index + 32) + c % 8 * 2, low);
        }
    }
    void fillQ8(int s, int r, float* row) {
        for (int c = 0; c < matrix_.cols; ++c) {
            const int chunk = c / 64;
            const int block = c % 64 / 32;
            std::uint8_t* const scale =
                scaleWord(s, r, chunk * 8 + r % 8 / 2 * 2 + block) + r % 2 * 2;
            if (c % 32 == 0) {
                put16(scale, floatToHalf(0.001F * static_cast<float>(1 + random_() % 30)));
            }
            std::uint16_t half;
            std::memcpy(&half, scale, 2);
            const int code = static_cast<int>(random_() % 256) - 128;
            row[c] = static_cast<float>(code) * halfToFloat(half);
            const int lane = 4 * (r % 8) + c % 32 / 8;
            unit(s, r, chunk * 32 + lane)[block * 8 + c % 8] = static_cast<std::uint8_t>(code);
        }
        // The second block of a last chunk may not exist; a file's packing leaves zeros there.
        if (matrix_.cols % 64 != 0 && matrix_.cols % 64 <= 32) {
            put16(scaleWord(s, r, matrix_.cols / 64 * 8 + r % 8 / 2 * 2 + 1) + r % 2 * 2, 0);
        }
    }
    void fillMxfp4(int s, int r, float* row) {
        const int blocks = (matrix_.cols + 31) / 32;
        for (int b = 0; b < blocks; ++b) {
            const int chunk = b / 4;
            const int t = b % 4;
            const int present = chunk + 1 < matrix_.chunks() ? 4 : matrix_.lastChunkBlocks();
            const auto e = static_cast<std::uint8_t>(119 + random_() % 8);
            scaleWord(s, r, chunk / 4 * 32 + 4 * (r % 8) + t)[chunk % 4] = e;
            for (int octet = 0; octet < 4; ++octet) {
                std::uint8_t codes[8] = {};
                for (int i = 0; i < 8; ++i) {
                    const int c = 32 * b + 8 * octet + i;
                    if (c >= matrix_.cols) continue;
                    codes[i] = static_cast<std::uint8_t>(random_() % 16);
                    row[c] = kE2m1Values[codes[i]] * e8m0ToFloat(e);
                }
                const std::uint32_t word = mxfp4Word(codes);
                std::memcpy(unit(s, r, mxfp4Unit(chunk, present, r % 8, t)) + 4 * octet, &word, 4);
            }
        }
    }

    std::mt19937 random_;
    std::vector<float> values_;
    DeviceMatrix matrix_;
    std::vector<std::uint8_t> codes_;
    std::vector<std::uint8_t> scales_;
    std::unique_ptr<Buffer<std::uint8_t>> deviceCodes_, deviceScales_;
};

/// Rows of activations in operand order, in device memory.
class Operand {
public:
    /// Random values.
    Operand(WeightFormat format, int rows, int cols, bool low, unsigned seed)
        : Operand(format, rows, cols, low) {
        values_ = randomFloats(static_cast<std::size_t>(rows) * cols, seed);
        const std::size_t size = static_cast<std::size_t>(rows) * rows_.stride;
        std::vector<std::uint16_t> high(size), rest(size);
        for (int r = 0; r < rows; ++r) {
            for (int c = 0; c < cols; ++c) {
                const std::size_t at =
                    static_cast<std::size_t>(r) * rows_.stride + operandPosition(format, c);
                const float x = values_[static_cast<std::size_t>(r) * cols + c];
                high[at] = floatToBf16(x);
                rest[at] = floatToBf16(x - bf16ToFloat(high[at]));
            }
        }
        high_ = std::make_unique<Buffer<std::uint16_t>>(high);
        low_ = std::make_unique<Buffer<std::uint16_t>>(rest);
        point(low);
    }
    /// Poison, to be written by a kernel.
    Operand(WeightFormat format, int rows, int cols, bool low) : count_(rows), cols_(cols) {
        rows_.format = format;
        const int chunk = chunkColumns(format);
        rows_.stride = (cols + chunk - 1) / chunk * chunk;
        const std::size_t size = static_cast<std::size_t>(rows) * rows_.stride;
        high_ = std::make_unique<Buffer<std::uint16_t>>(size);
        low_ = std::make_unique<Buffer<std::uint16_t>>(size);
        point(low);
    }

    const OperandRows& rows() const { return rows_; }
    float at(int row, int col) const {
        return values_[static_cast<std::size_t>(row) * cols_ + col];
    }
    /// (rows, cols) in their own order, high + low. Throws unless the padding is zeros.
    std::vector<float> read() const {
        const auto high = high_->read();
        const auto low = low_->read();
        std::vector<float> values(static_cast<std::size_t>(count_) * cols_);
        for (int r = 0; r < count_; ++r) {
            for (int p = 0; p < rows_.stride; ++p) {
                const std::size_t at = static_cast<std::size_t>(r) * rows_.stride + p;
                const float x =
                    bf16ToFloat(high[at]) + (rows_.low != nullptr ? bf16ToFloat(low[at]) : 0.0F);
                const int column = operandColumn(rows_.format, p);
                if (column < cols_) {
                    values[static_cast<std::size_t>(r) * cols_ + column] = x;
                } else if (x != 0.0F) {
                    throw Error("padding is not zero");
                }
            }
        }
        return values;
    }

private:
    void point(bool low) {
        rows_.high = high_->get();
        rows_.low = low ? low_->get() : nullptr;
    }

    OperandRows rows_;
    int count_, cols_;
    std::vector<float> values_;
    std::unique_ptr<Buffer<std::uint16_t>> high_, low_;
};

}  // namespace moescope::cuda::test
