// SPDX-License-Identifier: Apache-2.0
#include "gui/views/sequence_box.h"

#include <QSignalBlocker>

#include "gui/data/format.h"

namespace moescope::gui {

SequenceBox::SequenceBox(QWidget* parent) : QComboBox(parent) {
    setAccessibleName(tr("Sequence"));
    setMaximumWidth(340);
    setMinimumContentsLength(18);
    setMinimumWidth(110);  // in a small window its text gives way
    setSizeAdjustPolicy(AdjustToMinimumContentsLengthWithIcon);
    setMaxVisibleItems(24);
}

void SequenceBox::setSequences(const std::vector<SequenceRow>& sequences, bool withAll) {
    const QSignalBlocker block(this);
    clear();
    if (withAll) addItem(tr("All sequences"));
    for (const SequenceRow& row : sequences) {
        QString title = QStringLiteral("%1").arg(row.id);
        if (!row.label.empty()) title += QStringLiteral("  ") + text(row.label).simplified();
        if (!row.group.empty()) title += QStringLiteral("  [") + text(row.group) + QChar(']');
        addItem(title, qlonglong(row.id));
    }
}

std::optional<std::int64_t> SequenceBox::chosen() const {
    const QVariant id = currentData();
    return id.isValid() ? std::optional<std::int64_t>(id.toLongLong()) : std::nullopt;
}

void SequenceBox::selectIn(Selection& selection) {
    connect(this, &QComboBox::activated, &selection, [this, &selection] {
        selection.edit([&](SelectionState& s) {
            s.sequence = chosen();
            s.position.reset();
        });
    });
}

void SequenceBox::choose(std::optional<std::int64_t> sequence) {
    const QSignalBlocker block(this);
    const int index = sequence ? findData(qlonglong(*sequence)) : 0;
    if (index >= 0) setCurrentIndex(index);
}

}  // namespace moescope::gui
