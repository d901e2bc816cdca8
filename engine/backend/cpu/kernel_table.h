// SPDX-License-Identifier: Apache-2.0
// The hot functions of the cpu back end, one table per instruction set, and the packed weight
// layout they share.
//
// Weights are interleaved in groups of 16 rows, so that one 16-lane register holds one column of 16
// rows and a matrix-vector product needs no horizontal sums. Columns come in blocks of 32; the last
// block is padded with zeros, and so are rows up to a multiple of kTileRows. Within a group, block
// by block (r = row in the group, c = column in the block):
//   MXFP4, Q4_0, Q4_1  256 B: dword [c / 8][r]; column j = c % 8 sits at bit 16 (j & 1) + 4 (j >>
//   1),
//                      so that one 16-bit shift aligns the columns 2k and 2k + 1 of each row
//   Q4_K               the same, codes of Q4_1
//   Q8_0               512 B: bytes [c / 4][r], columns 0, 2, 1, 3 of four, so that one 16-bit
//   shift
//                      widens the columns 0 and 1, or 2 and 3, of each row
//   Q5_K, Q6_K         the same, codes 0 to 31 and -32 to 31
//   BF16              1024 B: [c / 2][r][c % 2]
//   F16 1024 B, F32 2048 B:   [c][r]
// Scales apart, per block: MXFP4 [r] E8M0; Q8_0, Q4_0 [r] f16; Q4_1 [r] f16 scale then [r] f16
// minimum; Q4_K, Q5_K the same in f32 (products of the file's f16 and six bits: exact); Q6_K [r]
// f32 for columns 0 to 15, then [r] f32 for the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/model/spec.h"

namespace moescope::cpu {

inline constexpr int kGroupRows = 16;
inline constexpr int kTileRows = 32;  ///< rows of a matrix-matrix tile: two groups
inline constexpr int kBlockCols = 32;

enum class PackedFormat : std::uint8_t {
    Mxfp4,
    Q8_0,
    Q4_0,
    Q4_1,
    Q4_K,
    Q5_K,
    Q6_K,
    Bf16,
    F16,
    F32
};
inline constexpr int kPackedFormats = 10;

struct PackedInfo {
    std::string_view name;
    std::int32_t blockBytes;  ///< codes of 16 rows x 32 columns
    std::int32_t scaleBytes;  ///< scales of 16 rows x 32 columns
};
const PackedInfo& packedInfo(PackedFormat format) noexcept;

/// One packed matrix (rows, cols). Non-owning.
struct PackedMatrix {
    PackedFormat format = PackedFormat::F32;
    std::int32_t rows = 0;
    std::int32_t cols = 0;
    std::int32_t blocks = 0;      ///< ceil(cols / 32)
    std::byte* codes = nullptr;   ///< (groups, blocks, blockBytes)
    std::byte* scales = nullptr;  ///< (groups, blocks, scaleBytes)

    std::int32_t tiles() const noexcept { return (rows + kTileRows - 1) / kTileRows; }
    std::int32_t groups() const noexcept { return (rows + kGroupRows - 1) / kGroupRows; }
    std::uint64_t codeBytes() const noexcept;  ///< allocated, padding included
    std::uint64_t scaleBytes() const noexcept;
    std::uint64_t readBytes() const noexcept;  ///< what one pass over all rows reads
};

/// Where block sums of `fast` kernels start: for each of three constants that they add to weights,
/// and for the largest of them over each half of a block.
inline constexpr int kActivationStarts = 5;

/// One row of activations, prepared for products: float32 values padded with zeros to whole blocks,
/// block sums, and what the target multiplies with: int16 with a step per block (x = quant * step,
/// to 2^-16 of the block's largest), and two bf16 (x = high + low, to 2^-17 x). `fast` kernels have
/// int8 (to 2^-8 of the block's largest) twice over in the place of the int16. Rows
/// of one buffer are `bytes` apart.
struct ActivationLayout {
    /// `split`: values are kept as two bf16 too, for weights of BF16.
    explicit ActivationLayout(int cols = 0, bool split = true);
    std::int32_t cols = 0;
    std::int32_t blocks = 0;
    bool split = true;
    std::size_t sums = 0;      ///< offset of (blocks) f32
    std::size_t steps = 0;     ///< offset of (blocks) f32
    std::size_t starts = 0;    ///< offset of (kActivationStarts, blocks) int32, see matmul_int8.h
    std::size_t ordinary = 0;  ///< offset of an int32, see ordinaryRows() in matmul_impl.h
    std::size_t quants = 0;    ///< offset of (blocks * 32) int16, or of (2, blocks * 32) int8
    std::size_t high = 0;      ///< if split: offset of (blocks * 32) bf16
    std::size_t low = 0;       ///< if split: offset of (blocks * 32) bf16
    std::size_t bytes = 0;     ///< a multiple of 64
};

struct Kernels {
    std::string_view name;  ///< "avx512_bf16"
    /// The same target with int8 activations for integer-coded weights; null where it has none.
    const Kernels* fast = nullptr;
    void (*finishActivation)(const ActivationLayout& layout, std::byte* row);

    /// out[0 .. 16 (end - begin)) f32 = rows of groups [begin, end) times the activation.
    void (*matVec[kPackedFormats])(const PackedMatrix& w, std::int64_t begin, std::int64_t end,
                                   const ActivationLayout& layout, const std::byte* row,
                                   float* out);
    /// out (n, 32) f32 = tile `tile` (two groups) times n activations. `panel`: kPanelBytes of
    /// scratch, 64-byte aligned.
    void (*matMul[kPackedFormats])(const PackedMatrix& w, std::int64_t tile,
                                   const ActivationLayout& layout, const std::byte* const* rows,
                                   int n, std::byte* panel, float* out);

    /// out (n) f32 = x * weight / sqrt(mean(x^2) + eps); `offset` is added to every weight.
    void (*rmsNorm)(const float* x, const float* weight, float offset, float eps, int n,
                    float* out);
    /// out (n) f32 = activation(gate, up); gate may be out. up is null for a plain MLP.
    void (*activate)(Activation kind, float alpha, float limit, const float* gate, const float* up,
                     int n, float* out);
    /// scores (nq, stride) f32: q (nq, head_dim) against 16 * groups keys, k (groups, head_width,
    /// 16); head_dim is even.
    void (*scores)(const float* q, int nq, std::int64_t qStride, const float* k,
                   std::int64_t groups, int headDim, int headWidth, float scale, float* scores,
                   std::int64_t stride);
    /// Largest of p (n); n is a multiple of 16 and positive.
    float (*maxOf)(const float* p, std::int64_t n);
    /// Replaces p (n) by exp(p - max), returns the sum. n is a multiple of 16.
    float (*expSum)(float* p, std::int64_t n, float max);
    /// out (nq, head_dim) f32 += p (nq, stride) times v (rows, head_dim). head_dim multiple of 16.
    void (*weightedSum)(const float* p, int nq, std::int64_t stride, const float* v,
                        std::int64_t rows, int headDim, float* out, std::int64_t outStride);
};

/// Bytes of scratch one matMul call needs: a dequantised panel of 32 rows x 256 columns.
inline constexpr std::size_t kPanelBytes = 32 * 256 * 4 + 2 * 8 * 32 * 4;

/// The tables this machine can run, slowest first.
std::vector<const Kernels*> availableKernels();
/// "" picks the last of availableKernels(). Throws UsageError (unknown, or not on this machine).
const Kernels& chooseKernels(std::string_view name);

// One per target file; null when the compiler or the architecture cannot build it.
const Kernels* portableKernels() noexcept;
const Kernels* avx2Kernels() noexcept;
const Kernels* avx512Kernels() noexcept;
const Kernels* avx512VnniKernels() noexcept;
const Kernels* avx512Bf16Kernels() noexcept;

}  // namespace moescope::cpu
