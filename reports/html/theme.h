// SPDX-License-Identifier: Apache-2.0
// Colours of the page, light and dark. The tests hold every text pair to a contrast of 4.5.
#pragma once

#include "reports/colors.h"

namespace moescope {

struct PageTheme {
    Rgb paper, panel;  ///< page; cards and table heads
    Rgb ink, muted;    ///< running text; notes
    Rgb rule;          ///< hairlines, no text
    Rgb link;
    Rgb mark;             ///< bars and dots
    Rgb chance;           ///< what chance shows, drawn beside `mark`
    Rgb warning, banner;  ///< backgrounds of notices, under `ink`
};

inline constexpr PageTheme kLightTheme = {
    rgb(0xFFFFFF), rgb(0xF4F6F8), rgb(0x1B1F24), rgb(0x545D68), rgb(0xD5DAE0),
    rgb(0x0B5CAD), rgb(0x0072B2), rgb(0xE69F00), rgb(0xFFE9D6), rgb(0xE3F0FB)};
inline constexpr PageTheme kDarkTheme = {rgb(0x14181D), rgb(0x1D232A), rgb(0xE6EAEE), rgb(0xA7B0BA),
                                         rgb(0x39424C), rgb(0x7DBBF5), rgb(0x56B4E9), rgb(0xE69F00),
                                         rgb(0x4A2A12), rgb(0x12324D)};

}  // namespace moescope
