// SPDX-License-Identifier: Apache-2.0
// A sequence as wrapped text: each token a box coloured by its top expert in the chosen layer, with
// the expert ids beneath, so that colour is never the only sign.
#pragma once

#include <QAbstractScrollArea>

#include "gui/data/run_data.h"
#include "gui/models/token_models.h"

namespace moescope::gui {

class TokenText : public QAbstractScrollArea {
    Q_OBJECT
public:
    enum class Ids : std::uint8_t { None, Top, All };

    explicit TokenText(QWidget* parent = nullptr);

    void setSequence(SequencePtr sequence, int layer);
    void setLayer(int layer);
    void setIds(Ids ids);
    void setCurrent(int token);  ///< index, -1 none; scrolls there, no signal
    int current() const noexcept { return current_; }
    /// Tokens that overlap an occurrence of `needle` in the text (case-insensitive); returns how
    /// many.
    int setSearch(const QString& needle);
    void findNext(int direction);
    QRect tokenRect(int token) const;  ///< in viewport pixels

signals:
    void currentChanged(int token);
    void hovered(const QString& text);

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    void arrange();
    void choose(int token);
    QString idsOf(std::size_t token) const;
    int topExpert(std::size_t token) const;  ///< -1 when not recorded

    SequencePtr sequence_;
    int layerIndex_ = -1;
    Ids ids_ = Ids::Top;
    std::vector<QString> labels_;
    std::vector<bool> found_;
    TokenLayout layout_;
    int current_ = -1;
};

}  // namespace moescope::gui
