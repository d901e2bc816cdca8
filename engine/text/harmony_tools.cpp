// SPDX-License-Identifier: Apache-2.0
#include "engine/text/harmony_tools.h"

#include <algorithm>

#include "engine/text/typescript.h"

namespace moescope::text {
namespace {

// As openai/harmony has them (src/chat.rs, ToolNamespaceConfig): the model was trained with exactly
// these words.
constexpr std::string_view kBrowser = R"(## browser

// Tool for browsing.
// The `cursor` appears in brackets before each browsing display: `[{cursor}]`.
// Cite information from the tool using the following format:
// `【{cursor}†L{line_start}(-L{line_end})?】`, for example: `【6†L9-L11】` or `【8†L3】`.
// Do not quote more than 10 words directly from the tool output.
// sources=web (default: web)
namespace browser {

// Searches for information related to `query` and displays `topn` results.
type search = (_: {
query: string,
topn?: number, // default: 10
source?: string,
}) => any;

// Opens the link `id` from the page indicated by `cursor` starting at line number `loc`, showing `num_lines` lines.
// Valid link ids are displayed with the formatting: `【{id}†.*】`.
// If `cursor` is not provided, the most recent page is implied.
// If `id` is a string, it is treated as a fully qualified URL associated with `source`.
// If `loc` is not provided, the viewport will be positioned at the beginning of the document or centered on the most relevant passage, if available.
// Use this function without `id` to scroll to a new location of an opened page.
type open = (_: {
id?: number | string, // default: -1
cursor?: number, // default: -1
loc?: number, // default: -1
num_lines?: number, // default: -1
view_source?: boolean, // default: false
source?: string,
}) => any;

// Finds exact matches of `pattern` in the current page, or the page given by `cursor`.
type find = (_: {
pattern: string,
cursor?: number, // default: -1
}) => any;

} // namespace browser)";
constexpr std::string_view kPython = R"(## python

Use this tool to execute Python code in your chain of thought. The code will not be shown to the user. This tool should be used for internal reasoning, but not for code that is intended to be visible to the user (e.g. when creating plots, tables, or files).

When you send a message containing Python code to python, it will be executed in a stateful Jupyter notebook environment. python will respond with the output of the execution or time out after 120.0 seconds. The drive at '/mnt/data' can be used to save and persist user files. Internet access for this session is UNKNOWN. Depends on the cluster.)";

/// Each line of the text behind "// ".
std::string comment(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        out += "// " + std::string(line) + "\n";
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

}  // namespace

std::string functionsSection(std::span<const ToolFunction> functions) {
    std::string out = "# Tools\n\n## functions\n\nnamespace functions {\n\n";
    for (const ToolFunction& function : functions) {
        out += comment(function.description) + "type " + function.name + " = (";
        if (!function.parameters.is_null()) out += "_: " + typescriptType(function.parameters);
        out += ") => any;\n\n";
    }
    return out + "} // namespace functions";
}

std::string builtinSection(std::span<const BuiltinTool> tools) {
    std::string out = "# Tools";
    const auto add = [&](BuiltinTool tool, std::string_view text) {
        if (std::find(tools.begin(), tools.end(), tool) == tools.end()) return;
        out += "\n\n";
        out += text;
    };
    add(BuiltinTool::Browser, kBrowser);
    add(BuiltinTool::Python, kPython);
    return out;
}

}  // namespace moescope::text
