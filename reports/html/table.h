// SPDX-License-Identifier: Apache-2.0
// Accessible HTML tables: caption, column and row headers with scope, numbers right-aligned.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace moescope {

struct HtmlColumn {
    std::string title;
    bool numeric = false;
    std::string help = {};  ///< longer explanation, shown on hover
};

struct HtmlCell {
    HtmlCell(std::string shown) : text(std::move(shown)) {}  // NOLINT: a cell is mostly just text
    HtmlCell(const char* shown) : text(shown) {}             // NOLINT
    HtmlCell(std::string shown, double sort) : text(std::move(shown)), sortValue(sort) {}

    std::string text;  ///< plain text, escaped on output
    std::optional<double> sortValue = {};
    std::optional<double> bar = {};  ///< 0..1: drawn under the text
};

class HtmlTable {
public:
    /// `sortable` tables get sort buttons from the page's script; without it they are plain.
    HtmlTable(std::string caption, std::vector<HtmlColumn> columns, bool sortable = false);
    /// The first cell heads the row. As many cells as columns.
    void row(std::vector<HtmlCell> cells);
    bool empty() const noexcept { return rows_.empty(); }
    std::string html() const;

private:
    std::string caption_;
    std::vector<HtmlColumn> columns_;
    bool sortable_;
    std::vector<std::vector<HtmlCell>> rows_;
};

/// `html` folded away behind `summary` (plain text).
std::string htmlDetails(const std::string& summary, const std::string& html);

}  // namespace moescope
