// SPDX-License-Identifier: Apache-2.0
// Work in a thread of the pool, its result back in the window's thread.
#pragma once

#include <QFuture>
#include <QString>
#include <QtConcurrent>
#include <exception>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "engine/core/interrupt.h"
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

/// Runs `work()`, or `work(const StopFlag*)` where it takes one, in a thread of the pool.
/// `done(Outcome)` runs in `context`'s thread, and never after `context` is gone: the watcher that
/// delivers it is its child. The flag that is returned stops the work; so does the end of
/// `context`.
template <class Work, class Done>
std::shared_ptr<StopFlag> runInBackground(QObject* context, Work work, Done done) {
    auto stop = std::make_shared<StopFlag>(false);
    auto job = [work = std::move(work), stop]() mutable {
        return attempt([&] {
            throwIfStopped(stop.get());  // it may have waited for a thread until nobody wants it
            if constexpr (std::is_invocable_v<Work&, const StopFlag*>)
                return work(stop.get());
            else
                return work();
        });
    };
    auto* watcher = new QFutureWatcher<decltype(job())>(context);
    QObject::connect(watcher, &QFutureWatcherBase::finished, context,
                     [watcher, done = std::move(done)]() mutable {
                         watcher->deleteLater();
                         done(watcher->result());
                     });
    QObject::connect(watcher, &QObject::destroyed, [stop] { stop->store(true); });
    watcher->setFuture(QtConcurrent::run(std::move(job)));
    return stop;
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
    std::shared_ptr<StopFlag> stop_;
};

}  // namespace moescope::gui
