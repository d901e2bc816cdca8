// SPDX-License-Identifier: Apache-2.0
// Zip archives whose entries are stored as they are, which torch.save's are: nothing is unpacked,
// so that no entry can be larger than the file. Source: PKWARE's APPNOTE.TXT 6.3.10, zip64
// included.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/mapped_file.h"

namespace moescope {

class StoredZip {
public:
    struct Entry {
        std::string_view name;  ///< as stored
        std::span<const std::byte> bytes;
    };

    /// The file must outlive the object. Throws Error naming it: no zip archive, truncated, an
    /// entry that is compressed, encrypted or outside the file, two of one name.
    explicit StoredZip(const MappedFile& file);

    const std::vector<Entry>& entries() const noexcept { return entries_; }  ///< by name
    /// Null where there is none.
    const Entry* find(std::string_view name) const noexcept;

private:
    std::vector<Entry> entries_;
};

}  // namespace moescope
