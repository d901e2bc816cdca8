// SPDX-License-Identifier: Apache-2.0
// What one sees without a run: how to open or make one, and the runs opened last.
#include <QFileInfo>
#include <QLabel>
#include <QListWidget>
#include <QPushButton>
#include <QSettings>
#include <QVBoxLayout>

#include "gui/app/recent_runs.h"
#include "gui/views/view.h"

namespace moescope::gui {
namespace {

class StartView : public View {
    Q_DECLARE_TR_FUNCTIONS(StartView)
public:
    StartView(Selection& selection, QWidget* parent) : View(selection, parent) {
        auto* title = new QLabel(tr("MoEScope"), page());
        QFont large = font();
        large.setPointSizeF(large.pointSizeF() * 2);
        large.setBold(true);
        title->setFont(large);
        auto* open = new QPushButton(tr("Open a run…"), page());
        auto* profile = new QPushButton(tr("Profile a model…"), page());
        auto* sample = new QLabel(tr("Drop .moescope files anywhere in the window. <b>make "
                                     "demo</b> writes a first one to out/demo."),
                                  page());
        sample->setTextFormat(Qt::RichText);
        sample->setWordWrap(true);
        recent_ = new QListWidget(page());
        recent_->setAccessibleName(tr("Recent runs"));
        none_ = new QLabel(tr("None yet."), page());
        auto* column = new QVBoxLayout;
        auto* buttons = new QHBoxLayout;
        buttons->addWidget(open);
        buttons->addWidget(profile);
        buttons->addStretch();
        column->addStretch(1);
        column->addWidget(title);
        column->addWidget(new QLabel(
            tr("What a token costs, which expert is hot, how a model scores: one file a run."),
            page()));
        column->addSpacing(12);
        column->addLayout(buttons);
        column->addWidget(sample);
        column->addSpacing(16);
        column->addWidget(new QLabel(tr("<b>Recent runs</b>"), page()));
        column->addWidget(none_);
        column->addWidget(recent_, 3);
        column->addStretch(1);
        auto* layout = new QHBoxLayout(page());
        layout->addStretch(1);
        layout->addLayout(column, 4);
        layout->addStretch(1);
        connect(open, &QPushButton::clicked, this, &View::openRequested);
        connect(profile, &QPushButton::clicked, this, &View::profileRequested);
        connect(recent_, &QListWidget::itemActivated, this, [this](const QListWidgetItem* item) {
            emit runRequested(item->data(Qt::UserRole).toString());
        });
    }

    bool needsRun() const override { return false; }

private:
    void open(RunPtr) override {
        recent_->clear();
        for (const QString& path : recentRuns()) {
            auto* item = new QListWidgetItem(
                QFileInfo(path).fileName() + QStringLiteral("\n") + path, recent_);
            item->setData(Qt::UserRole, path);
        }
        none_->setVisible(recent_->count() == 0);
        recent_->setVisible(recent_->count() > 0);
    }

    QListWidget* recent_;
    QLabel* none_;
};

}  // namespace

View* makeStartView(Selection& selection, QWidget* parent) {
    return new StartView(selection, parent);
}

}  // namespace moescope::gui
