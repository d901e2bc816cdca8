// SPDX-License-Identifier: Apache-2.0
#include "gui/views/depth_pane.h"

#include <QHBoxLayout>
#include <QVBoxLayout>
#include <algorithm>

#include "gui/data/format.h"

namespace moescope::gui {

DepthPane::DepthPane(QWidget* parent)
    : QWidget(parent),
      model_(new DepthModel(this)),
      table_(new DataTable(tr("Layers of the runs by depth"), this)),
      curves_(new CurveWidget(tr("A figure of the layers over relative depth"), this)),
      figure_(new QComboBox(this)),
      note_(new QLabel(this)),
      stack_(new QStackedWidget(this)) {
    for (const DepthFigure& figure : depthFigures()) {
        figure_->addItem(heading(figure.title));
        figure_->setItemData(figure_->count() - 1, text(figure.help), Qt::ToolTipRole);
    }
    note_->setWordWrap(true);
    note_->setTextFormat(Qt::PlainText);
    table_->setSource(model_, true);
    stack_->addWidget(curves_);
    stack_->addWidget(table_);
    auto* title = new QLabel(tr("By &depth"), this);
    title->setBuddy(figure_);
    auto* asTable = new QPushButton(tr("Show as &table"), this);
    asTable->setCheckable(true);
    auto* bar = new QHBoxLayout;
    bar->addWidget(title);
    bar->addWidget(figure_);
    bar->addWidget(note_, 1);
    bar->addWidget(asTable);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addLayout(bar);
    layout->addWidget(stack_, 1);
    connect(figure_, &QComboBox::currentIndexChanged, this, [this] { draw(); });
    connect(asTable, &QPushButton::toggled, stack_,
            [this](bool on) { stack_->setCurrentIndex(on ? 1 : 0); });
    connect(curves_, &CurveWidget::hovered, this, &DepthPane::hovered);
    hide();
}

void DepthPane::setRuns(std::vector<DepthRun> runs) {
    runs_ = std::move(runs);
    model_->setRows(depthRows(runs_));
    table_->fitColumns(260);
    setVisible(model_->rowCount() > 0);
    draw();
}

void DepthPane::draw() {
    const DepthFigure& figure = depthFigures()[static_cast<std::size_t>(figure_->currentIndex())];
    CurveSet set = depthCurves(runs_, figure);
    QStringList notes;
    for (const std::string& sentence : depthSentences(runs_)) notes << text(sentence);
    if (set.curves.empty() && model_->rowCount() > 0)
        notes << tr("No run tells the %1 of its layers.").arg(text(figure.title));
    note_->setText(notes.join(QChar(' ')));
    note_->setToolTip(text(kDepthNote));
    curves_->setCurves(std::move(set));
}

}  // namespace moescope::gui
