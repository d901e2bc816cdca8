// SPDX-License-Identifier: Apache-2.0
// Data as .bz2 files hold it.
#pragma once

#include <bzlib.h>

#include <catch2/catch.hpp>
#include <string>

namespace moescope::testing {

inline std::string packedBzip2(std::string text) {
    std::string out(text.size() + text.size() / 50 + 600, '\0');  // as its manual says
    auto used = static_cast<unsigned>(out.size());
    REQUIRE(BZ2_bzBuffToBuffCompress(out.data(), &used, text.data(),
                                     static_cast<unsigned>(text.size()), 1, 0, 0) == BZ_OK);
    out.resize(used);
    return out;
}

}  // namespace moescope::testing
