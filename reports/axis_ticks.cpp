// SPDX-License-Identifier: Apache-2.0
#include "reports/axis_ticks.h"

#include <cmath>
#include <initializer_list>

namespace moescope {

std::vector<double> axisTicks(double low, double high, int count) {
    const double rough = (high - low) / count;
    const double power = std::pow(10.0, std::floor(std::log10(rough)));
    // The nearest round step by ratio: the next one above can leave an axis with two ticks.
    double step = power;
    for (const double factor : {2.0, 5.0, 10.0}) {
        if (std::abs(std::log(factor * power / rough)) < std::abs(std::log(step / rough)))
            step = factor * power;
    }
    std::vector<double> ticks;
    // Counted, not accumulated: sums of 0.1 drift.
    for (double n = std::ceil(low / step - 1e-9); n * step <= high + step * 1e-9; ++n)
        ticks.push_back(n * step);
    return ticks;
}

std::vector<double> decadeTicks(double low, double high) {
    const auto ticks = [&](std::initializer_list<double> factors) {
        std::vector<double> out;
        const int last = static_cast<int>(std::ceil(std::log10(high)));
        for (int n = static_cast<int>(std::floor(std::log10(low))); n <= last; ++n)
            for (const double factor : factors)
                if (const double tick = factor * std::pow(10.0, n); tick >= low && tick <= high)
                    out.push_back(tick);
        return out;
    };
    const std::vector<double> powers = ticks({1});
    return powers.size() < 3 ? ticks({1, 2, 5}) : powers;
}

}  // namespace moescope
