// SPDX-License-Identifier: Apache-2.0
// Views and runs to the left, the chosen view in the centre, inspector to the right, one Selection
// for all of them.
#pragma once

#include <QDockWidget>
#include <QListWidget>
#include <QMainWindow>
#include <QStackedWidget>

#include "gui/app/theme.h"
#include "gui/app/view_list.h"
#include "gui/data/loader.h"
#include "gui/views/view.h"

namespace moescope::gui {

class RunDialog;

class MainWindow : public QMainWindow {
    Q_OBJECT
public:
    explicit MainWindow(QWidget* parent = nullptr);
    ~MainWindow() override;

    /// The run that is open already stays, with what is selected, until it is read again.
    void openRun(const QString& path);
    /// Shows the only one. Of several the first is the baseline, as in `moescope compare`: the
    /// second is shown and compared with it, the others are listed.
    void openRuns(const QStringList& paths);
    /// For views that compare runs.
    void setBaseline(const QString& path);
    void showView(const QString& id);
    QString currentView() const;
    View* view(const QString& id) const;  ///< nullptr when there is none of that name
    Selection& selection() noexcept { return selection_; }
    RunPtr run() const { return run_; }
    QString noticeText() const { return notices_->text(); }
    std::optional<Failure> failure() const { return failure_; }
    void setVisible(bool visible) override;
    bool isBusy() const;  ///< loading, or the shown view is
    void saveSettings() const;
    void restoreSettings();

protected:
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dropEvent(QDropEvent* event) override;
    void closeEvent(QCloseEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;

private:
    QAction* add(QMenu* menu, const QString& text, const QKeySequence& key,
                 std::function<void()> act);
    QDockWidget* addDock(const QString& title, const QString& name, QWidget* widget,
                         Qt::DockWidgetArea area);
    void makeDocks();
    void fitDocks();
    void divideDocks();
    void divideLeft();
    void makeMenus();
    void makeFileMenu();
    void makeViewMenu();
    void chooseRun();
    void profile();
    void showLoaded(RunPtr run);
    void showFailed(const QString& path, const Failure& failure);
    void fillCurrent();
    void showLacks();
    void updateActions();
    void inspect();
    /// What the close of the window would end.
    QList<RunDialog*> runningProfiles() const;
    void askToStopProfiles();
    void copy();
    void exportCurrent();
    void addRunItem(int at, const QString& path, const QString& details);
    void dropRunItem(const QString& path);
    void remember(const QString& path);
    View* current() const;

    Selection selection_;
    RunLoader loader_;
    RunPtr run_;
    QString path_;
    std::optional<Failure> failure_;
    bool loading_ = false, reloading_ = false;
    bool closing_ = false;  ///< as soon as the profiles that were asked to stop have ended
    std::vector<View*> views_;
    std::vector<bool> stale_;  ///< views that have not seen the run: filled when first shown
    ViewList* viewList_;
    NoticeBar* notices_;
    QStackedWidget* stack_;
    StatePage* state_;
    QDockWidget* viewsDock_;
    QList<QDockWidget*> docks_;     ///< those that make room
    QList<QDockWidget*> madeRoom_;  ///< hidden while the window is narrow, not by the user
    QByteArray roomyState_;         ///< of the docks before they made room
    bool narrow_ = false;
    QListWidget* runs_;
    FactsModel* facts_;
    DataTable* inspector_;
    QList<QAction*> actions_;
    QAction *undo_, *redo_, *copy_, *export_;
};

}  // namespace moescope::gui
