// SPDX-License-Identifier: Apache-2.0
// Data as .xz files hold it.
#pragma once

#include <catch2/catch.hpp>
#include <cstdint>
#include <string>

#include <lzma.h>

namespace moescope::testing {

inline std::string packedXz(const std::string& text) {
    std::string out(text.size() + 4096, '\0');
    std::size_t used = 0;
    REQUIRE(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, nullptr,
                                    reinterpret_cast<const std::uint8_t*>(text.data()), text.size(),
                                    reinterpret_cast<std::uint8_t*>(out.data()), &used,
                                    out.size()) == LZMA_OK);
    out.resize(used);
    return out;
}

}  // namespace moescope::testing
