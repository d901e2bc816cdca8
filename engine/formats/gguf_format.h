// SPDX-License-Identifier: Apache-2.0
// Constants of the GGUF container that its reader and its writer share.
// Source: ggml's docs/gguf.md (version 3).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/formats/tensor.h"

namespace moescope::gguf {

inline constexpr std::uint32_t kMagic = 0x46554747;  // "GGUF"
inline constexpr std::uint32_t kVersion = 3;
inline constexpr std::uint32_t kDefaultAlignment = 32;
inline constexpr int kMaxRank = 4;
inline constexpr std::uint64_t kJsonArrayLimit = 1024;  ///< promised by Checkpoint::config

enum class ValueType : std::uint32_t {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    String,
    Array,
    U64,
    I64,
    F64,
};

/// Bytes of a fixed-size value; 0 for strings, arrays and unknown types.
constexpr std::uint64_t valueBytes(ValueType type) noexcept {
    switch (type) {
        case ValueType::U8:
        case ValueType::I8:
        case ValueType::Bool:
            return 1;
        case ValueType::U16:
        case ValueType::I16:
            return 2;
        case ValueType::U32:
        case ValueType::I32:
        case ValueType::F32:
            return 4;
        case ValueType::U64:
        case ValueType::I64:
        case ValueType::F64:
            return 8;
        case ValueType::String:
        case ValueType::Array:
            break;
    }
    return 0;
}

/// ggml's type id; nothing for formats that GGUF cannot hold (MXFP4Split, U8).
std::optional<std::uint32_t> typeId(DType type) noexcept;
/// Nothing for ids we do not read.
std::optional<DType> dtypeOf(std::uint32_t typeId) noexcept;
/// "Q5_0" for a known id, "type 123" otherwise; for messages.
std::string typeName(std::uint32_t typeId);

}  // namespace moescope::gguf
