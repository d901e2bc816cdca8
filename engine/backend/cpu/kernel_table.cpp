// SPDX-License-Identifier: Apache-2.0
// The registration table of instruction-set targets, and sizes of the packed layout.
#include "engine/backend/cpu/kernel_table.h"

#include <array>
#include <string>

#include "engine/core/arena.h"
#include "engine/core/cpu_features.h"
#include "engine/core/error.h"

namespace moescope::cpu {
namespace {

struct Target {
    std::string_view name;
    const Kernels* (*kernels)() noexcept;
    bool (*runs)(const CpuFeatures&);
};

// Slowest first.
constexpr std::array kTargets = {
    Target{"portable", portableKernels, [](const CpuFeatures&) { return true; }},
    Target{"avx2", avx2Kernels, [](const CpuFeatures& f) { return f.avx2; }},
    Target{"avx512", avx512Kernels, [](const CpuFeatures& f) { return f.avx512; }},
    Target{"avx512_vnni", avx512VnniKernels, [](const CpuFeatures& f) { return f.avx512Vnni; }},
    Target{"avx512_bf16", avx512Bf16Kernels,
           [](const CpuFeatures& f) { return f.avx512Vnni && f.avx512Bf16; }},
};

constexpr std::array<PackedInfo, kPackedFormats> kInfo = {{
    {"mxfp4", 256, 16},
    {"q8_0", 512, 32},
    {"q4_0", 256, 32},
    {"q4_1", 256, 64},
    {"q4_k", 256, 128},
    {"q5_k", 512, 128},
    {"q6_k", 512, 128},
    {"bf16", 1024, 0},
    {"f16", 1024, 0},
    {"f32", 2048, 0},
}};

std::uint64_t blocksOf(const PackedMatrix& m, std::int32_t groups) {
    return static_cast<std::uint64_t>(groups) * static_cast<std::uint64_t>(m.blocks);
}

}  // namespace

const PackedInfo& packedInfo(PackedFormat format) noexcept {
    return kInfo[static_cast<std::size_t>(format)];
}

std::uint64_t PackedMatrix::codeBytes() const noexcept {
    return blocksOf(*this, 2 * tiles()) * static_cast<std::uint64_t>(packedInfo(format).blockBytes);
}

std::uint64_t PackedMatrix::scaleBytes() const noexcept {
    return blocksOf(*this, 2 * tiles()) * static_cast<std::uint64_t>(packedInfo(format).scaleBytes);
}

std::uint64_t PackedMatrix::readBytes() const noexcept {
    const PackedInfo& info = packedInfo(format);
    return blocksOf(*this, groups()) *
           static_cast<std::uint64_t>(info.blockBytes + info.scaleBytes);
}

ActivationLayout::ActivationLayout(int columns, bool split_)
    : cols(columns), blocks((columns + kBlockCols - 1) / kBlockCols), split(split_) {
    const auto padded = static_cast<std::size_t>(blocks) * kBlockCols;
    sums = 4 * padded;
    steps = sums + 4 * static_cast<std::size_t>(blocks);
    starts = steps + 4 * static_cast<std::size_t>(blocks);
    ordinary = starts + 4 * kActivationStarts * static_cast<std::size_t>(blocks);
    quants = Arena::aligned(ordinary + 4);
    high = quants + 2 * padded;
    low = high + 2 * padded;
    bytes = Arena::aligned(split ? low + 2 * padded : high);
}

std::vector<const Kernels*> availableKernels() {
    std::vector<const Kernels*> found;
    for (const Target& target : kTargets) {
        const Kernels* kernels = target.kernels();
        if (kernels != nullptr && target.runs(cpuFeatures())) found.push_back(kernels);
    }
    return found;
}

const Kernels& chooseKernels(std::string_view name) {
    const std::vector<const Kernels*> found = availableKernels();
    if (name.empty()) return *found.back();
    std::string names;
    for (const Kernels* kernels : found) {
        if (kernels->name == name) return *kernels;
        names += (names.empty() ? "" : ", ") + std::string(kernels->name);
    }
    bool known = false;
    for (const Target& target : kTargets) known = known || target.name == name;
    throw UsageError("cpu target \"" + std::string(name) + "\" " +
                         (known ? "cannot run on this machine" : "does not exist"),
                     "available here: " + names);
}

}  // namespace moescope::cpu
