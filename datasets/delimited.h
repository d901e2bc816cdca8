// SPDX-License-Identifier: Apache-2.0
// The character-level reader behind CSV and TSV: splits text into rows of fields.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/records.h"

namespace moescope {

struct DelimitedRow {
    std::vector<std::string> fields;
    std::int64_t line = 0;  ///< 1-based
};

/// Iterates over the rows of `text`, which must outlive the reader.
class DelimitedReader {
public:
    /// quoting: RFC 4180 double quotes; without it every character but separator and line end is
    /// data.
    DelimitedReader(std::string_view text, char separator, bool quoting, RecordLimits limits,
                    std::string origin);

    /// False at the end. Blank lines are skipped. Throws Error naming origin and line.
    bool next(DelimitedRow& row);

private:
    [[noreturn]] void fail(std::int64_t line, const std::string& cause) const;
    std::string quotedField();
    std::string plainField();
    bool atLineEnd() const;
    void consumeLineEnd();

    std::string_view text_;
    std::size_t at_ = 0;
    std::int64_t line_ = 1;
    char separator_;
    bool quoting_;
    RecordLimits limits_;
    std::string origin_;
};

}  // namespace moescope
