// SPDX-License-Identifier: Apache-2.0
// A view as a picture or its table as CSV, by the ending of the file's name.
#pragma once

#include <QString>

namespace moescope::gui {

class View;

/// .png, .svg or .csv. Throws Error: unknown ending, no table, unwritable.
void exportView(View& view, const QString& path);

}  // namespace moescope::gui
