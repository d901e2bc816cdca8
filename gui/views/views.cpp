// SPDX-License-Identifier: Apache-2.0
// The table of views, and what all of them share.
#include <array>

#include "gui/data/format.h"
#include "gui/views/view.h"
#include "reports/terms.h"

#include <QLabel>

namespace moescope::gui {
namespace {

constexpr const char* kRun = QT_TRANSLATE_NOOP("View", "Run");
constexpr const char* kSpeed = QT_TRANSLATE_NOOP("View", "Speed");
constexpr const char* kRouting = QT_TRANSLATE_NOOP("View", "Routing");
constexpr const char* kResults = QT_TRANSLATE_NOOP("View", "Results");

constexpr std::array<ViewType, 14> kViews = {{
    {"start", kRun, QT_TRANSLATE_NOOP("View", "Start"), makeStartView},
    {"summary", kRun, QT_TRANSLATE_NOOP("View", "Summary"), makeSummaryView},
    {"kernels", kSpeed, QT_TRANSLATE_NOOP("View", "Kernels"), makeKernelsView},
    {"roofline", kSpeed, QT_TRANSLATE_NOOP("View", "Roofline"), makeRooflineView},
    {"time", kSpeed, QT_TRANSLATE_NOOP("View", "Time"), makeTimeView},
    {"timeline", kSpeed, QT_TRANSLATE_NOOP("View", "Timeline"), makeTimelineView},
    {"experts", kRouting, QT_TRANSLATE_NOOP("View", "Experts"), makeExpertsView},
    {"expert-time", kRouting, QT_TRANSLATE_NOOP("View", "Expert time"), makeExpertTimeView},
    {"groups", kRouting, QT_TRANSLATE_NOOP("View", "Groups"), makeGroupsView},
    {"gpus", kRouting, QT_TRANSLATE_NOOP("View", "GPUs"), makeGpusView},
    {"cache", kRouting, QT_TRANSLATE_NOOP("View", "Cache"), makeCacheView},
    {"tokens", kRouting, QT_TRANSLATE_NOOP("View", "Tokens"), makeTokensView},
    {"compare", kResults, QT_TRANSLATE_NOOP("View", "Compare"), makeCompareView},
    {"evaluations", kResults, QT_TRANSLATE_NOOP("View", "Evaluations"), makeEvaluationsView},
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
    if (const std::optional<Lack> lacks = run ? lack(*run) : std::nullopt) {
        showState(lacks->what, lacks->remedy);
    } else {
        open(std::move(run));
    }
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

std::optional<Lack> View::lackOfTimes(const RunData& run) {
    if (run.operations.size() > 0 || !run.steps.empty()) return {};
    return Lack{
        tr("This run has no times"),
        tr("moescope profile MODEL --prompt TEXT --out RUN records them, as eval --trace does.")};
}

std::optional<Lack> View::lackOfOperations(const RunData& run) {
    if (run.kernels().size() > 0) return {};
    return Lack{
        tr("This run has no operations"),
        tr("moescope profile MODEL --prompt TEXT --out RUN records them, as eval --trace does.")};
}

std::optional<Lack> View::lackOfRouting(const RunData& run) {
    if (!run.routing.empty()) return {};
    return Lack{tr("This run has no expert routing"),
                tr("Profiles and evaluations of models with experts record it, and so do published "
                   "traces that moescope import reads.")};
}

std::optional<Lack> View::lackOfTokenRouting(const RunData& run) {
    if (std::optional<Lack> lacks = lackOfRouting(run); lacks || run.tokenRouting) return lacks;
    return Lack{tr("This run does not hold the experts of each token"),
                tr("moescope profile or eval with --routing-tokens records them.")};
}

void View::showFailure(const QString& title, const Failure& failure) {
    showState(title,
              failure.hint.isEmpty() ? failure.what : failure.what + QChar('\n') + failure.hint);
}

}  // namespace moescope::gui
