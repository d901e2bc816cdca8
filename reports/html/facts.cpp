// SPDX-License-Identifier: Apache-2.0
#include "reports/html/facts.h"

#include <algorithm>

#include "engine/core/file.h"
#include "reports/html/escape.h"
#include "reports/numbers.h"

namespace moescope {
namespace {

bool holdsStructures(const nlohmann::json& value) {
    return value.is_array() &&
           std::any_of(value.begin(), value.end(),
                       [](const nlohmann::json& element) { return element.is_structured(); });
}

}  // namespace

std::string factText(const std::string& key, const nlohmann::json& value) {
    if (value.is_string()) return value.get<std::string>();
    if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
    if (value.is_null()) return kNoData;
    if (value.is_number())
        return key == "seed" ? value.dump() : formatFact(key, value.get<double>());
    if (value.is_object() || holdsStructures(value)) return dumpJson(value);
    std::string list;
    for (const nlohmann::json& element : value)
        list += (list.empty() ? "" : ", ") + factText(key, element);
    return list;
}

void addFacts(HtmlTable& table, const std::string& label, const std::string& key,
              const nlohmann::json& value, int depth) {
    constexpr int kDeepest = 6;
    constexpr std::size_t kMostElements = 20;
    const auto under = [&](const std::string& name) {
        return label.empty() ? name : label + " " + name;
    };
    if (value.is_object() && depth < kDeepest) {
        for (const auto& [name, child] : value.items())
            addFacts(table, under(name), std::string(unitKey(key, name)), child, depth + 1);
        return;
    }
    if (holdsStructures(value) && depth < kDeepest) {
        for (std::size_t i = 0; i < std::min(value.size(), kMostElements); ++i)
            addFacts(table, under(std::to_string(i + 1)), key, value[i], depth + 1);
        if (value.size() > kMostElements)
            table.row({under("more"),
                       formatCount(static_cast<std::int64_t>(value.size() - kMostElements))});
        return;
    }
    const std::string text = factText(key, value);
    if (text.empty()) return;
    std::string shown =
        label.ends_with("_ns") ? label.substr(0, label.size() - 3) + " time" : label;
    std::replace(shown.begin(), shown.end(), '_', ' ');
    constexpr std::size_t kLongest = 600;
    table.row({shown, shorten(text, kLongest)});
}

std::string settingsHtml(const std::string& caption, const std::string& settings) {
    const nlohmann::json value = looseJson(settings);
    if (!value.is_object())
        return "<pre class=\"command\"><code>" + htmlEscape(settings) + "</code></pre>\n";
    HtmlTable table(caption, {{"fact"}, {"value"}});
    addFacts(table, "", "", value);
    return table.html();
}

}  // namespace moescope
