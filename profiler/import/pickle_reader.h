// SPDX-License-Identifier: Apache-2.0
// The subset of Python's pickle that torch.save describes tensors with, as a tree of values.
// Nothing in it is run. Source: Python's Lib/pickletools.py.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moescope {

/// Values name each other by index in PickleReader::values, so that what is nested deeply or in
/// itself takes no stack.
struct PickleValue {
    enum class Kind : std::uint8_t {
        None,
        Boolean,
        Integer,
        Real,
        Text,
        Tuple,
        List,
        Dictionary,  ///< items: key, value, key, value, ..
        Global,      ///< text: "torch IntStorage"
        Stored,      ///< a storage of the archive; items: the tuple that says which
        Tensor,      ///< items: the tuple of storage, offset, shape, stride, ..
    };
    Kind kind = Kind::None;
    std::int64_t integer = 0;
    std::string_view text;  ///< into the pickle
    std::vector<std::uint32_t> items;
};

/// A pickle of more bytes is refused: that of a dictionary of tensors has some hundred.
inline constexpr std::size_t kMaxPickleBytes = std::size_t{1} << 20U;

struct Pickle {
    std::vector<PickleValue> values;
    std::uint32_t root = 0;

    const PickleValue& at(std::uint32_t index) const { return values[index]; }
};

/// The bytes must outlive the result. Throws Error "<origin>: ..": truncated, an opcode or an
/// object of Python's outside the subset, by name.
Pickle readPickle(std::span<const std::byte> bytes, const std::string& origin);

}  // namespace moescope
