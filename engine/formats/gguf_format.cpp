// SPDX-License-Identifier: Apache-2.0
#include "engine/formats/gguf_format.h"

#include <array>
#include <string_view>
#include <utility>

namespace moescope::gguf {
namespace {

constexpr std::array<std::pair<DType, std::uint32_t>, 13> kTypeIds{{
    {DType::F32, 0},
    {DType::F16, 1},
    {DType::Q4_0, 2},
    {DType::Q4_1, 3},
    {DType::Q5_0, 6},
    {DType::Q8_0, 8},
    {DType::Q4_K, 12},
    {DType::Q5_K, 13},
    {DType::Q6_K, 14},
    {DType::I32, 26},
    {DType::I64, 27},
    {DType::BF16, 30},
    {DType::MXFP4, 39},
}};

/// Formats we do not read, named so that the message tells the user what the file holds.
constexpr std::array<std::pair<std::uint32_t, std::string_view>, 21> kOtherNames{{
    {7, "Q5_1"},    {9, "Q8_1"},      {10, "Q2_K"},  {11, "Q3_K"},   {15, "Q8_K"},  {16, "IQ2_XXS"},
    {17, "IQ2_XS"}, {18, "IQ3_XXS"},  {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"}, {22, "IQ2_S"},
    {23, "IQ4_XS"}, {24, "I8"},       {25, "I16"},   {28, "F64"},    {29, "IQ1_M"}, {34, "TQ1_0"},
    {35, "TQ2_0"},  {31, "Q4_0_4_4"}, {40, "NVFP4"},
}};

}  // namespace

std::optional<std::uint32_t> typeId(DType type) noexcept {
    for (const auto& [known, id] : kTypeIds) {
        if (known == type) return id;
    }
    return std::nullopt;
}

std::optional<DType> dtypeOf(std::uint32_t typeId) noexcept {
    for (const auto& [type, id] : kTypeIds) {
        if (id == typeId) return type;
    }
    return std::nullopt;
}

std::string typeName(std::uint32_t typeId) {
    if (const auto type = dtypeOf(typeId)) return std::string(dtypeInfo(*type).name);
    for (const auto& [id, name] : kOtherNames) {
        if (id == typeId) return std::string(name);
    }
    return "type " + std::to_string(typeId);
}

}  // namespace moescope::gguf
