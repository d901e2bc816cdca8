// SPDX-License-Identifier: Apache-2.0
// The views under the headings of their sections, all of them at once: what a row of tabs has no
// room for.
#pragma once

#include <QListWidget>
#include <optional>
#include <vector>

#include "gui/views/view.h"

namespace moescope::gui {

class ViewList : public QListWidget {
    Q_OBJECT
public:
    explicit ViewList(QWidget* parent = nullptr);

    int chosenView() const;      ///< index in viewTypes()
    void chooseView(int index);  ///< one that is not there is ignored
    void setKey(int index, const QKeySequence& key);
    /// Dims a view that has nothing to show and tells why; nothing: shows it as the others.
    void setLack(int index, const std::optional<Lack>& lack);
    int contentWidth() const;   ///< that shows every title whole
    int contentHeight() const;  ///< that shows every row

    QSize sizeHint() const override { return {contentWidth(), contentHeight()}; }
    QSize minimumSizeHint() const override { return {contentWidth(), 80}; }

signals:
    void viewChosen(int index);

private:
    void describe(int index);

    std::vector<QListWidgetItem*> items_;     ///< by index in viewTypes()
    std::vector<QString> keys_;               ///< the same
    std::vector<std::optional<Lack>> lacks_;  ///< the same
};

}  // namespace moescope::gui
