// SPDX-License-Identifier: Apache-2.0
#include "gui/data/colors.h"

#include <QCoreApplication>
#include <algorithm>
#include <array>
#include <cmath>

#include "gui/data/format.h"

namespace moescope::gui {
namespace {

constexpr std::array<Category, 12> kCategories = {{
    {"embed", "Embedding", 0xFF56B4E9},
    {"attention_input", "Attention input (QKV)", 0xFFE69F00},
    {"attention", "Attention", 0xFF009E73},
    {"attention_output", "Attention output", 0xFFF0E442},
    {"router", "Router", 0xFFCC79A7},
    {"experts", "Experts", 0xFFD55E00},
    {"mlp", "Dense MLP", 0xFFAA4499},
    {"head", "Head", 0xFF88284F},
    {"sample", "Sampling", 0xFF999999},
    {"other", "Other", 0xFF5D6CC0},
    {"prefill", "Prefill step", 0xFF0072B2},
    {"decode", "Decode step", 0xFF44AA99},
}};
static_assert(kCategories.size() <= kMaxCategories);
constexpr std::uint8_t kOther = 9;

constexpr std::array<QRgb, 17> kViridis = {
    0xFF440154, 0xFF481A6C, 0xFF472F7D, 0xFF414487, 0xFF39568C, 0xFF31688E,
    0xFF2A788E, 0xFF23888E, 0xFF1F988B, 0xFF22A884, 0xFF35B779, 0xFF54C568,
    0xFF7AD151, 0xFFA5DB36, 0xFFD2E21B, 0xFFEFE51C, 0xFFFDE725};

constexpr std::array<QRgb, 5> kDiverging = {0xFF0072B2, 0xFF7FB8D8, 0xFFF7F7F7, 0xFFEBA97C,
                                            0xFFD55E00};

/// Linear between the stops; t is clamped to [0, 1], NaN is 0.
QRgb interpolate(std::span<const QRgb> stops, double t) {
    if (!(t > 0)) return stops.front();
    if (t >= 1) return stops.back();
    const double at = t * static_cast<double>(stops.size() - 1);
    const auto i = static_cast<std::size_t>(at);
    const double f = at - static_cast<double>(i);
    const auto mix = [f](int a, int b) { return static_cast<int>(std::lround(a + f * (b - a))); };
    const QRgb a = stops[i], b = stops[i + 1];
    return qRgb(mix(qRed(a), qRed(b)), mix(qGreen(a), qGreen(b)), mix(qBlue(a), qBlue(b)));
}

double linear(double channel) {
    return channel <= 0.03928 ? channel / 12.92 : std::pow((channel + 0.055) / 1.055, 2.4);
}

double luminance(const QColor& c) {
    return 0.2126 * linear(c.redF()) + 0.7152 * linear(c.greenF()) + 0.0722 * linear(c.blueF());
}

}  // namespace

std::span<const Category> categories() {
    return kCategories;
}

std::uint8_t categoryOf(std::string_view op) {
    const auto it = std::find_if(kCategories.begin(), kCategories.end(),
                                 [&](const Category& c) { return c.name == op; });
    return it == kCategories.end() ? kOther : static_cast<std::uint8_t>(it - kCategories.begin());
}

QString categoryTitle(std::uint8_t category) {
    return QCoreApplication::translate(
        "Category", kCategories[std::min<std::size_t>(category, kCategories.size() - 1)].title);
}

QString operationTitle(std::string_view op) {
    const std::uint8_t category = categoryOf(op);
    return category == kOther && op != kCategories[kOther].name ? text(op)
                                                                : categoryTitle(category);
}

QColor categoryColor(std::uint8_t category) {
    return QColor::fromRgb(
        kCategories[std::min<std::size_t>(category, kCategories.size() - 1)].color);
}

QRgb viridis(double t) {
    return interpolate(kViridis, t);
}

QRgb diverging(double t) {
    return interpolate(kDiverging, t);
}

QColor expertColor(int expert, bool dark) {
    constexpr double kGoldenAngle = 0.381966;
    const double hue = std::fmod(static_cast<double>(expert) * kGoldenAngle, 1.0);
    // Three lightness bands keep 128 experts apart where hues come close.
    const int band = (expert / 13) % 3;
    return dark ? QColor::fromHslF(static_cast<float>(hue), 0.45F,
                                   0.27F + 0.06F * static_cast<float>(band))
                : QColor::fromHslF(static_cast<float>(hue), 0.70F,
                                   0.76F + 0.05F * static_cast<float>(band));
}

double contrastRatio(const QColor& a, const QColor& b) {
    const double la = luminance(a), lb = luminance(b);
    return (std::max(la, lb) + 0.05) / (std::min(la, lb) + 0.05);
}

QColor contrastText(const QColor& fill) {
    return contrastRatio(fill, Qt::white) >= contrastRatio(fill, Qt::black) ? QColor(Qt::white)
                                                                            : QColor(Qt::black);
}

}  // namespace moescope::gui
