// SPDX-License-Identifier: Apache-2.0
#include "gui/app/theme.h"

#include <QApplication>
#include <QPainter>
#include <QPalette>
#include <QProxyStyle>
#include <QStyleOption>

namespace moescope::gui {
namespace {

QPalette makePalette(bool dark) {
    QPalette p;
    const auto set = [&](QPalette::ColorRole role, const char* light, const char* night) {
        p.setColor(role, QColor(QLatin1String(dark ? night : light)));
    };
    set(QPalette::Window, "#f3f4f6", "#1f2226");
    set(QPalette::WindowText, "#1b1e22", "#e3e6ea");
    set(QPalette::Base, "#ffffff", "#181a1d");
    set(QPalette::AlternateBase, "#f6f8fa", "#1e2125");
    set(QPalette::Text, "#1b1e22", "#e3e6ea");
    set(QPalette::PlaceholderText, "#69717b", "#8d959f");
    set(QPalette::Button, "#e9ebee", "#2a2e33");
    set(QPalette::ButtonText, "#1b1e22", "#e3e6ea");
    set(QPalette::BrightText, "#b00020", "#ff8a80");
    set(QPalette::ToolTipBase, "#ffffff", "#2a2e33");
    set(QPalette::ToolTipText, "#1b1e22", "#e3e6ea");
    set(QPalette::Highlight, "#1f6feb", "#2f6fd0");
    set(QPalette::HighlightedText, "#ffffff", "#ffffff");
    set(QPalette::Link, "#0b62c4", "#6cb0ff");
    set(QPalette::LinkVisited, "#6a3fb0", "#b79cff");
    set(QPalette::Light, "#ffffff", "#3a3f46");
    set(QPalette::Midlight, "#e4e7eb", "#30353b");
    set(QPalette::Mid, "#b9bfc7", "#454b53");
    set(QPalette::Dark, "#9aa1aa", "#101214");
    set(QPalette::Shadow, "#6b727b", "#08090a");
    for (const QPalette::ColorRole role :
         {QPalette::WindowText, QPalette::Text, QPalette::ButtonText}) {
        p.setColor(QPalette::Disabled, role, QColor(QLatin1String(dark ? "#7b838c" : "#7d858e")));
    }
    return p;
}

/// Fusion outlines boxes and fields in a darker shade of the window: in a dark window nobody sees
/// them. These outlines have the contrast of 3:1 that WCAG 2.1 (1.4.11) asks for.
class OutlineStyle : public QProxyStyle {
public:
    OutlineStyle() : QProxyStyle(QStringLiteral("Fusion")) {}

    void drawPrimitive(PrimitiveElement element, const QStyleOption* option, QPainter* painter,
                       const QWidget* widget) const override {
        QProxyStyle::drawPrimitive(element, option, painter, widget);
        const bool field =
            element == PE_FrameLineEdit && !option->state.testFlag(State_HasFocus);  // has its own
        if (!field && element != PE_IndicatorCheckBox) return;
        painter->save();
        painter->setRenderHint(QPainter::Antialiasing);
        painter->setBrush(Qt::NoBrush);
        painter->setPen(QColor(QLatin1String(isDark(option->palette) ? "#767e88" : "#868e97")));
        painter->drawRoundedRect(QRectF(option->rect).adjusted(0.5, 0.5, -0.5, -0.5), 2, 2);
        painter->restore();
    }
};

}  // namespace

std::optional<Theme> themeByName(const QString& name) {
    if (name == QLatin1String("system")) return Theme::System;
    if (name == QLatin1String("light")) return Theme::Light;
    if (name == QLatin1String("dark")) return Theme::Dark;
    return std::nullopt;
}

QString themeName(Theme theme) {
    switch (theme) {
        case Theme::Light:
            return QStringLiteral("light");
        case Theme::Dark:
            return QStringLiteral("dark");
        case Theme::System:
            break;
    }
    return QStringLiteral("system");
}

void applyTheme(Theme theme) {
    static const bool kSystemDark = isDark(QApplication::palette());
    QApplication::setStyle(new OutlineStyle);
    QApplication::setPalette(
        makePalette(theme == Theme::Dark || (theme == Theme::System && kSystemDark)));
}

bool isDark(const QPalette& palette) {
    return palette.color(QPalette::Window).lightness() < 128;
}

QColor noticeColor(Notice::Level level) {
    switch (level) {
        case Notice::Level::Error:
            return QColor(0xC6, 0x28, 0x28);
        case Notice::Level::Warning:
            return QColor(0xE6, 0x9F, 0x00);
        case Notice::Level::Information:
            break;
    }
    return QColor(0x1F, 0x6F, 0xEB);
}

}  // namespace moescope::gui
