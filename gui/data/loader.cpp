// SPDX-License-Identifier: Apache-2.0
#include "gui/data/loader.h"

#include <QPromise>

namespace moescope::gui {

RunLoader::~RunLoader() {
    cancel();
}

void RunLoader::cancel() {
    if (stop_) stop_->store(true);
}

void RunLoader::load(const std::filesystem::path& path) {
    cancel();
    stop_ = std::make_shared<StopFlag>(false);
    // A watcher delivers progress in this thread; a QFuture continuation alone would not.
    auto* watcher = new QFutureWatcher<Outcome<RunPtr>>(this);
    connect(watcher, &QFutureWatcherBase::progressValueChanged, this,
            [this, stop = stop_](int percent) {
                if (stop == stop_) emit progressed(percent / 100.0);
            });
    connect(watcher, &QFutureWatcherBase::finished, this, [this, watcher, path, stop = stop_] {
        watcher->deleteLater();
        if (stop != stop_) return;  // replaced by a later load
        Outcome<RunPtr> outcome = watcher->result();
        if (outcome.value) {
            emit loaded(std::move(*outcome.value));
        } else {
            emit failed(QString::fromStdString(path.string()), outcome.failure);
        }
    });
    watcher->setFuture(QtConcurrent::run([path, stop = stop_](QPromise<Outcome<RunPtr>>& promise) {
        promise.setProgressRange(0, 100);
        const auto progress = [&](double share) {
            promise.setProgressValue(static_cast<int>(share * 100));
        };
        promise.addResult(attempt([&] { return loadRun(path, stop.get(), progress); }));
    }));
}

}  // namespace moescope::gui
