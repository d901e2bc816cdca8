// SPDX-License-Identifier: Apache-2.0
// RFC 4180 rows, tolerant only where published suites need it (see records.h).
#include "datasets/delimited.h"

#include <algorithm>

#include "engine/core/error.h"

namespace moescope {

DelimitedReader::DelimitedReader(std::string_view text, char separator, bool quoting,
                                 RecordLimits limits, std::string origin)
    : text_(text),
      separator_(separator),
      quoting_(quoting),
      limits_(limits),
      origin_(std::move(origin)) {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
}

void DelimitedReader::fail(std::int64_t line, const std::string& cause) const {
    throw Error(origin_ + ":" + std::to_string(line) + ": " + cause);
}

bool DelimitedReader::atLineEnd() const {
    if (text_[at_] == '\n') return true;
    return text_[at_] == '\r' && (at_ + 1 == text_.size() || text_[at_ + 1] == '\n');
}

void DelimitedReader::consumeLineEnd() {
    if (text_[at_] == '\r') ++at_;
    if (at_ < text_.size() && text_[at_] == '\n') ++at_;
    ++line_;
}

std::string DelimitedReader::quotedField() {
    const std::int64_t opened = line_;
    std::string field;
    for (++at_;;) {
        const std::size_t quote = text_.find('"', at_);
        if (quote == std::string_view::npos) fail(opened, "a quoted field is never closed");
        const std::string_view part = text_.substr(at_, quote - at_);
        if (field.size() + part.size() > limits_.fieldBytes) fail(opened, "a field is too long");
        line_ += std::count(part.begin(), part.end(), '\n');
        field += part;
        at_ = quote + 1;
        if (at_ >= text_.size() || text_[at_] != '"') break;
        field += '"';
        ++at_;
    }
    if (at_ < text_.size() && text_[at_] != separator_ && !atLineEnd())
        fail(line_, "text follows a closing quote");
    return field;
}

std::string DelimitedReader::plainField() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != separator_ && !atLineEnd()) ++at_;
    if (at_ - begin > limits_.fieldBytes) fail(line_, "a field is too long");
    return std::string(text_.substr(begin, at_ - begin));
}

bool DelimitedReader::next(DelimitedRow& row) {
    while (at_ < text_.size() && atLineEnd()) consumeLineEnd();
    if (at_ >= text_.size()) return false;
    row.fields.clear();
    row.line = line_;
    for (;;) {
        const bool quoted = quoting_ && at_ < text_.size() && text_[at_] == '"';
        row.fields.push_back(quoted ? quotedField() : plainField());
        if (row.fields.size() > limits_.fieldsPerRecord) fail(row.line, "too many fields");
        if (at_ >= text_.size()) return true;
        if (text_[at_] != separator_) break;
        ++at_;
    }
    consumeLineEnd();
    return true;
}

}  // namespace moescope
