// SPDX-License-Identifier: Apache-2.0
// What a page says when it has something to warn of, and when it has nothing to show.
#pragma once

#include <QFrame>
#include <QLabel>
#include <QProgressBar>
#include <QPushButton>
#include <vector>

#include "gui/models/facts.h"

namespace moescope::gui {

/// Lines with a word for their level (never colour alone); hidden when there are none.
class NoticeBar : public QFrame {
    Q_OBJECT
public:
    explicit NoticeBar(QWidget* parent = nullptr);
    void setNotices(const std::vector<Notice>& notices);
    /// One line that says how many there are, with a link that shows them. Errors stay in full.
    void setCollapsed(bool collapsed);
    QString text() const { return full_; }  ///< rich text of all notices

private:
    void showLabel();

    QLabel* label_;
    QString full_, brief_;                     ///< brief_ empty: nothing to collapse
    bool collapsed_ = false, opened_ = false;  ///< opened_: by its link
};

/// Centre of an empty, loading or failed page: a title, what to do, and a button for it.
class StatePage : public QWidget {
    Q_OBJECT
public:
    explicit StatePage(QWidget* parent = nullptr);
    /// `action` empty: no button. `progress` negative: no bar.
    void show(const QString& title, const QString& hint, const QString& action = {},
              double progress = -1);
    void setProgress(double share);
    QString title() const { return title_->text(); }

signals:
    void actionTriggered();

private:
    QLabel *title_, *hint_;
    QProgressBar* progress_;
    QPushButton* action_;
};

}  // namespace moescope::gui
