// SPDX-License-Identifier: Apache-2.0
// Work in a thread of the pool, its result back in the window's thread.
#pragma once

#include <QFuture>
#include <QString>
#include <QtConcurrent>
#include <exception>
#include <functional>
#include <memory>
#include <utility>

#include "engine/core/error.h"
#include "gui/data/format.h"
#include "gui/data/run_data.h"

namespace moescope::gui {

/// What failed and what to do about it, as shown on the page.
struct Failure {
    QString what, hint;
    bool interrupted = false;
};

/// Value or failure; exactly one is set.
template <class T>
struct Outcome {
    std::optional<T> value;
    Failure failure;
};

/// Runs `work` and turns exceptions into a Failure: the one place where the window catches them.
template <class Work>
auto attempt(Work&& work) -> Outcome<decltype(work())> {
    try {
        return {work(), {}};
    } catch (const Interrupted& error) {
        return {std::nullopt, {text(error.what()), text(error.hint()), true}};
    } catch (const Error& error) {
        return {std::nullopt, {text(error.what()), text(error.hint()), false}};
    } catch (const std::exception& error) {
        return {std::nullopt, {text(error.what()), {}, false}};
    }
}

/// `done(Outcome)` runs in `context`'s thread, and never after `context` is gone: the watcher that
/// delivers it is its child.
template <class Work, class Done>
void runInBackground(QObject* context, Work work, Done done) {
    using Result = decltype(attempt(work));
    auto* watcher = new QFutureWatcher<Result>(context);
    QObject::connect(watcher, &QFutureWatcherBase::finished, context,
                     [watcher, done = std::move(done)]() mutable {
                         watcher->deleteLater();
                         done(watcher->result());
                     });
    watcher->setFuture(
        QtConcurrent::run([work = std::move(work)]() mutable { return attempt(work); }));
}

/// One load at a time; starting another, or destruction, stops the one under way.
class RunLoader : public QObject {
    Q_OBJECT
public:
    using QObject::QObject;
    ~RunLoader() override;

    void load(const std::filesystem::path& path);
    void cancel();

signals:
    void progressed(double share);
    void loaded(moescope::gui::RunPtr run);
    void failed(QString path, moescope::gui::Failure failure);

private:
    std::shared_ptr<std::atomic<bool>> stop_;
};

}  // namespace moescope::gui
