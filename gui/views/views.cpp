// SPDX-License-Identifier: Apache-2.0
// The table of views, and what all of them share.
#include <array>

#include "gui/views/view.h"

#include <QLabel>

namespace moescope::gui {
namespace {

constexpr std::array<ViewType, 10> kViews = {{
    {"start", QT_TRANSLATE_NOOP("View", "Start"), makeStartView},
    {"summary", QT_TRANSLATE_NOOP("View", "Summary"), makeSummaryView},
    {"kernels", QT_TRANSLATE_NOOP("View", "Kernels"), makeKernelsView},
    {"time", QT_TRANSLATE_NOOP("View", "Time"), makeTimeView},
    {"timeline", QT_TRANSLATE_NOOP("View", "Timeline"), makeTimelineView},
    {"experts", QT_TRANSLATE_NOOP("View", "Experts"), makeExpertsView},
    {"expert-time", QT_TRANSLATE_NOOP("View", "Expert time"), makeExpertTimeView},
    {"groups", QT_TRANSLATE_NOOP("View", "Groups"), makeGroupsView},
    {"tokens", QT_TRANSLATE_NOOP("View", "Tokens"), makeTokensView},
    {"evaluations", QT_TRANSLATE_NOOP("View", "Evaluations"), makeEvaluationsView},
}};

}  // namespace

std::span<const ViewType> viewTypes() {
    return kViews;
}

View::View(Selection& selection, QWidget* parent)
    : QWidget(parent),
      selection_(selection),
      stack_(new QStackedLayout(this)),
      state_(new StatePage(this)),
      page_(new QWidget(this)) {
    stack_->addWidget(page_);
    stack_->addWidget(state_);
}

void View::addLabelled(QBoxLayout* bar, const QString& title, QWidget* control) const {
    auto* label = new QLabel(title, page());
    label->setBuddy(control);
    bar->addWidget(label);
    bar->addWidget(control);
    bar->addSpacing(8);
}

void View::showPage() {
    stack_->setCurrentWidget(page_);
}

void View::showState(const QString& title, const QString& hint) {
    state_->show(title, hint);
    stack_->setCurrentWidget(state_);
}

}  // namespace moescope::gui
