// SPDX-License-Identifier: Apache-2.0
// HellaSwag (Zellers et al. 2019): the official JSON lines, cleaned as lm-evaluation-harness does.
#include "datasets/derivation.h"
#include "engine/core/error.h"

namespace moescope {

namespace {

void replaceAll(std::string& text, std::string_view from, std::string_view to) {
    for (std::size_t at = text.find(from); at != std::string::npos;
         at = text.find(from, at + to.size()))
        text.replace(at, from.size(), to);
}

/// "[header]" and the like are marks of the WikiHow part, never what a reader sees.
std::string cleaned(std::string_view raw) {
    std::string text = trimmed(raw);
    replaceAll(text, " [title]", ". ");
    for (std::size_t open = text.find('['); open != std::string::npos;
         open = text.find('[', open)) {
        const std::size_t close = text.find(']', open);
        if (close == std::string::npos) break;
        text.erase(open, close - open + 1);
    }
    replaceAll(text, "  ", " ");
    return text;
}

/// Python's str.capitalize for ASCII: the first letter upper, all others lower.
std::string capitalized(std::string text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (i == 0 && c >= 'a' && c <= 'z') text[i] = static_cast<char>(c - 'a' + 'A');
        if (i > 0 && c >= 'A' && c <= 'Z') text[i] = static_cast<char>(c - 'A' + 'a');
    }
    return text;
}

}  // namespace

/// Adds `query`, `ending0` to `ending3` and `answer` (label). Records of llama.cpp's text format,
/// which has `query` and the endings cleaned already, get `answer` only.
std::string deriveHellaswag(FieldMap& fields, const SideTables&, const std::string& place) {
    const std::string& label = requiredField(fields, "label", place);
    if (label.size() != 1 || label[0] < '0' || label[0] > '3')
        throw Error(place + ": the label '" + label + "' is not 0, 1, 2 or 3");
    fields["answer"] = choiceLabel(static_cast<std::size_t>(label[0] - '0'));
    if (fields.contains("query")) return {};
    fields["query"] = cleaned(requiredField(fields, "activity_label", place) + ": " +
                              requiredField(fields, "ctx_a", place) + " " +
                              capitalized(requiredField(fields, "ctx_b", place)));
    for (const char* ending : {"0", "1", "2", "3"})
        fields[std::string("ending") + ending] =
            cleaned(requiredField(fields, std::string("endings.") + ending, place));
    return {};
}

}  // namespace moescope
