// SPDX-License-Identifier: Apache-2.0
#include "gui/app/main_window.h"

#include <QActionGroup>
#include <QApplication>
#include <QClipboard>
#include <QCloseEvent>
#include <QFileDialog>
#include <QFileInfo>
#include <QHeaderView>
#include <QMenuBar>
#include <QMessageBox>
#include <QMimeData>
#include <QRegularExpression>
#include <QSettings>
#include <QStatusBar>
#include <QVBoxLayout>
#include <utility>

#include "gui/app/command_palette.h"
#include "gui/app/export_view.h"
#include "gui/app/recent_runs.h"
#include "gui/app/run_dialog.h"
#include "gui/data/format.h"

namespace moescope::gui {

namespace {
constexpr int kLeftWidth = 170, kInspectorWidth = 262;
constexpr int kStateVersion = 1;  ///< of the docks that are remembered: 0 had none of views
}  // namespace

MainWindow::MainWindow(QWidget* parent)
    : QMainWindow(parent),
      notices_(new NoticeBar(this)),
      stack_(new QStackedWidget(this)),
      state_(new StatePage(this)),
      facts_(new FactsModel(this)) {
    setWindowTitle(tr("MoEScope"));
    setAcceptDrops(true);
    resize(1400, 900);
    for (const ViewType& type : viewTypes()) {
        View* view = type.make(selection_, this);
        view->setObjectName(QLatin1String(type.id));
        stack_->addWidget(view);
        views_.push_back(view);
        connect(view, &View::status, this,
                [this](const QString& text) { statusBar()->showMessage(text); });
        connect(view, &View::openRequested, this, &MainWindow::chooseRun);
        connect(view, &View::profileRequested, this, &MainWindow::profile);
        connect(view, &View::runRequested, this, &MainWindow::openRun);
        connect(view, &View::viewRequested, this, &MainWindow::showView);
        connect(view, &View::pageChanged, this, &MainWindow::updateActions);
    }
    stale_.assign(views_.size(), true);
    stack_->addWidget(state_);
    auto* centre = new QWidget(this);
    auto* layout = new QVBoxLayout(centre);
    layout->setContentsMargins(0, 4, 0, 0);
    layout->setSpacing(0);
    layout->addWidget(notices_);
    layout->addWidget(stack_, 1);
    setCentralWidget(centre);
    makeDocks();
    makeMenus();
    connect(viewList_, &ViewList::viewChosen, this, [this] { fillCurrent(); });
    connect(state_, &StatePage::actionTriggered, this, [this] {
        if (loading_) {
            loader_.cancel();
        } else {
            chooseRun();
        }
    });
    connect(&selection_, &Selection::changed, this, &MainWindow::inspect);
    connect(&loader_, &RunLoader::progressed, state_, &StatePage::setProgress);
    connect(&loader_, &RunLoader::loaded, this, &MainWindow::showLoaded);
    connect(&loader_, &RunLoader::failed, this, &MainWindow::showFailed);
    inspect();
    fillCurrent();
}

MainWindow::~MainWindow() {
    selection_.disconnect();
}

QDockWidget* MainWindow::addDock(const QString& title, const QString& name, QWidget* widget,
                                 Qt::DockWidgetArea area) {
    auto* dock = new QDockWidget(title, this);
    dock->setObjectName(name);
    dock->setWidget(widget);
    addDockWidget(area, dock);
    return dock;
}

void MainWindow::makeDocks() {
    viewList_ = new ViewList(this);
    viewsDock_ = addDock(tr("Views"), QStringLiteral("views"), viewList_, Qt::LeftDockWidgetArea);
    runs_ = new QListWidget(this);
    runs_->setAccessibleName(tr("Runs"));
    runs_->setTextElideMode(Qt::ElideRight);
    runs_->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    for (const QString& path : recentRuns()) {
        addRunItem(runs_->count(), path, QFileInfo(path).absolutePath());
    }
    connect(runs_, &QListWidget::itemActivated, this,
            [this](const QListWidgetItem* item) { openRun(item->data(Qt::UserRole).toString()); });
    connect(runs_, &QListWidget::itemClicked, this, [this](const QListWidgetItem* item) {
        if (item->data(Qt::UserRole).toString() != path_)
            openRun(item->data(Qt::UserRole).toString());
    });
    inspector_ = new DataTable(tr("Inspector"), this);
    inspector_->setSource(facts_, false);
    inspector_->showAsFacts();
    docks_ = {
        addDock(tr("Runs"), QStringLiteral("runs"), runs_, Qt::LeftDockWidgetArea),
        addDock(tr("Inspector"), QStringLiteral("inspector"), inspector_, Qt::RightDockWidgetArea)};
    divideDocks();
}

void MainWindow::divideDocks() {
    resizeDocks({viewsDock_, docks_.back()}, {kLeftWidth, kInspectorWidth}, Qt::Horizontal);
    divideLeft();
}

/// The list of views is as high as it needs, the runs below it have the rest.
void MainWindow::divideLeft() {
    QDockWidget* runs = docks_.front();
    for (QDockWidget* dock : {viewsDock_, runs})
        if (dock->isHidden() || dock->isFloating() ||
            dockWidgetArea(dock) != Qt::LeftDockWidgetArea)
            return;
    const int views = viewList_->contentHeight() + fontMetrics().height() + 8;  // and its title
    resizeDocks({viewsDock_, runs}, {views, std::max(80, height() - views - 60)}, Qt::Vertical);
}

/// In a narrow window these docks would be squeezed to a few characters beside a view without room:
/// they make way, until there is room again or the menu "View" calls them back. The list of views
/// stays, as narrow as it can be.
void MainWindow::fitDocks() {
    constexpr int kLeastWidth = 1100;  // the docks and the widest view
    if ((width() < kLeastWidth) == narrow_) return;
    narrow_ = !narrow_;
    if (narrow_) {
        roomyState_ = saveState(kStateVersion);
        for (QDockWidget* dock : docks_) {
            if (dock->isHidden() || dock->isFloating()) continue;
            dock->hide();
            madeRoom_ << dock;
        }
        resizeDocks({viewsDock_}, {viewList_->contentWidth()}, Qt::Horizontal);
        return;
    }
    for (QDockWidget* dock : std::exchange(madeRoom_, {})) dock->show();
    divideDocks();
}

QAction* MainWindow::add(QMenu* menu, const QString& text, const QKeySequence& key,
                         std::function<void()> act) {
    QAction* action = menu->addAction(text);
    action->setShortcut(key);
    connect(action, &QAction::triggered, this, std::move(act));
    actions_ << action;
    return action;
}

void MainWindow::makeFileMenu() {
    QMenu* file = menuBar()->addMenu(tr("&File"));
    add(file, tr("&Open a run…"), QKeySequence::Open, [this] { chooseRun(); });
    add(file, tr("&Profile a model…"), QKeySequence(tr("Ctrl+R")), [this] { profile(); });
    add(file, tr("&Reload the run"), QKeySequence(Qt::Key_F5), [this] {
        if (!path_.isEmpty()) openRun(path_);
    });
    export_ =
        add(file, tr("&Export the view…"), QKeySequence(tr("Ctrl+E")), [this] { exportCurrent(); });
    file->addSeparator();
    add(file, tr("&Quit"), QKeySequence(tr("Ctrl+Q")), [this] { close(); });
    QMenu* edit = menuBar()->addMenu(tr("&Edit"));
    undo_ = add(edit, tr("&Undo the selection"), QKeySequence::Undo, [this] { selection_.undo(); });
    redo_ = add(edit, tr("&Redo the selection"), QKeySequence(tr("Ctrl+Y")),
                [this] { selection_.redo(); });
    add(edit, tr("&Clear the selection"), QKeySequence(Qt::Key_Escape),
        [this] { selection_.clear(); });
    edit->addSeparator();
    copy_ = add(edit, tr("C&opy rows"), QKeySequence::Copy, [this] { copy(); });
    add(edit, tr("&Find"), QKeySequence::Find, [this] {
        if (QLineEdit* field = current()->searchField()) field->setFocus(Qt::ShortcutFocusReason);
    });
}

void MainWindow::makeViewMenu() {
    QMenu* menu = menuBar()->addMenu(tr("&View"));
    int number = 1;
    for (const ViewType& type : viewTypes()) {
        const QString id = QLatin1String(type.id);
        // The keyboard has a key for nine of them; Ctrl+0 shows all of a view.
        const QString key = number <= 9 ? QStringLiteral("Ctrl+%1").arg(number) : QString();
        add(menu, QCoreApplication::translate("View", type.title), QKeySequence(key),
            [this, id] { showView(id); });
        viewList_->setKey(number - 1, QKeySequence(key));
        ++number;
    }
    menu->addSeparator();
    add(menu, tr("&Previous view"), QKeySequence(tr("Ctrl+PgUp")),
        [this] { viewList_->chooseView(viewList_->chosenView() - 1); });
    add(menu, tr("&Next view"), QKeySequence(tr("Ctrl+PgDown")),
        [this] { viewList_->chooseView(viewList_->chosenView() + 1); });
    add(menu, tr("Show &all"), QKeySequence(tr("Ctrl+0")), [this] { current()->fit(); });
    menu->addSeparator();
    for (const QDockWidget* dock : findChildren<QDockWidget*>()) {
        QAction* toggle = dock->toggleViewAction();
        menu->addAction(toggle);
        actions_ << toggle;
    }
    QMenu* themes = menu->addMenu(tr("&Theme"));
    auto* group = new QActionGroup(this);
    const QString chosen =
        QSettings().value(QStringLiteral("theme"), QStringLiteral("system")).toString();
    for (const auto& [theme, title] : {std::pair{Theme::System, tr("Theme: as the system")},
                                       {Theme::Light, tr("Theme: light")},
                                       {Theme::Dark, tr("Theme: dark")}}) {
        QAction* action = add(themes, title, {}, [theme = theme] {
            QSettings().setValue(QStringLiteral("theme"), themeName(theme));
            applyTheme(theme);
        });
        action->setCheckable(true);
        action->setChecked(themeName(theme) == chosen);
        group->addAction(action);
    }
}

void MainWindow::makeMenus() {
    makeFileMenu();
    makeViewMenu();
    QMenu* help = menuBar()->addMenu(tr("&Help"));
    QAction* palette = add(help, tr("&Commands…"), QKeySequence(tr("Ctrl+K")),
                           [this] { CommandPalette(actions_, this).exec(); });
    palette->setShortcuts({QKeySequence(tr("Ctrl+K")), QKeySequence(tr("Ctrl+Shift+P"))});
    add(help, tr("&Keys"), QKeySequence(tr("?")), [this] { showKeys(actions_, this); });
}

View* MainWindow::current() const {
    return views_[static_cast<std::size_t>(viewList_->chosenView())];
}

QString MainWindow::currentView() const {
    return current()->objectName();
}

View* MainWindow::view(const QString& id) const {
    for (View* view : views_) {
        if (view->objectName() == id) return view;
    }
    return nullptr;
}

void MainWindow::showView(const QString& id) {
    for (std::size_t i = 0; i < views_.size(); ++i) {
        if (views_[i]->objectName() == id) viewList_->chooseView(static_cast<int>(i));
    }
    fillCurrent();
}

bool MainWindow::isBusy() const {
    return loading_ || current()->isBusy();
}

/// What is not shown can be neither copied nor exported: it would be of a run that is closed.
void MainWindow::updateActions() {
    copy_->setEnabled(run_ != nullptr);
    export_->setEnabled(run_ != nullptr && current()->showsPage());
}

void MainWindow::fillCurrent() {
    updateActions();
    View* view = current();
    const auto index = static_cast<std::size_t>(viewList_->chosenView());
    if (!view->needsRun()) {
        view->setRun(run_);
        stack_->setCurrentWidget(view);
        notices_->setVisible(false);
        return;
    }
    notices_->setVisible(!notices_->text().isEmpty());
    notices_->setCollapsed(view->objectName() != QLatin1String("summary"));
    if (!run_) {
        if (!loading_ && !failure_)
            state_->show(tr("No run is open"),
                         tr("Open a run file, drop one here, or profile a model (Ctrl+R)."),
                         tr("Open a run…"));
        stack_->setCurrentWidget(state_);
        return;
    }
    if (stale_[index]) {
        stale_[index] = false;
        view->setRun(run_);
    }
    stack_->setCurrentWidget(view);
}

/// Of the views that have nothing to show of the run; without one nothing is known of any.
void MainWindow::showLacks() {
    for (std::size_t i = 0; i < views_.size(); ++i)
        viewList_->setLack(static_cast<int>(i),
                           run_ ? views_[i]->lack(*run_) : std::optional<Lack>());
}

void MainWindow::chooseRun() {
    openRuns(QFileDialog::getOpenFileNames(this, tr("Open runs"), QFileInfo(path_).absolutePath(),
                                           tr("Runs (*.moescope);;All files (*)")));
}

void MainWindow::openRuns(const QStringList& paths) {
    if (paths.isEmpty()) return;
    const qsizetype shown = paths.size() > 1 ? 1 : 0;
    for (qsizetype i = 0; i < paths.size(); ++i) {
        if (i == shown) continue;
        const QFileInfo file(paths[i]);
        const QString known = file.absoluteFilePath();
        dropRunItem(known);
        addRunItem(runs_->count(), known, file.absolutePath());
    }
    if (shown > 0) setBaseline(paths.front());
    openRun(paths[shown]);
}

void MainWindow::openRun(const QString& path) {
    const QString file = QFileInfo(path).absoluteFilePath();
    const QString reading = tr("Reading %1…").arg(QFileInfo(path).fileName());
    reloading_ = run_ != nullptr && file == path_;
    path_ = file;
    loading_ = true;
    failure_.reset();
    if (reloading_) {
        statusBar()->showMessage(reading);
        loader_.load(path_.toStdString());
        return;
    }
    run_.reset();
    notices_->setNotices({});
    state_->show(reading, {}, tr("Cancel"), 0);
    if (!current()->needsRun()) showView(QStringLiteral("summary"));
    showLacks();
    fillCurrent();
    inspect();
    loader_.load(path_.toStdString());
}

void MainWindow::setBaseline(const QString& path) {
    for (View* view : views_) view->setBaseline(QFileInfo(path).absoluteFilePath());
}

void MainWindow::addRunItem(int at, const QString& path, const QString& details) {
    auto* item = new QListWidgetItem(QFileInfo(path).fileName() + QChar('\n') + details);
    item->setData(Qt::UserRole, path);
    item->setToolTip(path + QChar('\n') + details);
    runs_->insertItem(at, item);
}

void MainWindow::dropRunItem(const QString& path) {
    for (int i = runs_->count() - 1; i >= 0; --i) {
        if (runs_->item(i)->data(Qt::UserRole).toString() == path) delete runs_->takeItem(i);
    }
}

void MainWindow::remember(const QString& path) {
    addRecentRun(path);
    dropRunItem(path);
    const QStringList facts{text(run_->meta("kind")), text(runStatusName(run_->summary.status)),
                            text(run_->modelName())};
    addRunItem(0, path,
               facts.filter(QRegularExpression(QStringLiteral("."))).join(QStringLiteral(", ")));
    runs_->setCurrentRow(0);
}

void MainWindow::showLoaded(RunPtr run) {
    loading_ = false;
    run_ = std::move(run);
    stale_.assign(views_.size(), true);
    if (std::exchange(reloading_, false)) {
        selection_.restrict([this](SelectionState& state) { keepWhatIsIn(*run_, state); });
    } else {
        selection_.reset();
    }
    notices_->setNotices(notices(*run_));
    setWindowTitle(tr("%1 - MoEScope").arg(QFileInfo(path_).fileName()));
    remember(path_);
    showLacks();
    statusBar()->showMessage(
        tr("%1: %2, %3, %4")
            .arg(QFileInfo(path_).fileName(),
                 formatCounted(static_cast<std::int64_t>(run_->operations.size()), "operation"),
                 formatCounted(static_cast<std::int64_t>(run_->summary.sequences.size()),
                               "sequence"),
                 formatCounted(static_cast<std::int64_t>(run_->suites.size()), "suite")));
    fillCurrent();
    inspect();
}

void MainWindow::showFailed(const QString& path, const Failure& failure) {
    loading_ = false;
    failure_ = failure;
    if (std::exchange(reloading_, false)) {
        std::vector<Notice> all = notices(*run_);
        all.insert(all.begin(), {Notice::Level::Error,
                                 tr("%1. What is shown was read before.").arg(failure.what)});
        notices_->setNotices(all);
        fillCurrent();
        return;
    }
    if (failure.interrupted) {
        state_->show(tr("Reading was cancelled"), path, tr("Open a run…"));
    } else {
        notices_->setNotices({{Notice::Level::Error, failure.what}});
        state_->show(tr("%1 cannot be opened").arg(QFileInfo(path).fileName()),
                     failure.hint.isEmpty() ? tr("Choose another file, or make the run again.")
                                            : failure.hint,
                     tr("Open a run…"));
    }
    setWindowTitle(tr("MoEScope"));
    fillCurrent();
}

void MainWindow::inspect() {
    undo_->setEnabled(selection_.canUndo());
    redo_->setEnabled(selection_.canRedo());
    inspector_->clearSpans();
    facts_->setRows(run_ ? selectionFacts(*run_, selection_.state()) : std::vector<FactRow>());
    for (int row = 0; row < facts_->rowCount(); ++row) {
        if (facts_->row(row).section) inspector_->setSpan(row, 0, 1, 2);
    }
    inspector_->fitColumns(170);
}

void MainWindow::profile() {
    auto* dialog = new RunDialog(this);
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    connect(dialog, &RunDialog::runWritten, this, &MainWindow::openRun);
    connect(dialog, &RunDialog::jobEnded, this, [this] {
        if (closing_) close();
    });
    dialog->show();
}

void MainWindow::copy() {
    QWidget* focus = QApplication::focusWidget();
    for (QWidget* widget = focus; widget != nullptr; widget = widget->parentWidget()) {
        if (const auto* table = qobject_cast<DataTable*>(widget)) {
            QApplication::clipboard()->setText(table->toTsv());
            return;
        }
    }
    if (const DataTable* table = current()->table(); table != nullptr && current()->showsPage())
        QApplication::clipboard()->setText(table->toTsv());
}

void MainWindow::exportCurrent() {
    const QString path = QFileDialog::getSaveFileName(
        this, tr("Export the view"), currentView() + QStringLiteral(".png"),
        tr("Picture (*.png);;Drawing (*.svg);;Table (*.csv)"));
    if (path.isEmpty()) return;
    const auto outcome = attempt([&] {
        exportView(*current(), path);
        return true;
    });
    statusBar()->showMessage(
        outcome.value ? tr("Written to %1").arg(path)
                      : tr("Error: %1. %2").arg(outcome.failure.what, outcome.failure.hint));
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event) {
    if (event->mimeData()->hasUrls()) event->acceptProposedAction();
}

void MainWindow::dropEvent(QDropEvent* event) {
    QStringList paths;
    for (const QUrl& url : event->mimeData()->urls()) {
        if (url.isLocalFile()) paths << url.toLocalFile();
    }
    openRuns(paths);
}

void MainWindow::saveSettings() const {
    QSettings settings;
    settings.setValue(QStringLiteral("geometry"), saveGeometry());
    // Docks that are hidden for want of room were not hidden by the user.
    settings.setValue(QStringLiteral("state"),
                      madeRoom_.isEmpty() ? saveState(kStateVersion) : roomyState_);
}

void MainWindow::restoreSettings() {
    const QSettings settings;
    restoreGeometry(settings.value(QStringLiteral("geometry")).toByteArray());
    restoreState(settings.value(QStringLiteral("state")).toByteArray(), kStateVersion);
    narrow_ = false;
    madeRoom_.clear();
    fitDocks();
}

void MainWindow::setVisible(bool visible) {
    fitDocks();  // before the layout widens the window to what the docks need
    QMainWindow::setVisible(visible);
}

void MainWindow::resizeEvent(QResizeEvent* event) {
    QMainWindow::resizeEvent(event);
    fitDocks();
    if (event->size().height() != event->oldSize().height()) divideLeft();
}

QList<RunDialog*> MainWindow::runningProfiles() const {
    QList<RunDialog*> running;
    for (RunDialog* dialog : findChildren<RunDialog*>())
        if (dialog->isRunning()) running << dialog;
    return running;
}

void MainWindow::askToStopProfiles() {
    auto* box = new QMessageBox(QMessageBox::Question, tr("A profile is running"),
                                tr("Closing the window stops the profile that is running. What was "
                                   "measured is kept."),
                                QMessageBox::NoButton, this);
    box->setAttribute(Qt::WA_DeleteOnClose);
    const QPushButton* stop = box->addButton(tr("&Stop it and close"), QMessageBox::AcceptRole);
    box->setDefaultButton(box->addButton(tr("&Keep it running"), QMessageBox::RejectRole));
    connect(stop, &QPushButton::clicked, this, [this] {
        closing_ = true;
        const QList<RunDialog*> running = runningProfiles();
        for (RunDialog* dialog : running)
            if (!dialog->isStopping()) dialog->cancel();
        if (running.isEmpty()) close();
    });
    box->open();
}

void MainWindow::closeEvent(QCloseEvent* event) {
    if (!runningProfiles().isEmpty()) {
        event->ignore();
        if (!closing_) askToStopProfiles();
        return;
    }
    saveSettings();
    event->accept();
}

}  // namespace moescope::gui
