// SPDX-License-Identifier: Apache-2.0
#include "reports/curve_set.h"

#include <algorithm>
#include <cmath>

namespace moescope {

std::string horizontalText(const CurveSet& set, double x) {
    return set.whole ? formatCount(std::llround(x)) : formatFixed(x, 2);
}

std::vector<CurveLabel> spreadLabels(std::vector<CurveLabel> ends, double height, double top,
                                     double bottom) {
    std::stable_sort(ends.begin(), ends.end(),
                     [](const CurveLabel& a, const CurveLabel& b) { return a.y < b.y; });
    // Down from the first, then up from the last: what was pushed out below comes back.
    double least = top + height / 2;
    for (CurveLabel& end : ends) {
        end.y = std::max(end.y, least);
        least = end.y + height;
    }
    double most = bottom - height / 2;
    for (std::size_t i = ends.size(); i-- > 0;) {
        ends[i].y = std::min(ends[i].y, most);
        most = ends[i].y - height;
    }
    return ends;
}

}  // namespace moescope
