// SPDX-License-Identifier: Apache-2.0
// Markup of the SVG elements.
#include "reports/html/svg.h"

#include <array>
#include <charconv>
#include <cmath>

#include "reports/html/escape.h"

namespace moescope {
namespace {

/// Two decimals are a fiftieth of a pixel: plenty, and keeps thousands of cells small.
std::string number(double value) {
    std::array<char, 32> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(),
                                   std::round(value * 100) / 100, std::chars_format::fixed, 2);
    std::string text(buffer.data(), end.ptr);
    while (text.back() == '0') text.pop_back();
    if (text.back() == '.') text.pop_back();
    return text == "-0" ? "0" : text;
}

std::string attribute(std::string_view name, double value) {
    return " " + std::string(name) + "=\"" + number(value) + "\"";
}

std::string styleClass(std::string_view style) {
    return style.empty() ? "" : " class=\"" + std::string(style) + "\"";
}

std::string close(std::string_view element, std::string_view hover) {
    if (hover.empty()) return "/>";
    return "><title>" + htmlEscape(hover) + "</title></" + std::string(element) + ">";
}

}  // namespace

SvgCanvas::SvgCanvas(const FigureText& text, double width, double height) {
    body_ = "<svg class=\"figure\" role=\"img\" aria-labelledby=\"" + text.id + "-t " + text.id +
            "-d\" viewBox=\"0 0 " + number(width) + " " + number(height) + "\" width=\"" +
            number(width) + "\" height=\"" + number(height) + "\">\n<title id=\"" + text.id +
            "-t\">" + htmlEscape(text.title) + "</title>\n<desc id=\"" + text.id + "-d\">" +
            htmlEscape(text.description) + "</desc>\n";
}

void SvgCanvas::rect(double x, double y, double w, double h, std::string_view style,
                     std::string_view hover, std::string_view extra) {
    body_ += "<rect" + attribute("x", x) + attribute("y", y) + attribute("width", w) +
             attribute("height", h) + styleClass(style);
    if (!extra.empty()) body_ += " " + std::string(extra);
    body_ += close("rect", hover) + "\n";
}

void SvgCanvas::line(double x1, double y1, double x2, double y2, std::string_view style) {
    body_ += "<line" + attribute("x1", x1) + attribute("y1", y1) + attribute("x2", x2) +
             attribute("y2", y2) + styleClass(style) + "/>\n";
}

void SvgCanvas::polyline(std::span<const std::pair<double, double>> points,
                         std::string_view style) {
    body_ += "<polyline points=\"";
    for (std::size_t i = 0; i < points.size(); ++i)
        body_ += (i > 0 ? " " : "") + number(points[i].first) + "," + number(points[i].second);
    body_ += "\"" + styleClass(style) + "/>\n";
}

void SvgCanvas::circle(double x, double y, double radius, std::string_view style,
                       std::string_view hover) {
    body_ += "<circle" + attribute("cx", x) + attribute("cy", y) + attribute("r", radius) +
             styleClass(style) + close("circle", hover) + "\n";
}

void SvgCanvas::text(double x, double y, std::string_view content, std::string_view anchor,
                     std::string_view style) {
    body_ += "<text" + attribute("x", x) + attribute("y", y) + " text-anchor=\"" +
             std::string(anchor) + "\"" + styleClass(style) + ">" + htmlEscape(content) +
             "</text>\n";
}

std::string SvgCanvas::html() const {
    return body_ + "</svg>\n";
}

}  // namespace moescope
