// SPDX-License-Identifier: Apache-2.0
// Markup of tables. Bars are inline SVG, which prints where background colours do not.
#include "reports/html/table.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "reports/html/escape.h"
#include "reports/numbers.h"

namespace moescope {
namespace {

/// Names of kernels and metrics may go on in the next line behind an underscore: it is their length
/// that makes tables wide.
std::string breakable(const std::string& html) {
    std::string out;
    for (const char c : html) {
        out += c;
        if (c == '_') out += "<wbr/>";
    }
    return out;
}

std::string cellHtml(const HtmlCell& cell, bool header, bool numeric) {
    std::string out = header ? "<th scope=\"row\"" : "<td";
    if (numeric) out += " class=\"n\"";
    if (cell.sortValue) {
        const std::string value = rawNumber(*cell.sortValue);
        if (!value.empty()) out += " data-v=\"" + value + "\"";
    }
    out += ">" + breakable(htmlEscape(cell.text));
    if (cell.bar) {
        const double width = std::clamp(*cell.bar, 0.0, 1.0) * 100;
        out +=
            "<svg class=\"bar\" viewBox=\"0 0 100 6\" preserveAspectRatio=\"none\" "
            "aria-hidden=\"true\">"
            "<rect class=\"track\" width=\"100\" height=\"6\"/><rect class=\"fill\" width=\"" +
            formatFixed(width, 2) + "\" height=\"6\"/></svg>";
    }
    return out + (header ? "</th>" : "</td>");
}

}  // namespace

HtmlTable::HtmlTable(std::string caption, std::vector<HtmlColumn> columns, bool sortable)
    : caption_(std::move(caption)), columns_(std::move(columns)), sortable_(sortable) {}

void HtmlTable::row(std::vector<HtmlCell> cells) {
    assert(cells.size() == columns_.size());
    rows_.push_back(std::move(cells));
}

std::string HtmlTable::html() const {
    // A wide table scrolls by itself; tabindex lets the keyboard reach the scroll bar.
    std::string out = "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"" +
                      htmlEscape(caption_) + "\">\n<table" +
                      (sortable_ ? " class=\"sortable\"" : "") + ">\n<caption>" +
                      htmlEscape(caption_) + "</caption>\n<thead><tr>";
    for (const HtmlColumn& column : columns_) {
        out += "<th scope=\"col\"";
        if (column.numeric) out += " class=\"n\"";
        if (!column.help.empty()) out += " title=\"" + htmlEscape(column.help) + "\"";
        out += ">" + htmlEscape(column.title) + "</th>";
    }
    out += "</tr></thead>\n<tbody>\n";
    for (const std::vector<HtmlCell>& cells : rows_) {
        out += "<tr>";
        for (std::size_t i = 0; i < cells.size(); ++i)
            out += cellHtml(cells[i], i == 0, columns_[i].numeric);
        out += "</tr>\n";
    }
    return out + "</tbody>\n</table>\n</div>\n";
}

std::string htmlDetails(const std::string& summary, const std::string& html) {
    return "<details>\n<summary>" + htmlEscape(summary) + "</summary>\n" + html + "</details>\n";
}

}  // namespace moescope
