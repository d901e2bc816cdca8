// SPDX-License-Identifier: Apache-2.0
// Reads little-endian fields from a byte range; every read is checked against its end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/core/error.h"

namespace moescope {

class ByteCursor {
public:
    /// `origin` begins every message ("model.gguf"); the bytes must outlive the cursor.
    ByteCursor(std::span<const std::byte> bytes, std::string origin, std::uint64_t position = 0)
        : bytes_(bytes), origin_(std::move(origin)), position_(position) {}

    std::uint64_t position() const noexcept { return position_; }
    std::uint64_t remaining() const noexcept { return bytes_.size() - position_; }
    const std::string& origin() const noexcept { return origin_; }

    [[noreturn]] void fail(const std::string& cause) const { throw Error(origin_ + ": " + cause); }

    /// Moves past `count` bytes; Error when the file ends before.
    void skip(std::uint64_t count, std::string_view what) {
        if (count > remaining()) {
            fail("ends inside " + std::string(what) + " (" + std::to_string(count) +
                 " bytes wanted at byte " + std::to_string(position_) + ", the file has " +
                 std::to_string(bytes_.size()) + "; truncated download?)");
        }
        position_ += count;
    }

    template <typename T>
    T read(std::string_view what) {
        static_assert(std::is_trivially_copyable_v<T>);
        const std::uint64_t at = position_;
        skip(sizeof(T), what);
        T value;
        std::memcpy(&value, bytes_.data() + at, sizeof value);
        return value;
    }

    /// A string with a 64-bit length, as a view into the bytes.
    std::string_view readString(std::string_view what) {
        const auto length = read<std::uint64_t>(what);
        const std::uint64_t at = position_;
        skip(length, what);
        return {reinterpret_cast<const char*>(bytes_.data() + at),
                static_cast<std::size_t>(length)};
    }

private:
    std::span<const std::byte> bytes_;
    std::string origin_;
    std::uint64_t position_;
};

}  // namespace moescope
