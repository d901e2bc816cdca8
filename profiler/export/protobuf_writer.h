// SPDX-License-Identifier: Apache-2.0
// As much of protobuf's wire format as traces need: varints, fixed 64-bit fields, bytes.
// https://protobuf.dev/programming-guides/encoding/
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace moescope {

/// One message being written; append it to its parent as bytes when it is done.
class ProtobufMessage {
public:
    ProtobufMessage& number(std::uint32_t field, std::uint64_t value) {
        tag(field, 0);
        varint(value);
        return *this;
    }
    /// int64 as protobuf has it: two's complement, not zigzag.
    ProtobufMessage& integer(std::uint32_t field, std::int64_t value) {
        return number(field, std::uint64_t(value));
    }
    ProtobufMessage& fixed(std::uint32_t field, std::uint64_t bits) {
        tag(field, 1);
        for (int i = 0; i < 8; ++i, bits >>= 8U) bytes_ += char(bits & 0xFFU);
        return *this;
    }
    ProtobufMessage& real(std::uint32_t field, double value) {
        return fixed(field, std::bit_cast<std::uint64_t>(value));
    }
    ProtobufMessage& bytes(std::uint32_t field, std::string_view value) {
        tag(field, 2);
        varint(value.size());
        bytes_ += value;
        return *this;
    }
    ProtobufMessage& message(std::uint32_t field, const ProtobufMessage& value) {
        return bytes(field, value.data());
    }

    const std::string& data() const noexcept { return bytes_; }
    bool empty() const noexcept { return bytes_.empty(); }
    void clear() noexcept { bytes_.clear(); }

private:
    void tag(std::uint32_t field, std::uint32_t type) { varint(std::uint64_t{field} << 3U | type); }
    void varint(std::uint64_t value) {
        for (; value >= 0x80U; value >>= 7U) bytes_ += char((value & 0x7FU) | 0x80U);
        bytes_ += char(value);
    }

    std::string bytes_;
};

}  // namespace moescope
