// SPDX-License-Identifier: Apache-2.0
// Places for the texts of a picture, for pages and for the window: none on another or on a point,
// and none on a line where that can be helped.
#pragma once

#include <optional>
#include <span>
#include <vector>

namespace moescope {

/// Pixels; y grows downwards.
struct LabelBox {
    double left = 0, top = 0, right = 0, bottom = 0;

    bool touches(const LabelBox& other) const noexcept;
    bool within(const LabelBox& other) const noexcept;
};

enum class LabelAnchor { Start, Middle, End };

/// Where a text goes: its left, middle or right at x, its middle at y.
struct LabelPlace {
    double x = 0, y = 0;
    LabelAnchor anchor = LabelAnchor::Start;

    LabelBox box(double width, double height) const noexcept;
};

class LabelPlacer {
public:
    /// Texts stay within `area` and are `lineHeight` pixels high.
    LabelPlacer(const LabelBox& area, double lineHeight) : area_(area), height_(lineHeight) {}

    void avoid(const LabelBox& box) { taken_.push_back(box); }
    void avoidLine(double x1, double y1, double x2, double y2);

    /// Takes the first place that touches nothing, else the first that touches lines only. Empty:
    /// there is none, and the text is better left out.
    std::optional<LabelPlace> place(double width, std::span<const LabelPlace> places);
    /// Over or under the right end (x, y) of a level line or further left along it, its middle
    /// `above` or `below` pixels away.
    std::optional<LabelPlace> placeAtEnd(double width, double x, double y, double above,
                                         double below);
    /// Beside, above or below a point of that radius.
    std::optional<LabelPlace> place(double width, double x, double y, double radius);

    /// A text turned along the line from (x1, y1) to (x2, y2), its middle `above` pixels over it:
    /// where along the line that middle goes, 0 to 1, a few parts of it tried.
    std::optional<double> placeAlong(double width, double x1, double y1, double x2, double y2,
                                     double above);

private:
    bool free(const LabelBox& box, bool lines) const;

    LabelBox area_;
    double height_;
    std::vector<LabelBox> taken_, lines_;
};

}  // namespace moescope
