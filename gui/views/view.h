// SPDX-License-Identifier: Apache-2.0
// What a view is. A new view = one file that makes one, and one line in the table of views.cpp.
#pragma once

#include <QBoxLayout>
#include <QCoreApplication>
#include <QLineEdit>
#include <QPushButton>
#include <QStackedLayout>
#include <QStackedWidget>
#include <QWidget>
#include <optional>
#include <span>

#include "gui/data/loader.h"
#include "gui/data/run_data.h"
#include "gui/data/selection.h"
#include "gui/widgets/data_table.h"
#include "gui/widgets/notice_bar.h"

namespace moescope::gui {

/// Why a view has nothing to show of a run, a sentence without its full stop, and what would record
/// it, a whole sentence.
struct Lack {
    QString what, remedy;
};

/// Reads and sets the window's Selection; never talks to another view.
class View : public QWidget {
    Q_OBJECT
public:
    View(Selection& selection, QWidget* parent);

    /// Stops what is computed for the run before, empties the view, then opens `run` in it, or says
    /// what it lacks. Null, for views that need no run: none is open.
    void setRun(RunPtr run);
    /// What the snapshot of the run already tells; `open` may find in the file that there is less.
    virtual std::optional<Lack> lack(const RunData&) const { return {}; }
    /// Run file that the open run is compared with.
    virtual void setBaseline(const QString&) {}
    virtual bool needsRun() const { return true; }
    virtual DataTable* table() const { return nullptr; }        ///< for copying and CSV
    virtual QLineEdit* searchField() const { return nullptr; }  ///< for Ctrl+F
    virtual void fit() {}                                       ///< show everything
    virtual bool isBusy() const { return busy_ > 0; }           ///< a background job is under way
    bool showsPage() const;  ///< not just a line that says why there is nothing

signals:
    void status(const QString& text);
    void openRequested();
    void profileRequested();
    void runRequested(const QString& path);
    void viewRequested(const QString& id);
    void pageChanged();  ///< showsPage() may have

protected:
    /// Drops everything of the run before: neither a click nor an export may meet it.
    virtual void forget() {}
    virtual void open(RunPtr) {}
    Selection& selection() const noexcept { return selection_; }
    QWidget* page() const noexcept { return page_; }  ///< parent of what the view shows
    void showPage();
    void showState(const QString& title, const QString& hint);
    static std::optional<Lack> lackOfTimes(const RunData& run);
    static std::optional<Lack> lackOfOperations(const RunData& run);
    static std::optional<Lack> lackOfRouting(const RunData& run);
    static std::optional<Lack> lackOfTokenRouting(const RunData& run);  ///< or of any routing
    /// What failed and, where that is known, what to do about it.
    void showFailure(const QString& title, const Failure& failure);
    /// A control behind its label, whose mnemonic it takes.
    void addLabelled(QBoxLayout* bar, const QString& title, QWidget* control) const;
    /// A button that shows the second page of `stack`, the table twin of the picture on its first.
    QPushButton* tableSwitch(QStackedWidget* stack) const;
    /// What the range of the selection leaves: "in the selected 1.2 ms (Esc: all)", "whole run".
    static QString extentText(const std::optional<TimeRange>& range);
    /// runInBackground in place of the job before, which is stopped: `done` is only called while no
    /// other job was started and no other run set.
    template <class Work, class Done>
    void startJob(Work work, Done done) {
        stopJob();
        ++busy_;
        stop_ = runInBackground(this, std::move(work),
                                [this, job = job_, done = std::move(done)](auto outcome) mutable {
                                    --busy_;
                                    if (job == job_) done(std::move(outcome));
                                });
    }

private:
    void stopJob();

    Selection& selection_;
    QStackedLayout* stack_;
    StatePage* state_;
    QWidget* page_;
    int busy_ = 0;
    std::shared_ptr<StopFlag> stop_;  ///< of the last job
    std::uint64_t job_ = 0;           ///< number of the only job whose result counts
};

struct ViewType {
    const char* id;  ///< for --view and settings
    /// Heading that it stands under in the list of views, context "View"; those of one section
    /// stand together.
    const char* section;
    const char* title;  ///< context "View"
    View* (*make)(Selection& selection, QWidget* parent);
};

/// In the order of the list.
std::span<const ViewType> viewTypes();

View* makeStartView(Selection&, QWidget*);
View* makeSummaryView(Selection&, QWidget*);
View* makeKernelsView(Selection&, QWidget*);
View* makeRooflineView(Selection&, QWidget*);
View* makeTimeView(Selection&, QWidget*);
View* makeTimelineView(Selection&, QWidget*);
View* makeExpertsView(Selection&, QWidget*);
View* makeExpertTimeView(Selection&, QWidget*);
View* makeGroupsView(Selection&, QWidget*);
View* makeGpusView(Selection&, QWidget*);
View* makeCacheView(Selection&, QWidget*);
View* makeTokensView(Selection&, QWidget*);
View* makeCompareView(Selection&, QWidget*);
View* makeEvaluationsView(Selection&, QWidget*);

}  // namespace moescope::gui
