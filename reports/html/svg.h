// SPDX-License-Identifier: Apache-2.0
// The few SVG elements that the figures use, with numbers printed independently of the locale.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "reports/html/figures.h"

namespace moescope {

class SvgCanvas {
public:
    /// Size in user units; the page scales the figure down to the width it has.
    SvgCanvas(const FigureText& text, double width, double height);

    /// `extra` is raw markup of attributes, e.g. a fill; `hover` is plain text, "" for none.
    void rect(double x, double y, double w, double h, std::string_view style,
              std::string_view hover = {}, std::string_view extra = {});
    void line(double x1, double y1, double x2, double y2, std::string_view style);
    /// Straight from point to point; `style` fills or strokes it.
    void polyline(std::span<const std::pair<double, double>> points, std::string_view style);
    void circle(double x, double y, double radius, std::string_view style,
                std::string_view hover = {});
    /// `anchor` "start", "middle" or "end".
    void text(double x, double y, std::string_view content, std::string_view anchor,
              std::string_view style = {});
    void raw(std::string_view markup) { body_ += markup; }
    std::string html() const;

private:
    std::string body_;
};

}  // namespace moescope
