// SPDX-License-Identifier: Apache-2.0
// Number formats of checkpoints and a non-owning view of one stored tensor.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace moescope {

enum class DType : std::uint8_t {
    F32,
    F16,
    BF16,
    Q8_0,  ///< 32 weights: f16 scale, 32 int8                              (34 bytes)
    Q4_0,  ///< 32 weights: f16 scale, 16 bytes nibbles, value (q - 8) * d  (18 bytes)
    Q4_1,  ///< 32 weights: f16 scale, f16 minimum, 16 bytes nibbles        (20 bytes)
    Q5_0,  ///< 32 weights: f16 scale, 32 high bits, 16 bytes nibbles, value (q - 16) * d (22 bytes)
    Q4_K,  ///< 256 weights, ggml super-block                               (144 bytes)
    Q5_K,  ///< 256 weights                                                 (176 bytes)
    Q6_K,  ///< 256 weights                                                 (210 bytes)
    MXFP4,  ///< 32 weights: E8M0 scale byte then 16 bytes, low nibble = element j, high = j + 16
    MXFP4Split,  ///< Hugging Face / OpenAI: 16-byte blocks (low nibble = 2i, high = 2i + 1), scales
                 ///< apart
    U8,
    I32,
    I64,
    // Whatever else safetensors hold: kept with name and size, never computed with.
    Bool,
    I8,
    I16,
    U16,
    U32,
    U64,
    F64,
    F8_E4M3,
    F8_E5M2,
    F8_E8M0,
    F8_E4M3FNUZ,
    F8_E5M2FNUZ,
    C64,
    F4,       ///< 2 in a byte
    F6_E2M3,  ///< 4 in three bytes
    F6_E3M2,  ///< 4 in three bytes
};

struct DTypeInfo {
    std::string_view name;      ///< "MXFP4", as printed by inspect
    std::int32_t blockWeights;  ///< weights per block; 1 for plain types
    std::int32_t blockBytes;    ///< bytes per block (MXFP4Split: 16, its scales not counted)
    bool isWeight;              ///< dequantizeRow understands it
};
const DTypeInfo& dtypeInfo(DType type) noexcept;

/// A matrix or stack of matrices inside a mapped checkpoint. Row-major, innermost dimension last
/// (GGUF's ne order reversed): an expert stack is (n_expert, n_rows, n_cols). Non-owning: valid
/// while the Checkpoint it came from lives.
struct TensorView {
    std::string name;
    DType type = DType::F32;
    std::array<std::int64_t, 4> shape{1, 1, 1, 1};  ///< right-aligned meaning: shape[0..rank)
    std::int32_t rank = 0;
    const std::byte* data = nullptr;
    const std::byte* scales = nullptr;  ///< MXFP4Split only: one E8M0 byte per block
    std::int64_t rowStride = 0;  ///< bytes from one row to the next; > packed size when interleaved
    std::int64_t scaleStride = 0;  ///< MXFP4Split only: bytes from one row's scales to the next's
    std::int64_t stackStride = 0;  ///< bytes from one matrix of a stack to the next
    std::int64_t scaleStackStride = 0;
    /// One address per matrix of a stack that lies scattered, as folders with one tensor for each
    /// expert have it; null where stackStride leads from one matrix to the next.
    const std::byte* const* matrices = nullptr;

    bool empty() const noexcept { return data == nullptr; }
    std::int64_t cols() const noexcept {
        return rank > 0 ? shape[static_cast<std::size_t>(rank - 1)] : 0;
    }
    std::int64_t rows() const noexcept {
        return rank > 1 ? shape[static_cast<std::size_t>(rank - 2)] : 1;
    }
    /// Matrices in the stack; the two outer dimensions of a rank-4 tensor count as one.
    std::int64_t stack() const noexcept {
        if (rank > 3) return shape[0] * shape[1];
        return rank > 2 ? shape[0] : 1;
    }
    std::int64_t elements() const noexcept { return stack() * rows() * cols(); }

    /// Where matrix `index` of the stack begins.
    const std::byte* matrixData(std::int64_t index) const noexcept {
        return matrices != nullptr ? matrices[index] : data + index * stackStride;
    }
    /// One matrix of a stack, as a rank-2 view. index in [0, stack()).
    TensorView matrix(std::int64_t index) const;
};

/// out: (cols) float32 = row `row` of matrix `stackIndex`. Every weight format; asserts otherwise.
void dequantizeRow(const TensorView& t, std::int64_t stackIndex, std::int64_t row,
                   std::span<float> out);

}  // namespace moescope
