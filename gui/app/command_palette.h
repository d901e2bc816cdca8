// SPDX-License-Identifier: Apache-2.0
// Every action of the window, by name: the palette runs one, the list of keys shows them all.
#pragma once

#include <QAction>
#include <QDialog>
#include <QLineEdit>
#include <QListWidget>

namespace moescope::gui {

class CommandPalette : public QDialog {
    Q_OBJECT
public:
    CommandPalette(const QList<QAction*>& actions, QWidget* parent);

    /// Actions whose name contains all words of `query`, in their order.
    static QList<QAction*> matches(const QList<QAction*>& actions, const QString& query);
    static QString nameOf(const QAction* action);  ///< without mnemonics and dots

protected:
    bool eventFilter(QObject* object, QEvent* event) override;

private:
    void show(const QString& query);
    void run();

    QList<QAction*> actions_, shown_;
    QLineEdit* query_;
    QListWidget* list_;
};

void showKeys(const QList<QAction*>& actions, QWidget* parent);

}  // namespace moescope::gui
