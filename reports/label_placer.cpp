// SPDX-License-Identifier: Apache-2.0
#include "reports/label_placer.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace moescope {

bool LabelBox::touches(const LabelBox& other) const noexcept {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
}

bool LabelBox::within(const LabelBox& other) const noexcept {
    return left >= other.left && right <= other.right && top >= other.top && bottom <= other.bottom;
}

LabelBox LabelPlace::box(double width, double height) const noexcept {
    const double left = anchor == LabelAnchor::Start ? x
                        : anchor == LabelAnchor::End ? x - width
                                                     : x - width / 2;
    return {left, y - height / 2, left + width, y + height / 2};
}

void LabelPlacer::avoidLine(double x1, double y1, double x2, double y2) {
    constexpr int kPieces = 60;
    for (int i = 0; i <= kPieces; ++i) {
        const double x = std::lerp(x1, x2, i / double(kPieces));
        const double y = std::lerp(y1, y2, i / double(kPieces));
        const double half = std::abs(x2 - x1) / kPieces / 2 + 1;
        lines_.push_back({x - half, y - 1, x + half, y + 1});
    }
}

bool LabelPlacer::free(const LabelBox& box, bool lines) const {
    const auto touches = [&](const LabelBox& other) { return box.touches(other); };
    return box.within(area_) && std::none_of(taken_.begin(), taken_.end(), touches) &&
           (!lines || std::none_of(lines_.begin(), lines_.end(), touches));
}

std::optional<LabelPlace> LabelPlacer::place(double width, std::span<const LabelPlace> places) {
    for (const bool lines : {true, false}) {
        for (const LabelPlace& at : places) {
            if (!free(at.box(width, height_), lines)) continue;
            avoid(at.box(width, height_));
            return at;
        }
    }
    return std::nullopt;
}

std::optional<LabelPlace> LabelPlacer::place(double width, double x, double y, double radius) {
    const double away = radius + 4, up = radius + height_ / 2 + 2;
    return place(width, std::array<LabelPlace, 12>{{{x + away, y, LabelAnchor::Start},
                                                    {x - away, y, LabelAnchor::End},
                                                    {x + away, y - height_, LabelAnchor::Start},
                                                    {x + away, y + height_, LabelAnchor::Start},
                                                    {x - away, y - height_, LabelAnchor::End},
                                                    {x - away, y + height_, LabelAnchor::End},
                                                    {x, y - up, LabelAnchor::Middle},
                                                    {x, y + up, LabelAnchor::Middle},
                                                    {x, y + up, LabelAnchor::Start},
                                                    {x, y - up, LabelAnchor::End},
                                                    {x, y - up, LabelAnchor::Start},
                                                    {x, y + up, LabelAnchor::End}}});
}

std::optional<LabelPlace> LabelPlacer::placeAtEnd(double width, double x, double y, double above,
                                                  double below) {
    constexpr int kShifts = 8;
    constexpr double kShift = 40;
    std::vector<LabelPlace> places;
    for (int shift = 0; shift < kShifts; ++shift)
        for (const double away : {-above, below})
            places.push_back({x - kShift * shift, y + away, LabelAnchor::End});
    return place(width, places);
}

std::optional<double> LabelPlacer::placeAlong(double width, double x1, double y1, double x2,
                                              double y2, double above) {
    const double slope = std::atan2(y2 - y1, x2 - x1);
    for (const double at : {0.5, 0.35, 0.65, 0.2, 0.8}) {
        std::vector<LabelBox> pieces;
        for (double along = -width / 2; along <= width / 2; along += height_) {
            const double x =
                std::lerp(x1, x2, at) + along * std::cos(slope) + above * std::sin(slope);
            const double y =
                std::lerp(y1, y2, at) + along * std::sin(slope) - above * std::cos(slope);
            const double half = height_ / 2;
            pieces.push_back({x - half, y - half, x + half, y + half});
        }
        if (!std::all_of(pieces.begin(), pieces.end(),
                         [&](const LabelBox& box) { return free(box, false); }))
            continue;
        for (const LabelBox& box : pieces) avoid(box);
        return at;
    }
    return std::nullopt;
}

}  // namespace moescope
