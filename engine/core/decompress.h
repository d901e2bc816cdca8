// SPDX-License-Identifier: Apache-2.0
// Bounded decompression of .xz and .bz2 files that anybody may have made.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace moescope {

/// Throws Error naming `origin`: no xz data, truncated, damaged, more than `maxBytes`, or more than
/// 2000 times the compressed size (a decompression bomb).
std::string decompressXz(std::string_view compressed, const std::string& origin,
                         std::uint64_t maxBytes);

/// The same for bzip2, also of several streams in a row, as parallel packers write.
std::string decompressBzip2(std::string_view compressed, const std::string& origin,
                            std::uint64_t maxBytes);

}  // namespace moescope
