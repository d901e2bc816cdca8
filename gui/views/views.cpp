// SPDX-License-Identifier: Apache-2.0
// The table of views, and what all of them share.
#include <array>

#include "gui/data/format.h"
#include "gui/views/view.h"
#include "reports/terms.h"

#include <QLabel>

namespace moescope::gui {
namespace {

constexpr std::array<ViewType, 14> kViews = {{
    {"start", QT_TRANSLATE_NOOP("View", "Start"), makeStartView},
    {"summary", QT_TRANSLATE_NOOP("View", "Summary"), makeSummaryView},
    {"kernels", QT_TRANSLATE_NOOP("View", "Kernels"), makeKernelsView},
    {"roofline", QT_TRANSLATE_NOOP("View", "Roofline"), makeRooflineView},
    {"time", QT_TRANSLATE_NOOP("View", "Time"), makeTimeView},
    {"timeline", QT_TRANSLATE_NOOP("View", "Timeline"), makeTimelineView},
    {"experts", QT_TRANSLATE_NOOP("View", "Experts"), makeExpertsView},
    {"expert-time", QT_TRANSLATE_NOOP("View", "Expert time"), makeExpertTimeView},
    {"groups", QT_TRANSLATE_NOOP("View", "Groups"), makeGroupsView},
    {"gpus", QT_TRANSLATE_NOOP("View", "GPUs"), makeGpusView},
    {"cache", QT_TRANSLATE_NOOP("View", "Cache"), makeCacheView},
    {"tokens", QT_TRANSLATE_NOOP("View", "Tokens"), makeTokensView},
    {"compare", QT_TRANSLATE_NOOP("View", "Compare"), makeCompareView},
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

void View::setRun(RunPtr run) {
    stopJob();
    forget();
    open(std::move(run));
}

void View::stopJob() {
    ++job_;
    if (stop_) stop_->store(true);
}

bool View::showsPage() const {
    return stack_->currentWidget() == page_;
}

void View::addLabelled(QBoxLayout* bar, const QString& title, QWidget* control) const {
    auto* label = new QLabel(title, page());
    label->setBuddy(control);
    bar->addWidget(label);
    bar->addWidget(control);
    bar->addSpacing(8);
}

QPushButton* View::tableSwitch(QStackedWidget* stack) const {
    auto* button = new QPushButton(tr("Show as &table"), page());
    button->setCheckable(true);
    connect(button, &QPushButton::toggled, stack,
            [stack](bool on) { stack->setCurrentIndex(on ? 1 : 0); });
    return button;
}

QString View::extentText(const std::optional<TimeRange>& range) {
    return range ? tr("in the selected %1 (Esc: all)")
                       .arg(formatDuration(static_cast<double>(range->endNs - range->beginNs)))
                 : text(kWholeRun);
}

void View::showPage() {
    stack_->setCurrentWidget(page_);
    emit pageChanged();
}

void View::showState(const QString& title, const QString& hint) {
    state_->show(title, hint);
    stack_->setCurrentWidget(state_);
    emit pageChanged();
}

bool View::requireRouting(const RunData& run) {
    if (run.routing.empty())
        showState(tr("This run has no expert routing"),
                  tr("The model has no experts, or routing was not recorded."));
    return !run.routing.empty();
}

void View::showFailure(const QString& title, const Failure& failure) {
    showState(title,
              failure.hint.isEmpty() ? failure.what : failure.what + QChar('\n') + failure.hint);
}

}  // namespace moescope::gui
