// SPDX-License-Identifier: Apache-2.0
#include "gui/models/token_models.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "gui/data/colors.h"
#include "gui/data/format.h"

namespace moescope::gui {
namespace {

QString joinExperts(const std::vector<std::int16_t>& experts) {
    QStringList parts;
    for (const std::int16_t expert : experts) {
        if (expert >= 0) parts << QString::number(expert);
    }
    return parts.join(QStringLiteral(", "));
}

QString joinWeights(const std::vector<float>& weights) {
    QStringList parts;
    for (const float weight : weights) {
        if (!std::isnan(weight)) parts << formatFixed(static_cast<double>(weight), 3);
    }
    return parts.join(QStringLiteral(", "));
}

/// Experts and weights of a token in a layer; both empty when nothing was recorded for it.
template <class Row>
void copyChoice(const SequenceData& sequence, std::size_t layerIndex, std::size_t token, Row& row) {
    const std::size_t at = sequence.at(layerIndex, token);
    const auto k = static_cast<std::size_t>(sequence.topK);
    if (k == 0 || sequence.experts[at] < 0) return;
    row.experts.assign(sequence.experts.begin() + static_cast<std::ptrdiff_t>(at),
                       sequence.experts.begin() + static_cast<std::ptrdiff_t>(at + k));
    row.weights.assign(sequence.weights.begin() + static_cast<std::ptrdiff_t>(at),
                       sequence.weights.begin() + static_cast<std::ptrdiff_t>(at + k));
}

}  // namespace

TokenLayout TokenLayout::arrange(const std::vector<Item>& items, int width, int lineHeight,
                                 int gap) {
    TokenLayout layout;
    layout.boxes.reserve(items.size());
    int x = 0, y = 0;
    for (const Item& item : items) {
        if (x > 0 && x + item.width > width) {
            x = 0;
            y += lineHeight + gap;
        }
        layout.boxes.emplace_back(x, y, item.width, lineHeight);
        x += item.width + gap;
        if (item.endsLine) {
            x = 0;
            y += lineHeight + gap;
        }
    }
    layout.height = layout.boxes.empty() ? 0 : layout.boxes.back().bottom() + 1;
    return layout;
}

std::pair<std::size_t, std::size_t> TokenLayout::visible(int top, int bottom) const noexcept {
    const auto first = std::partition_point(boxes.begin(), boxes.end(),
                                            [&](const QRect& b) { return b.bottom() < top; });
    const auto last =
        std::partition_point(first, boxes.end(), [&](const QRect& b) { return b.top() < bottom; });
    return {static_cast<std::size_t>(first - boxes.begin()),
            static_cast<std::size_t>(last - boxes.begin())};
}

int TokenLayout::tokenAt(QPoint point) const noexcept {
    const auto [first, last] = visible(point.y(), point.y() + 1);
    for (std::size_t i = first; i < last; ++i) {
        if (boxes[i].contains(point)) return static_cast<int>(i);
    }
    return -1;
}

QString tokenLabel(const TokenRow& token) {
    if (token.text.empty())
        return token.token >= 0 ? QStringLiteral("#%1").arg(token.token) : QStringLiteral("·");
    QString label = text(token.text);
    label.replace(QChar('\n'), QChar(0x21B5))
        .replace(QChar('\t'), QChar(0x2192))
        .remove(QChar('\r'));
    constexpr int kLongest = 60;  // a pathological token must not push all others off the screen
    if (label.size() > kLongest) label = label.left(kLongest - 1) + QChar(0x2026);
    if (label.trimmed().isEmpty()) label.replace(QChar(' '), QChar(0x2423));
    return label;
}

int firstRoutedToken(const SequenceData& sequence) {
    if (sequence.topK == 0) return -1;
    for (std::size_t token = 0; token < sequence.tokens.size(); ++token) {
        for (std::size_t layer = 0; layer < sequence.layers.size(); ++layer) {
            if (sequence.experts[sequence.at(layer, token)] >= 0) return static_cast<int>(token);
        }
    }
    return -1;
}

std::vector<TokenExpertsRow> tokenExperts(const SequenceData& sequence, std::size_t token) {
    std::vector<TokenExpertsRow> rows;
    if (token >= sequence.tokens.size()) return rows;
    for (std::size_t i = 0; i < sequence.layers.size(); ++i) {
        TokenExpertsRow row{sequence.layers[i], {}, {}};
        copyChoice(sequence, i, token, row);
        rows.push_back(std::move(row));
    }
    return rows;
}

TokenExpertsModel::TokenExpertsModel(QObject* parent) : RowModel(parent) {
    using Row = TokenExpertsRow;
    const auto top = [](const Row& r) { return r.experts.empty() ? -1 : int(r.experts.front()); };
    const auto weight = [](const Row& r) {
        return r.weights.empty() ? std::nan("") : double(r.weights.front());
    };
    setColumns({
        {tr("Layer"),
         {},
         [](const Row& r) -> QVariant { return r.layer; },
         [](const Row& r) -> QVariant { return r.layer; }},
        {tr("Top expert"), tr("Expert with the largest gate weight"),
         [top](const Row& r) -> QVariant {
             return top(r) < 0 ? QVariant(QStringLiteral("-")) : QVariant(top(r));
         },
         [top](const Row& r) -> QVariant { return top(r) < 0 ? QVariant() : QVariant(top(r)); }},
        {tr("Weight"), tr("Gate weight of the top expert"),
         [weight](const Row& r) -> QVariant { return formatNumber(weight(r)); },
         [weight](const Row& r) -> QVariant { return weight(r); }, true,
         [weight](const Row& r, int role) -> QVariant {
             return role == kBarRole && !std::isnan(weight(r)) ? QVariant(weight(r)) : QVariant();
         }},
        {tr("All experts"),
         tr("In gate order, largest first"),
         [](const Row& r) -> QVariant { return joinExperts(r.experts); },
         {},
         false},
        {tr("Weights"),
         {},
         [](const Row& r) -> QVariant { return joinWeights(r.weights); },
         {},
         false},
    });
}

std::vector<TokenTableRow> tokenTable(const SequenceData& sequence, int layer) {
    std::vector<TokenTableRow> rows;
    const int index = sequence.layerIndex(layer);
    for (std::size_t t = 0; t < sequence.tokens.size(); ++t) {
        TokenTableRow row{sequence.tokens[t], {}, {}};
        if (index >= 0) copyChoice(sequence, static_cast<std::size_t>(index), t, row);
        rows.push_back(std::move(row));
    }
    return rows;
}

TokenTableModel::TokenTableModel(QObject* parent) : RowModel(parent) {
    using Row = TokenTableRow;
    const auto logp = [](const Row& r) { return r.token.logProbability.value_or(std::nan("")); };
    setColumns({
        {tr("Position"),
         {},
         [](const Row& r) -> QVariant { return qlonglong(r.token.position); },
         [](const Row& r) -> QVariant { return qlonglong(r.token.position); }},
        {tr("Token"), {}, [](const Row& r) -> QVariant { return tokenLabel(r.token); }, {}, false},
        {tr("Id"),
         {},
         [](const Row& r) -> QVariant {
             return r.token.token < 0 ? QVariant(QStringLiteral("-")) : QVariant(r.token.token);
         },
         [](const Row& r) -> QVariant {
             return r.token.token < 0 ? QVariant() : QVariant(r.token.token);
         }},
        {tr("Part"),
         {},
         [](const Row& r) -> QVariant { return r.token.prompt ? tr("prompt") : tr("generated"); },
         {},
         false},
        {tr("Log-probability"), tr("Nats, given the tokens before it"),
         [logp](const Row& r) -> QVariant { return formatNumber(logp(r)); },
         [logp](const Row& r) -> QVariant { return logp(r); }},
        {tr("Experts"),
         tr("In the chosen layer, largest weight first"),
         [](const Row& r) -> QVariant { return joinExperts(r.experts); },
         {},
         false},
        {tr("Weights"),
         {},
         [](const Row& r) -> QVariant { return joinWeights(r.weights); },
         {},
         false},
    });
}

}  // namespace moescope::gui
