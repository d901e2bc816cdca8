// SPDX-License-Identifier: Apache-2.0
#include "gui/widgets/data_table.h"

#include <QApplication>
#include <QHeaderView>
#include <QHelpEvent>
#include <QPainter>
#include <QRegularExpression>
#include <QScopedValueRollback>
#include <QScrollBar>
#include <QToolTip>
#include <algorithm>
#include <cmath>
#include <set>

#include "gui/models/row_model.h"
#include "gui/models/sort_proxy.h"

namespace moescope::gui {
namespace {

void paintInterval(QPainter& painter, const QRect& rect, const QPalette& palette,
                   const QVariantList& v) {
    const double low = v[0].toDouble(), value = v[1].toDouble(), high = v[2].toDouble(),
                 chance = v[3].toDouble();
    const double from = v[4].toDouble(), to = v[5].toDouble();
    const QRectF area = QRectF(rect).adjusted(8, 3, -8, -3);
    const auto x = [&](double t) { return area.left() + (t - from) / (to - from) * area.width(); };
    const double y = area.center().y();
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(palette.color(QPalette::Mid), 1));
    painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y));
    if (std::isfinite(chance)) {
        painter.setPen(QPen(palette.color(QPalette::Text), 1, Qt::DashLine));
        painter.drawLine(QPointF(x(chance), area.top()), QPointF(x(chance), area.bottom()));
    }
    const QColor accent = palette.color(QPalette::Link);
    if (std::isfinite(low) && std::isfinite(high)) {
        painter.setPen(QPen(accent, 2));
        painter.drawLine(QPointF(x(low), y), QPointF(x(high), y));
        painter.drawLine(QPointF(x(low), y - 4), QPointF(x(low), y + 4));
        painter.drawLine(QPointF(x(high), y - 4), QPointF(x(high), y + 4));
    }
    if (!std::isfinite(value)) return;
    painter.setPen(Qt::NoPen);
    painter.setBrush(accent);
    painter.drawEllipse(QPointF(x(value), y), 4, 4);
}

QString csvField(const QVariant& value) {
    QString field = value.toString();
    if (field.contains(QChar('"')) || field.contains(QChar(',')) || field.contains(QChar('\n'))) {
        field.replace(QChar('"'), QStringLiteral("\"\""));
        field = QChar('"') + field + QChar('"');
    }
    return field;
}

}  // namespace

void CellDelegate::paint(QPainter* painter, const QStyleOptionViewItem& option,
                         const QModelIndex& index) const {
    QStyleOptionViewItem item = option;
    initStyleOption(&item, index);
    const QVariant bar = index.data(kBarRole), color = index.data(kColorRole),
                   interval = index.data(kIntervalRole);
    if (item.state.testFlag(QStyle::State_Selected))  // whose background is the accent's colour
        for (const QPalette::ColorRole role : {QPalette::Link, QPalette::Mid, QPalette::Text})
            item.palette.setColor(role, item.palette.color(QPalette::HighlightedText));
    if (index.data(kSectionRole).toBool()) item.font.setBold(true);
    if (!bar.isValid() && !color.isValid() && !interval.isValid()) {
        QApplication::style()->drawControl(QStyle::CE_ItemViewItem, &item, painter, item.widget);
        return;
    }
    const QString label = std::exchange(item.text, QString());
    QApplication::style()->drawControl(QStyle::CE_ItemViewItem, &item, painter, item.widget);
    painter->save();
    QRect rect = item.rect.adjusted(4, 0, -4, 0);
    const QColor fill =
        color.isValid() ? color.value<QColor>() : item.palette.color(QPalette::Link);
    if (interval.isValid()) {
        paintInterval(*painter, item.rect, item.palette, interval.toList());
    } else if (bar.isValid()) {
        // The number keeps its own column beside the bar, so that neither hides the other.
        const int textWidth = item.fontMetrics.horizontalAdvance(QStringLiteral("100.0 %")) + 6;
        const double share = std::clamp(bar.toDouble(), 0.0, 1.0);
        const QRect space(rect.left(), rect.top() + 4, std::max(0, rect.width() - textWidth),
                          rect.height() - 8);
        painter->fillRect(QRectF(space.left(), space.top(), space.width() * share, space.height()),
                          fill);
    } else {
        const int side = std::max(8, rect.height() - 14);
        painter->fillRect(QRect(rect.left(), rect.center().y() - side / 2, side, side), fill);
        rect.setLeft(rect.left() + side + 6);
    }
    painter->setPen(item.palette.color(QPalette::Text));
    painter->setFont(item.font);
    const QString shown = item.fontMetrics.elidedText(label, item.textElideMode, rect.width());
    painter->drawText(rect, static_cast<int>(item.displayAlignment | Qt::AlignVCenter), shown);
    painter->restore();
}

void CellDelegate::initStyleOption(QStyleOptionViewItem* option, const QModelIndex& index) const {
    QStyledItemDelegate::initStyleOption(option, index);
    if (!option->features.testFlag(QStyleOptionViewItem::WrapText)) return;
    // Paths and identifiers have no spaces to break at; copying reads the model, which stays as is.
    static const QRegularExpression kBreaks(QStringLiteral("([/_.,=])(?=[^\\s/_.,=])"));
    option->text.replace(kBreaks, QStringLiteral("\\1\u200B"));
    static const QRegularExpression kLong(QStringLiteral("([0-9a-f]{16})(?=[0-9a-f])"));
    option->text.replace(kLong, QStringLiteral("\\1\u200B"));
    // An option of a command line stays in one piece.
    option->text.replace(QStringLiteral(" --"), QStringLiteral(" -\u2060-\u2060"));
}

QSize CellDelegate::sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const {
    constexpr int kSwatch = 22;
    QSize size = QStyledItemDelegate::sizeHint(option, index);
    const bool swatch = index.data(kColorRole).isValid() && !index.data(kBarRole).isValid();
    return swatch ? size + QSize(kSwatch, 0) : size;
}

QString CellDelegate::tip(const QStyleOptionViewItem& option, const QModelIndex& index) const {
    QStyleOptionViewItem item = option;
    initStyleOption(&item, index);
    const bool wraps = item.features.testFlag(QStyleOptionViewItem::WrapText);
    const QString about = index.data(Qt::ToolTipRole).toString();
    if (wraps || sizeHint(option, index).width() <= option.rect.width()) return about;
    const QString whole = index.data().toString();
    return about.isEmpty() ? whole : whole + QChar('\n') + about;
}

bool CellDelegate::helpEvent(QHelpEvent* event, QAbstractItemView* view,
                             const QStyleOptionViewItem& option, const QModelIndex& index) {
    if (event->type() != QEvent::ToolTip)
        return QStyledItemDelegate::helpEvent(event, view, option, index);
    QToolTip::showText(event->globalPos(), tip(option, index), view, view->visualRect(index));
    return true;
}

DataTable::DataTable(const QString& accessibleName, QWidget* parent) : QTableView(parent) {
    setAccessibleName(accessibleName);
    setItemDelegate(new CellDelegate(this));
    setSelectionBehavior(SelectRows);
    setSelectionMode(ExtendedSelection);
    setEditTriggers(NoEditTriggers);
    setAlternatingRowColors(true);
    setShowGrid(false);
    setWordWrap(false);
    setTabKeyNavigation(false);
    setHorizontalScrollMode(ScrollPerPixel);
    verticalHeader()->hide();
    verticalHeader()->setDefaultSectionSize(fontMetrics().height() + 9);
    horizontalHeader()->setHighlightSections(false);
    horizontalHeader()->setStretchLastSection(true);
    horizontalHeader()->setMinimumSectionSize(28);
    connect(horizontalHeader(), &QHeaderView::sectionResized, this, [this] {
        if (!distributing_ && QApplication::mouseButtons() != Qt::NoButton)
            widest_ = 0;  // dragged: from now on the user decides
    });
}

void DataTable::setSource(QAbstractItemModel* source, bool sortable) {
    if (!sortable) {
        setModel(source);
        return;
    }
    auto* proxy = new SortProxy(this);
    proxy->setSourceModel(source);
    setProxy(proxy);
}

void DataTable::setProxy(QSortFilterProxyModel* proxy) {
    proxy_ = proxy;
    setModel(proxy);
    horizontalHeader()->setSortIndicatorClearable(true);
    // Unsorted until asked: the order of the source means something.
    horizontalHeader()->setSortIndicator(-1, Qt::DescendingOrder);
    setSortingEnabled(true);
}

int DataTable::sourceRow(const QModelIndex& viewIndex) const {
    return proxy_ != nullptr ? proxy_->mapToSource(viewIndex).row() : viewIndex.row();
}

void DataTable::selectionChanged(const QItemSelection& selected, const QItemSelection& deselected) {
    QTableView::selectionChanged(selected, deselected);
    if (selecting_ || selected.isEmpty()) return;
    const QModelIndex index = selected.indexes().front();
    emit chosen(proxy_ != nullptr ? proxy_->mapToSource(index) : index);
}

void DataTable::selectSourceRow(int row, int column) {
    const QScopedValueRollback selecting(selecting_, true);
    if (row < 0) {
        clearSelection();
        return;
    }
    const QAbstractItemModel* source = proxy_ != nullptr ? proxy_->sourceModel() : model();
    QModelIndex index = source->index(row, column);
    if (proxy_ != nullptr) index = proxy_->mapFromSource(index);
    if (!index.isValid() || selectionModel()->isSelected(index)) return;
    setCurrentIndex(index);
    scrollTo(index);
}

void DataTable::showAsFacts() {
    horizontalHeader()->hide();
    setAlternatingRowColors(false);
    setWordWrap(true);
    setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    setVerticalScrollMode(ScrollPerPixel);
}

void DataTable::showAsMatrix(const QString& rows) {
    rowsTitle_ = rows;
    verticalHeader()->show();
    horizontalHeader()->setStretchLastSection(false);
    horizontalHeader()->setDefaultSectionSize(64);
    setSelectionBehavior(SelectItems);
}

void DataTable::fitColumns(int widest) {
    horizontalHeader()->setStretchLastSection(false);
    widest_ = widest;
    distribute();
}

void DataTable::showColumnIf(int column, bool shown) {
    // A section that stays hidden over a reset of the model keeps its place in the header.
    setColumnHidden(column, false);
    setColumnHidden(column, !shown);
}

void DataTable::fitHeight() {
    setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    setVerticalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    const int rows = model() != nullptr ? model()->rowCount() : 0;
    setFixedHeight(horizontalHeader()->sizeHint().height() +
                   rows * verticalHeader()->defaultSectionSize() + 2 * frameWidth());
}

void DataTable::resizeEvent(QResizeEvent* event) {
    QTableView::resizeEvent(event);
    distribute();
}

std::vector<DataTable::Column> DataTable::measure() const {
    constexpr int kMargin = 14, kLeastText = 56, kLeastBar = 104;
    std::vector<Column> columns;
    for (int c = 0; model() != nullptr && c < model()->columnCount(); ++c) {
        if (isColumnHidden(c)) continue;
        const QModelIndex first = model()->index(0, c);
        const bool bar = first.data(kBarRole).isValid() || first.data(kIntervalRole).isValid();
        const bool textual = (first.data(Qt::TextAlignmentRole).toInt() & Qt::AlignRight) == 0;
        const QString title = model()->headerData(c, Qt::Horizontal).toString();
        const int content = sizeHintForColumn(c);
        const int header = horizontalHeader()->isHidden()
                               ? 0
                               : horizontalHeader()->fontMetrics().horizontalAdvance(title);
        Column column{c, 0, 0, 0, bar || textual, bar};
        if (preferred_.contains(c)) {
            column.wide = column.compact = preferred_[c];
        } else {
            constexpr int kSortMark = 14;
            column.compact = std::min(widest_, std::max(content + 4, header + kMargin));
            column.wide = std::min(widest_, std::max(content + 16, header + kMargin + kSortMark));
        }
        const int least = std::max(least_.value(c, bar ? kLeastBar : kLeastText), header + kMargin);
        column.least = column.elastic ? std::min(column.compact, least) : column.compact;
        columns.push_back(column);
    }
    return columns;
}

int DataTable::compactWidth() const {
    int width = 2 * frameWidth() + verticalScrollBar()->sizeHint().width();
    for (const Column& column : measure()) width += column.compact;
    return width;
}

void DataTable::distribute() {
    if (widest_ == 0 || distributing_ || model() == nullptr) return;
    distributing_ = true;
    if (isFacts()) {
        distributeFacts();
        distributing_ = false;
        return;
    }
    const int room = viewport()->width();
    std::vector<Column> columns = measure();
    const auto sum = [&](int Column::*width) {
        int total = 0;
        for (const Column& c : columns) total += c.*width;
        return total;
    };
    const int compact = sum(&Column::compact), wide = sum(&Column::wide);
    if (wide <= room) {
        for (Column& c : columns) c.compact = c.wide;
        const auto last = std::find_if(columns.rbegin(), columns.rend(),
                                       [](const Column& c) { return c.elastic; });
        // A number far from its neighbours is hard to read across, hence only the last column.
        if (last == columns.rbegin() && last != columns.rend()) last->compact += room - wide;
    } else if (compact > room) {
        // Bars give way first, then texts, each in proportion to what they can spare.
        int excess = compact - room;
        for (const bool bars : {true, false}) {
            int spare = 0;
            for (const Column& c : columns) spare += c.bar == bars ? c.compact - c.least : 0;
            const double share = std::min(1.0, static_cast<double>(excess) / std::max(1, spare));
            for (Column& c : columns) {
                if (c.bar != bars) continue;
                const int less = static_cast<int>(std::ceil(share * (c.compact - c.least)));
                c.compact -= less;
                excess -= less;
            }
            if (excess <= 0) break;
        }
    } else {
        const double share = static_cast<double>(room - compact) / std::max(1, wide - compact);
        for (Column& c : columns) c.compact += static_cast<int>(share * (c.wide - c.compact));
    }
    for (const Column& c : columns) setColumnWidth(c.index, std::min(c.compact, std::max(room, 1)));
    distributing_ = false;
}

void DataTable::distributeFacts() {
    const int room = viewport()->width();
    const int names = std::min(sizeHintForColumn(0) + 16, std::min(widest_, room * 45 / 100));
    setColumnWidth(0, names);
    setColumnWidth(1, std::max(40, room - names));
    resizeRowsToContents();
    const int oneLine = fontMetrics().height() + 6;
    for (int row = 0; row < model()->rowCount(); ++row) {
        const bool heading = model()->index(row, 0).data(kSectionRole).toBool();  // spans both
        setRowHeight(row, heading ? oneLine + 4 : std::max(oneLine, rowHeight(row) + 4));
    }
}

QString DataTable::toTsv() const {
    if (model() == nullptr) return {};
    std::set<int> rows, columns;
    const QModelIndexList selected = selectionModel()->selectedIndexes();
    for (const QModelIndex& index : selected) {
        rows.insert(index.row());
        columns.insert(index.column());
    }
    for (int r = 0; selected.isEmpty() && r < model()->rowCount(); ++r) rows.insert(r);
    for (int c = 0; c < model()->columnCount(); ++c)
        if (selected.isEmpty() || !isMatrix()) columns.insert(c);
    QString out;
    const auto line = [&](const QString& name, auto cell) {
        QStringList cells;
        if (isMatrix()) cells << name;
        for (const int c : columns) cells << cell(c).toString();
        for (QString& text : cells) text.replace(QChar('\t'), QChar(' ')).replace('\n', ' ');
        out += cells.join(QChar('\t')) + QChar('\n');
    };
    line(rowsTitle_, [&](int c) { return model()->headerData(c, Qt::Horizontal); });
    for (const int r : rows) {
        line(model()->headerData(r, Qt::Vertical).toString(), [&](int c) {
            const QModelIndex index = model()->index(r, c);
            const bool left = isMatrix() && !selected.isEmpty() && !selected.contains(index);
            return left ? QVariant() : index.data();
        });
    }
    return out;
}

QString DataTable::toCsv() const {
    if (model() == nullptr) return {};
    QString out;
    const auto line = [&](const QVariant& name, auto cell) {
        QStringList fields;
        if (isMatrix()) fields << csvField(name);
        for (int c = 0; c < model()->columnCount(); ++c) fields << csvField(cell(c));
        out += fields.join(QChar(',')) + QStringLiteral("\r\n");
    };
    line(rowsTitle_, [&](int c) { return model()->headerData(c, Qt::Horizontal, kExportRole); });
    for (int r = 0; r < model()->rowCount(); ++r) {
        line(model()->headerData(r, Qt::Vertical, kExportRole),
             [&](int c) { return model()->index(r, c).data(kExportRole); });
    }
    return out;
}

}  // namespace moescope::gui
