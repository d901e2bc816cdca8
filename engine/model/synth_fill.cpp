// SPDX-License-Identifier: Apache-2.0
#include "engine/model/synth_fill.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

#include "engine/core/split_mix.h"
#include "engine/formats/half.h"

namespace moescope {
namespace {

// RMS of the eight E2M1 magnitudes drawn evenly: sqrt((0 + .25 + 1 + 2.25 + 4 + 9 + 16 + 36) / 8).
const double kRmsOfCodes = std::sqrt(68.5 / 8.0);
// RMS of the integers -127..127 drawn evenly (draws of -128 become -127).
constexpr double kRmsOfBytes = 73.5;

/// Number `index` of the stream: uniform around the mean, the same whatever type it is stored in.
class UniformValues {
public:
    UniformValues(const SynthTensor& t, std::uint64_t key)
        : mean_(t.mean), halfWidth_(t.rms * std::sqrt(3.0)), key_(key) {}
    float operator()(std::uint64_t index) const noexcept {
        const double unit = static_cast<double>(splitMixAt(key_, index) >> 11U) * 0x1p-53;
        return static_cast<float>(mean_ + (2.0 * unit - 1.0) * halfWidth_);
    }

private:
    double mean_;
    double halfWidth_;
    std::uint64_t key_;
};

void fillF32(const SynthTensor& t, std::uint64_t key, std::uint64_t first,
             std::span<std::byte> out) {
    const UniformValues values(t, key);
    for (std::size_t i = 0; i < out.size() / 4; ++i) {
        const float value = values(first + i);
        std::memcpy(out.data() + 4 * i, &value, sizeof value);
    }
}

void fillBf16(const SynthTensor& t, std::uint64_t key, std::uint64_t first,
              std::span<std::byte> out) {
    const UniformValues values(t, key);
    for (std::size_t i = 0; i < out.size() / 2; ++i) {
        const std::uint16_t value = floatToBf16(values(first + i));
        std::memcpy(out.data() + 2 * i, &value, sizeof value);
    }
}

void fillQ8_0(const SynthTensor& t, std::uint64_t key, std::uint64_t first,
              std::span<std::byte> out) {
    constexpr std::size_t kBytes = 34;
    const std::uint16_t d = floatToHalf(static_cast<float>(t.rms / kRmsOfBytes));
    for (std::size_t b = 0; b < out.size() / kBytes; ++b) {
        std::byte* block = out.data() + b * kBytes;
        std::memcpy(block, &d, sizeof d);
        for (std::uint64_t w = 0; w < 4; ++w) {
            const std::uint64_t bits = splitMixAt(key, (first + b) * 4 + w);
            std::memcpy(block + 2 + 8 * w, &bits, sizeof bits);
        }
        for (std::size_t i = 2; i < kBytes; ++i) {
            if (block[i] == std::byte{0x80}) block[i] = std::byte{0x81};
        }
    }
}

void fillMxfp4(const SynthTensor& t, std::uint64_t key, std::uint64_t first,
               std::span<std::byte> out) {
    constexpr std::size_t kBytes = 17;
    // Scales are powers of two: two neighbours are mixed so that the mean square is exact, which
    // also gives the scales some variety.
    const double wanted = t.rms / kRmsOfCodes;
    const int exponent = std::ilogb(wanted);
    const double ratio = wanted / std::ldexp(1.0, exponent);  // in [1, 2)
    const double upper = (ratio * ratio - 1.0) / 3.0;         // share of blocks with exponent + 1
    const auto threshold = static_cast<std::uint64_t>(upper * 0x1p32);
    const int scale = std::clamp(exponent + 127, 17, 253);
    for (std::size_t b = 0; b < out.size() / kBytes; ++b) {
        std::byte* block = out.data() + b * kBytes;
        const std::uint64_t at = (first + b) * 3;
        const bool larger = (splitMixAt(key, at) >> 32U) < threshold;
        block[0] = static_cast<std::byte>(scale + (larger ? 1 : 0));
        for (std::uint64_t w = 0; w < 2; ++w) {
            const std::uint64_t codes = splitMixAt(key, at + 1 + w);
            std::memcpy(block + 1 + 8 * w, &codes, sizeof codes);
        }
    }
}

}  // namespace

std::int64_t SynthTensor::elements() const noexcept {
    std::int64_t count = 1;
    for (const std::int64_t extent : shape) count *= extent;
    return count;
}

std::int64_t SynthTensor::blocks() const noexcept {
    return elements() / dtypeInfo(type).blockWeights;
}

std::vector<SynthChunk> splitTensors(const std::vector<SynthTensor>& tensors) {
    constexpr std::int64_t kChunkBytes = 4 << 20;
    std::vector<SynthChunk> chunks;
    for (std::size_t t = 0; t < tensors.size(); ++t) {
        const std::int64_t blockBytes = dtypeInfo(tensors[t].type).blockBytes;
        const std::int64_t step = kChunkBytes / blockBytes;
        for (std::int64_t b = 0; b < tensors[t].blocks(); b += step) {
            const std::int64_t blocks = std::min(step, tensors[t].blocks() - b);
            chunks.push_back({t, b, static_cast<std::size_t>(blocks * blockBytes)});
        }
    }
    return chunks;
}

std::uint64_t synthKey(std::uint64_t seed, const std::string& tensorName) {
    std::uint64_t hash = 0xCBF29CE484222325ULL;  // FNV-1a, 64 bits
    for (const char c : tensorName) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
    }
    return splitMixAt(hash, seed);
}

void fillBlocks(const SynthTensor& tensor, std::uint64_t key, std::int64_t first,
                std::span<std::byte> out) {
    const auto start = static_cast<std::uint64_t>(first);
    switch (tensor.type) {
        case DType::F32:
            return fillF32(tensor, key, start, out);
        case DType::BF16:
            return fillBf16(tensor, key, start, out);
        case DType::Q8_0:
            return fillQ8_0(tensor, key, start, out);
        case DType::MXFP4:
            return fillMxfp4(tensor, key, start, out);
        default:
            break;
    }
    assert(!"fillBlocks: F32, BF16, Q8_0 and MXFP4 only");
}

}  // namespace moescope
