// SPDX-License-Identifier: Apache-2.0
#include "gui/app/view_list.h"

#include <QCoreApplication>
#include <QPainter>
#include <QStyledItemDelegate>
#include <algorithm>
#include <cstring>

namespace moescope::gui {
namespace {

constexpr int kHeadingRole = Qt::UserRole, kLacksRole = Qt::UserRole + 1;
constexpr int kIndent = 10;  ///< pixels of a view under its heading
constexpr int kPadding = 6;  ///< above and below a title together: easier to hit

/// Colours are of the palette when it is painted, so that they follow a change of the theme.
class ViewDelegate : public QStyledItemDelegate {
public:
    using QStyledItemDelegate::QStyledItemDelegate;

    void paint(QPainter* painter, const QStyleOptionViewItem& option,
               const QModelIndex& index) const override {
        if (option.state.testFlag(QStyle::State_Selected))  // the whole row, indented or not
            painter->fillRect(option.rect, option.palette.color(QPalette::Highlight));
        QStyledItemDelegate::paint(painter, option, index);
    }
    QSize sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const override {
        return QStyledItemDelegate::sizeHint(option, index) + QSize(0, kPadding);
    }

protected:
    void initStyleOption(QStyleOptionViewItem* option, const QModelIndex& index) const override {
        QStyledItemDelegate::initStyleOption(option, index);
        const bool heading = index.data(kHeadingRole).toBool();
        const bool lacks = index.data(kLacksRole).toBool();
        option->font.setBold(heading);
        option->font.setItalic(lacks);  // colour is never all that tells
        if (!heading) option->rect.setLeft(option->rect.left() + kIndent);
        if (!heading && !lacks) return;
        const QColor dim = option->palette.color(QPalette::Active, QPalette::PlaceholderText);
        for (const auto group : {QPalette::Active, QPalette::Inactive, QPalette::Disabled})
            option->palette.setColor(group, QPalette::Text, dim);
    }
};

}  // namespace

ViewList::ViewList(QWidget* parent) : QListWidget(parent) {
    setAccessibleName(tr("Views"));
    setFrameShape(QFrame::NoFrame);
    setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    setTextElideMode(Qt::ElideRight);
    setItemDelegate(new ViewDelegate(this));
    const char* section = "";
    for (const ViewType& type : viewTypes()) {
        if (std::strcmp(section, type.section) != 0) {
            section = type.section;
            auto* heading = new QListWidgetItem(QCoreApplication::translate("View", section), this);
            heading->setFlags(Qt::NoItemFlags);  // the arrow keys pass over it
            heading->setData(kHeadingRole, true);
        }
        items_.push_back(
            new QListWidgetItem(QCoreApplication::translate("View", type.title), this));
    }
    keys_.resize(items_.size());
    lacks_.resize(items_.size());
    setCurrentItem(items_.front());
    connect(this, &QListWidget::currentItemChanged, this,
            [this] { emit viewChosen(chosenView()); });
}

int ViewList::chosenView() const {
    const auto found = std::find(items_.begin(), items_.end(), currentItem());
    return found == items_.end() ? 0 : static_cast<int>(found - items_.begin());
}

void ViewList::chooseView(int index) {
    if (index >= 0 && index < static_cast<int>(items_.size()))
        setCurrentItem(items_[static_cast<std::size_t>(index)]);
}

void ViewList::setKey(int index, const QKeySequence& key) {
    keys_[static_cast<std::size_t>(index)] = key.toString(QKeySequence::NativeText);
    describe(index);
}

void ViewList::setLack(int index, const std::optional<Lack>& lack) {
    lacks_[static_cast<std::size_t>(index)] = lack;
    describe(index);
}

void ViewList::describe(int index) {
    const auto i = static_cast<std::size_t>(index);
    const std::optional<Lack>& lack = lacks_[i];
    const QString why = lack ? lack->what + QStringLiteral(". ") + lack->remedy : QString();
    items_[i]->setData(kLacksRole, lack.has_value());
    items_[i]->setData(Qt::AccessibleDescriptionRole, why);
    items_[i]->setToolTip(keys_[i].isEmpty() || why.isEmpty() ? keys_[i] + why
                                                              : keys_[i] + QChar('\n') + why);
}

int ViewList::contentWidth() const {
    QFont widest = font();
    widest.setBold(true);
    const QFontMetrics metrics(widest);
    int width = 0;
    for (int row = 0; row < count(); ++row)
        width = std::max(width, metrics.horizontalAdvance(item(row)->text()));
    return width + kIndent + 16;
}

int ViewList::contentHeight() const {
    int height = 2 * frameWidth() + 2;
    for (int row = 0; row < count(); ++row) height += sizeHintForRow(row);
    return height;
}

}  // namespace moescope::gui
