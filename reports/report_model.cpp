// SPDX-License-Identifier: Apache-2.0
// Meta look-ups shared by the formats.
#include "reports/report_model.h"

namespace moescope {

std::string toolVersion() {
    return MOESCOPE_VERSION;
}

nlohmann::json ReportRun::metaJson(const std::string& key) const {
    const auto found = summary.meta.find(key);
    if (found == summary.meta.end()) return nullptr;
    nlohmann::json value = nlohmann::json::parse(found->second, nullptr, false);
    return value.is_discarded() ? nlohmann::json() : value;
}

std::string ReportRun::modelName() const {
    const auto found = summary.meta.find("model");
    if (found != summary.meta.end()) {
        const nlohmann::json model = metaJson("model");
        if (!model.is_object()) return model.is_string() ? model.get<std::string>() : found->second;
        for (const char* key : {"name", "path", "file", "architecture"}) {
            const auto value = model.find(key);
            if (value != model.end() && value->is_string() &&
                !value->get_ref<const std::string&>().empty())
                return value->get<std::string>();
        }
    }
    return std::filesystem::path(source).filename().string();
}

bool ReportRun::synthetic() const {
    const auto found = summary.meta.find("synthetic");
    return found != summary.meta.end() && found->second == "true";
}

bool ReportRun::imported() const {
    const auto found = summary.meta.find("kind");
    return found != summary.meta.end() && found->second == "import";
}

}  // namespace moescope
