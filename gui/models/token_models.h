// SPDX-License-Identifier: Apache-2.0
// Tokens of a sequence as wrapped text, and the experts that one token chose in every layer.
#pragma once

#include <QCoreApplication>
#include <QPoint>
#include <QRect>
#include <cstdint>
#include <vector>

#include "gui/data/run_data.h"
#include "gui/models/row_model.h"

namespace moescope::gui {

/// Boxes of tokens in reading order: wrapped at `width`, a new line after a token that ends one.
/// Tested without a window: widths come from outside.
struct TokenLayout {
    struct Item {
        int width = 0;          ///< pixels of the text with its padding
        bool endsLine = false;  ///< the token contains a line break
    };
    std::vector<QRect> boxes;  ///< (n_tokens), in content pixels
    int height = 0;

    static TokenLayout arrange(const std::vector<Item>& items, int width, int lineHeight, int gap);
    int tokenAt(QPoint point) const noexcept;  ///< -1 when none
    /// First and past-last token whose box may touch [top, bottom).
    std::pair<std::size_t, std::size_t> visible(int top, int bottom) const noexcept;
};

/// Whitespace made visible: line breaks as a return arrow, tabs as arrows, an empty token as a dot.
QString tokenLabel(const TokenRow& token);

struct TokenExpertsRow {
    int layer = 0;
    std::vector<std::int16_t>
        experts;                 ///< (top_k) int16, largest weight first; empty when not recorded
    std::vector<float> weights;  ///< (top_k) f32; NaN when the source has none
};
/// Index of the first token with recorded experts in any layer; -1 when there is none.
int firstRoutedToken(const SequenceData& sequence);
std::vector<TokenExpertsRow> tokenExperts(const SequenceData& sequence, std::size_t token);

class TokenExpertsModel : public RowModel<TokenExpertsRow> {
    Q_DECLARE_TR_FUNCTIONS(TokenExpertsModel)
public:
    explicit TokenExpertsModel(QObject* parent = nullptr);
};

/// The table twin of the text: one row a token, its experts in the chosen layer.
struct TokenTableRow {
    TokenRow token;
    std::vector<std::int16_t> experts;
    std::vector<float> weights;
};
std::vector<TokenTableRow> tokenTable(const SequenceData& sequence, int layer);

class TokenTableModel : public RowModel<TokenTableRow> {
    Q_DECLARE_TR_FUNCTIONS(TokenTableModel)
public:
    explicit TokenTableModel(QObject* parent = nullptr);
};

}  // namespace moescope::gui
