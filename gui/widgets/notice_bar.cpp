// SPDX-License-Identifier: Apache-2.0
#include "gui/widgets/notice_bar.h"

#include <QHBoxLayout>
#include <QVBoxLayout>
#include <cmath>

#include "gui/app/theme.h"
#include "gui/data/format.h"

namespace moescope::gui {

NoticeBar::NoticeBar(QWidget* parent) : QFrame(parent), label_(new QLabel(this)) {
    label_->setWordWrap(true);
    label_->setTextFormat(Qt::RichText);
    label_->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::LinksAccessibleByMouse |
                                    Qt::LinksAccessibleByKeyboard);
    connect(label_, &QLabel::linkActivated, this, [this] {
        opened_ = !opened_;
        showLabel();
    });
    auto* layout = new QHBoxLayout(this);
    layout->setContentsMargins(12, 4, 12, 4);
    layout->addWidget(label_);
    setAccessibleName(tr("Notices"));
    setObjectName(QStringLiteral("notices"));
    hide();
}

void NoticeBar::setNotices(const std::vector<Notice>& notices) {
    setVisible(!notices.empty());
    full_.clear();
    brief_.clear();
    opened_ = false;
    if (notices.empty()) {
        label_->clear();
        return;
    }
    QStringList lines;
    int errors = 0, warnings = 0, notes = 0;
    for (const Notice& notice : notices) {
        const bool error = notice.level == Notice::Level::Error;
        const bool warning = notice.level == Notice::Level::Warning;
        ++(error ? errors : warning ? warnings : notes);
        const QString word = error ? tr("Error") : warning ? tr("Warning") : tr("Note");
        lines << QStringLiteral("<b>%1:</b> %2").arg(word, notice.text.toHtmlEscaped());
    }
    full_ = lines.join(QStringLiteral("<br>"));
    if (errors == 0) {
        QStringList parts;
        if (warnings > 0) parts << formatCounted(warnings, "warning");
        if (notes > 0) parts << formatCounted(notes, "note");
        brief_ = QStringLiteral("<b>%1</b>").arg(parts.join(QStringLiteral(", ")));
    }
    showLabel();
    const QColor strip = noticeColor(notices.front().level);
    // A style sheet rather than a palette: only it can draw one side of a frame.
    setStyleSheet(QStringLiteral("#notices { border: none; border-left: 4px solid %1; background: "
                                 "rgba(%2, %3, %4, 32); }")
                      .arg(strip.name())
                      .arg(strip.red())
                      .arg(strip.green())
                      .arg(strip.blue()));
}

void NoticeBar::setCollapsed(bool collapsed) {
    collapsed_ = collapsed;
    showLabel();
}

void NoticeBar::showLabel() {
    const auto link = [](const QString& word) {
        return QStringLiteral(" &nbsp;<a href=\"#toggle\">%1</a>").arg(word);
    };
    const bool brief = collapsed_ && !brief_.isEmpty();
    if (brief && !opened_) {
        label_->setText(brief_ + link(tr("show")));
    } else {
        label_->setText(brief ? full_ + link(tr("hide")) : full_);
    }
}

StatePage::StatePage(QWidget* parent)
    : QWidget(parent),
      title_(new QLabel(this)),
      hint_(new QLabel(this)),
      progress_(new QProgressBar(this)),
      action_(new QPushButton(this)) {
    QFont large = font();
    large.setPointSizeF(large.pointSizeF() * 1.4);
    large.setBold(true);
    title_->setFont(large);
    for (QLabel* label : {title_, hint_}) {
        label->setAlignment(Qt::AlignCenter);
        label->setWordWrap(true);
        label->setTextInteractionFlags(Qt::TextSelectableByMouse);
    }
    progress_->setRange(0, 100);
    progress_->setMaximumWidth(360);
    progress_->setMinimumWidth(360);
    auto* layout = new QVBoxLayout(this);
    layout->setSpacing(12);
    layout->addStretch(2);
    layout->addWidget(title_);
    layout->addWidget(hint_);
    layout->addWidget(progress_, 0, Qt::AlignHCenter);
    layout->addWidget(action_, 0, Qt::AlignHCenter);
    layout->addStretch(3);
    connect(action_, &QPushButton::clicked, this, &StatePage::actionTriggered);
}

void StatePage::show(const QString& title, const QString& hint, const QString& action,
                     double progress) {
    title_->setText(title);
    hint_->setText(hint);
    hint_->setVisible(!hint.isEmpty());
    action_->setText(action);
    action_->setVisible(!action.isEmpty());
    progress_->setVisible(progress >= 0);
    setProgress(progress);
}

void StatePage::setProgress(double share) {
    progress_->setValue(static_cast<int>(std::lround(share * 100)));
}

}  // namespace moescope::gui
