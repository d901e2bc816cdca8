// SPDX-License-Identifier: Apache-2.0
#include "gui/app/command_palette.h"

#include <QCoreApplication>
#include <QDialogButtonBox>
#include <QKeyEvent>
#include <QTimer>
#include <QVBoxLayout>
#include <algorithm>
#include <utility>

#include "gui/models/facts.h"
#include "gui/widgets/data_table.h"

namespace moescope::gui {

CommandPalette::CommandPalette(const QList<QAction*>& actions, QWidget* parent)
    : QDialog(parent),
      actions_(actions),
      query_(new QLineEdit(this)),
      list_(new QListWidget(this)) {
    setWindowTitle(tr("Commands"));
    resize(460, 420);
    query_->setPlaceholderText(tr("Type a command"));
    query_->installEventFilter(this);
    auto* layout = new QVBoxLayout(this);
    layout->addWidget(query_);
    layout->addWidget(list_);
    connect(query_, &QLineEdit::textChanged, this, &CommandPalette::show);
    connect(query_, &QLineEdit::returnPressed, this, &CommandPalette::run);
    connect(list_, &QListWidget::itemActivated, this, &CommandPalette::run);
    show(QString());
}

QString CommandPalette::nameOf(const QAction* action) {
    return action->text().remove(QChar('&')).remove(QChar(0x2026));
}

QList<QAction*> CommandPalette::matches(const QList<QAction*>& actions, const QString& query) {
    QList<QAction*> found;
    const QStringList words = query.split(QChar(' '), Qt::SkipEmptyParts);
    for (QAction* action : actions) {
        const QString name = nameOf(action);
        const bool all = std::all_of(words.begin(), words.end(), [&](const QString& w) {
            return name.contains(w, Qt::CaseInsensitive);
        });
        if (all && action->isEnabled()) found << action;
    }
    return found;
}

void CommandPalette::show(const QString& query) {
    shown_ = matches(actions_, query);
    list_->clear();
    for (const QAction* action : std::as_const(shown_)) {
        const QString key = action->shortcut().toString(QKeySequence::NativeText);
        list_->addItem(key.isEmpty() ? nameOf(action)
                                     : nameOf(action) + QStringLiteral("    ") + key);
    }
    list_->setCurrentRow(0);
}

void CommandPalette::run() {
    const int row = list_->currentRow();
    accept();
    // After the palette is gone, so that an action which opens a dialog is not stacked on it.
    if (row >= 0 && row < shown_.size()) QTimer::singleShot(0, shown_[row], &QAction::trigger);
}

bool CommandPalette::eventFilter(QObject* object, QEvent* event) {
    if (object == query_ && event->type() == QEvent::KeyPress) {
        const int key = static_cast<QKeyEvent*>(event)->key();
        if (key == Qt::Key_Down || key == Qt::Key_Up) {
            const int row = list_->currentRow() + (key == Qt::Key_Down ? 1 : -1);
            list_->setCurrentRow(std::clamp(row, 0, std::max(0, list_->count() - 1)));
            return true;
        }
    }
    return QDialog::eventFilter(object, event);
}

void showKeys(const QList<QAction*>& actions, QWidget* parent) {
    struct Tr {
        Q_DECLARE_TR_FUNCTIONS(Keys)
    };
    QDialog dialog(parent);
    dialog.setWindowTitle(Tr::tr("Keys"));
    dialog.resize(560, 620);
    std::vector<FactRow> rows{{Tr::tr("Everywhere"), {}, {}, true}};
    for (const QAction* action : actions) {
        const QString keys =
            QKeySequence::listToString(action->shortcuts(), QKeySequence::NativeText);
        if (!keys.isEmpty()) rows.push_back({CommandPalette::nameOf(action), keys, {}, false});
    }
    rows.push_back({Tr::tr("Timeline"), {}, {}, true});
    rows.push_back({Tr::tr("Zoom"), Tr::tr("Wheel (Ctrl: finer), W, S"), {}, false});
    rows.push_back({Tr::tr("Move"), Tr::tr("Shift+wheel, A, D, middle drag"), {}, false});
    rows.push_back({Tr::tr("Select a range"), Tr::tr("Drag"), {}, false});
    rows.push_back({Tr::tr("Fit the range, then all"), Tr::tr("F"), {}, false});
    rows.push_back({Tr::tr("Previous, next operation"), Tr::tr("Comma, full stop"), {}, false});
    rows.push_back({Tr::tr("Heat map"), {}, {}, true});
    rows.push_back({Tr::tr("Move the cursor"), Tr::tr("Arrows, Home, End"), {}, false});
    rows.push_back({Tr::tr("Cell size; fit"), Tr::tr("Ctrl+wheel; 0"), {}, false});
    rows.push_back({Tr::tr("Tokens"), {}, {}, true});
    rows.push_back({Tr::tr("Previous, next token"), Tr::tr("Left, Right"), {}, false});
    rows.push_back(
        {Tr::tr("Next hit of the search"), Tr::tr("Return in the search field"), {}, false});
    FactsModel model;
    model.setRows(std::move(rows));
    auto* table = new DataTable(Tr::tr("Keys"), &dialog);
    table->setSource(&model, false);
    table->fitColumns(300);
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close, &dialog);
    QObject::connect(buttons, &QDialogButtonBox::rejected, &dialog, &QDialog::reject);
    auto* layout = new QVBoxLayout(&dialog);
    layout->addWidget(table);
    layout->addWidget(buttons);
    dialog.exec();
}

}  // namespace moescope::gui
