// SPDX-License-Identifier: Apache-2.0
#include "gui/widgets/token_text.h"

#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QScrollBar>
#include <algorithm>
#include <utility>

#include "gui/app/theme.h"
#include "gui/data/colors.h"
#include "gui/data/format.h"

namespace moescope::gui {
namespace {

constexpr int kMargin = 12, kPadding = 4, kGap = 3;

QFont smallFont(const QFont& font) {
    QFont small = font;
    small.setPointSizeF(font.pointSizeF() * 0.78);
    return small;
}

}  // namespace

TokenText::TokenText(QWidget* parent) : QAbstractScrollArea(parent) {
    setAccessibleName(tr("Tokens of the sequence"));
    setAccessibleDescription(
        tr("Left and right move from token to token; the table shows the same tokens with their "
           "experts."));
    setFocusPolicy(Qt::StrongFocus);
    setFrameShape(NoFrame);
    setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    viewport()->setMouseTracking(true);
}

void TokenText::setSequence(SequencePtr sequence, int layer) {
    sequence_ = std::move(sequence);
    current_ = -1;
    labels_.clear();
    found_.clear();
    verticalScrollBar()->setValue(0);
    if (sequence_) {
        for (const TokenRow& token : sequence_->tokens) labels_.push_back(tokenLabel(token));
    }
    setLayer(layer);
}

void TokenText::setLayer(int layer) {
    layerIndex_ = sequence_ ? sequence_->layerIndex(layer) : -1;
    arrange();
}

void TokenText::setIds(Ids ids) {
    ids_ = ids;
    arrange();
}

int TokenText::topExpert(std::size_t token) const {
    if (layerIndex_ < 0 || sequence_->topK == 0) return -1;
    return sequence_->experts[sequence_->at(static_cast<std::size_t>(layerIndex_), token)];
}

QString TokenText::idsOf(std::size_t token) const {
    if (ids_ == Ids::None || topExpert(token) < 0) return {};
    if (ids_ == Ids::Top) return QString::number(topExpert(token));
    QStringList parts;
    const std::size_t at = sequence_->at(static_cast<std::size_t>(layerIndex_), token);
    for (std::size_t k = 0; k < static_cast<std::size_t>(sequence_->topK); ++k) {
        if (sequence_->experts[at + k] >= 0) parts << QString::number(sequence_->experts[at + k]);
    }
    return parts.join(QChar(' '));
}

void TokenText::arrange() {
    std::vector<TokenLayout::Item> items;
    const QFontMetrics metrics(font()), small(smallFont(font()));
    for (std::size_t i = 0; i < labels_.size(); ++i) {
        const int wide =
            std::max(metrics.horizontalAdvance(labels_[i]), small.horizontalAdvance(idsOf(i)));
        items.push_back({std::max(wide, 6) + 2 * kPadding,
                         sequence_->tokens[i].text.find('\n') != std::string::npos});
    }
    const int lineHeight = metrics.height() + 4 + (ids_ == Ids::None ? 0 : small.height());
    layout_ = TokenLayout::arrange(items, viewport()->width() - 2 * kMargin, lineHeight, kGap);
    verticalScrollBar()->setRange(0,
                                  std::max(0, layout_.height + 2 * kMargin - viewport()->height()));
    verticalScrollBar()->setPageStep(viewport()->height());
    verticalScrollBar()->setSingleStep(lineHeight + kGap);
    viewport()->update();
}

void TokenText::resizeEvent(QResizeEvent*) {
    arrange();
}

QRect TokenText::tokenRect(int token) const {
    return layout_.boxes[static_cast<std::size_t>(token)].translated(
        kMargin, kMargin - verticalScrollBar()->value());
}

int TokenText::setSearch(const QString& needle) {
    found_.assign(labels_.size(), false);
    if (!sequence_ || needle.isEmpty()) {
        viewport()->update();
        return 0;
    }
    // The needle may span tokens: search the joined bytes' text, then mark what it overlaps.
    QString joined;
    std::vector<qsizetype> starts;
    for (const TokenRow& token : sequence_->tokens) {
        starts.push_back(joined.size());
        joined += text(token.text);
    }
    int hits = 0;
    for (qsizetype at = joined.indexOf(needle, 0, Qt::CaseInsensitive); at >= 0;
         at = joined.indexOf(needle, at + 1, Qt::CaseInsensitive)) {
        ++hits;
        auto first = static_cast<std::size_t>(std::upper_bound(starts.begin(), starts.end(), at) -
                                              starts.begin()) -
                     1;
        for (; first < starts.size() && starts[first] < at + needle.size(); ++first)
            found_[first] = true;
    }
    viewport()->update();
    return hits;
}

void TokenText::findNext(int direction) {
    const int n = static_cast<int>(found_.size());
    for (int i = 1; i <= n; ++i) {
        const int at = ((current_ + direction * i) % n + n) % n;
        if (found_[static_cast<std::size_t>(at)]) {
            choose(at);
            return;
        }
    }
}

void TokenText::paintEvent(QPaintEvent*) {
    QPainter painter(viewport());
    painter.fillRect(viewport()->rect(), palette().color(QPalette::Base));
    const bool dark = isDark(palette());
    const QFont small = smallFont(font());
    const int top = verticalScrollBar()->value() - kMargin;
    const auto [first, last] = layout_.visible(top, top + viewport()->height());
    for (std::size_t i = first; i < last; ++i) {
        const QRect box = tokenRect(static_cast<int>(i));
        const int expert = topExpert(i);
        const QColor fill =
            expert < 0 ? palette().color(QPalette::Midlight) : expertColor(expert, dark);
        painter.fillRect(box, fill);
        painter.setPen(contrastText(fill));
        painter.setFont(font());
        painter.drawText(box.adjusted(0, 1, 0, 0), Qt::AlignHCenter | Qt::AlignTop, labels_[i]);
        painter.setFont(small);
        painter.drawText(box.adjusted(0, 0, 0, -2), Qt::AlignHCenter | Qt::AlignBottom, idsOf(i));
        if (!sequence_->tokens[i].prompt) {  // generated tokens are underlined
            painter.fillRect(QRect(box.left(), box.bottom() - 1, box.width(), 2),
                             palette().color(QPalette::Text));
        }
        if (i < found_.size() && found_[i]) {
            painter.setPen(QPen(QColor(0xE6, 0x9F, 0x00), 2));
            painter.drawRect(box.adjusted(1, 1, -1, -1));
        }
        if (static_cast<int>(i) == current_) {
            painter.setPen(QPen(palette().color(QPalette::Highlight), 3));
            painter.drawRect(box.adjusted(0, 0, -1, -1));
        }
    }
}

void TokenText::setCurrent(int token) {
    current_ = token >= 0 && token < static_cast<int>(labels_.size()) ? token : -1;
    if (current_ >= 0) {
        const QRect box = layout_.boxes[static_cast<std::size_t>(current_)];
        const int top = verticalScrollBar()->value(), height = viewport()->height();
        if (box.top() + kMargin < top || box.bottom() + kMargin > top + height)
            verticalScrollBar()->setValue(box.center().y() - height / 2);
    }
    viewport()->update();
}

void TokenText::choose(int token) {
    if (token < 0 || token >= static_cast<int>(labels_.size())) return;
    setCurrent(token);
    emit currentChanged(token);
}

void TokenText::mousePressEvent(QMouseEvent* event) {
    choose(layout_.tokenAt(event->position().toPoint() -
                           QPoint(kMargin, kMargin - verticalScrollBar()->value())));
}

void TokenText::mouseMoveEvent(QMouseEvent* event) {
    const int token = layout_.tokenAt(event->position().toPoint() -
                                      QPoint(kMargin, kMargin - verticalScrollBar()->value()));
    if (token < 0) {
        emit hovered(QString());
        return;
    }
    const TokenRow& row = sequence_->tokens[static_cast<std::size_t>(token)];
    const int expert = topExpert(static_cast<std::size_t>(token));
    emit hovered(tr("position %1, %2: %3")
                     .arg(row.position)
                     .arg(row.prompt ? tr("prompt") : tr("generated"))
                     .arg(expert < 0 ? tr("no routing recorded in this layer")
                                     : tr("top expert %1").arg(expert)));
}

void TokenText::keyPressEvent(QKeyEvent* event) {
    switch (event->key()) {
        case Qt::Key_Left:
            choose(std::max(0, current_ - 1));
            return;
        case Qt::Key_Right:
            choose(std::min(static_cast<int>(labels_.size()) - 1, current_ + 1));
            return;
        case Qt::Key_Home:
            choose(0);
            return;
        case Qt::Key_End:
            choose(static_cast<int>(labels_.size()) - 1);
            return;
        default:
            QAbstractScrollArea::keyPressEvent(event);
    }
}

}  // namespace moescope::gui
