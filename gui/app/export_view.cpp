// SPDX-License-Identifier: Apache-2.0
#include "gui/app/export_view.h"

#include <QFileInfo>
#include <QPainter>
#include <QPixmap>
#include <QSvgGenerator>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "gui/views/view.h"

namespace moescope::gui {

void exportView(View& view, const QString& path) {
    const QString ending = QFileInfo(path).suffix().toLower();
    const std::string name = path.toStdString();
    if (!view.showsPage())
        throw Error(name + ": the view shows nothing that could be exported",
                    "Choose another view, or wait until it is filled.");
    if (ending == QLatin1String("csv")) {
        if (view.table() == nullptr)
            throw Error(name + ": this view has no table", "Export a picture instead.");
        writeFile(name, view.table()->toCsv().toStdString());
    } else if (ending == QLatin1String("svg")) {
        QSvgGenerator svg;
        svg.setFileName(path);
        svg.setSize(view.size());
        svg.setViewBox(view.rect());
        QPainter painter;
        if (!painter.begin(&svg))
            throw Error(name + ": cannot write", "Choose a folder that you may write to.");
        view.render(&painter);
    } else if (ending == QLatin1String("png")) {
        if (!view.grab().save(path, "PNG"))
            throw Error(name + ": cannot write", "Choose a folder that you may write to.");
    } else {
        throw Error(name + ": unknown kind of file", "Use a name that ends in .png, .svg or .csv.");
    }
}

}  // namespace moescope::gui
