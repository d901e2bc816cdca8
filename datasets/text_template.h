// SPDX-License-Identifier: Apache-2.0
// The small substitution language of suite files: "{field}", "{field|filter}", "{{" and "}}".
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moescope {

using FieldMap = std::map<std::string, std::string, std::less<>>;

/// Without the ASCII white space (space, tab, line ends) at both ends.
std::string trimmed(std::string_view text);

/// Parsed once, rendered per record. Filters, applied left to right: `spaces` ("_" to " "),
/// `lower`, `upper` (ASCII only), `trim` (ASCII white space at both ends), `capital` (first ASCII
/// letter).
class TextTemplate {
public:
    TextTemplate() = default;
    /// Throws Error "<origin>: ..." for unbalanced braces, an empty name or an unknown filter.
    TextTemplate(std::string_view source, const std::string& origin);

    /// Throws Error "<place>: ..." when a field is absent, with the nearest field that there is.
    std::string render(const FieldMap& fields, const std::string& place) const;

    const std::string& source() const noexcept { return source_; }
    bool empty() const noexcept { return source_.empty(); }

private:
    using Filter = std::string (*)(std::string);
    struct Part {
        std::string text;  ///< literal, or the field's name
        bool field = false;
        std::vector<Filter> filters;
    };
    std::string source_;
    std::vector<Part> parts_;

    Part parseField(std::string_view inside, const std::string& origin) const;
    static Filter filterNamed(std::string_view name, const std::string& origin);
};

}  // namespace moescope
