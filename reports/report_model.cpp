// SPDX-License-Identifier: Apache-2.0
// Meta look-ups shared by the formats.
#include "reports/report_model.h"

#include "engine/core/file.h"

namespace moescope {
namespace {

/// The text at `member` of an object; "" when there is none.
std::string textAt(const nlohmann::json& object, const char* member) {
    if (!object.is_object()) return {};
    const auto found = object.find(member);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

std::string shellWord(const std::string& word) {
    constexpr char kPlain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,+@%";
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
    std::string out = "'";
    for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

std::string toolVersion() {
    return MOESCOPE_VERSION;
}

nlohmann::json ReportRun::metaJson(const std::string& key) const {
    const auto found = summary.meta.find(key);
    if (found == summary.meta.end()) return nullptr;
    nlohmann::json value = looseJson(found->second);
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

std::string ReportRun::kind() const {
    const auto found = summary.meta.find("kind");
    return found == summary.meta.end() ? std::string() : found->second;
}

std::string ReportRun::title() const {
    return modelName() + (kind().empty() ? "" : ": " + kind());
}

std::string runTitle(const ReportRun& run, std::size_t index) {
    return "Run " + std::to_string(index + 1) + ": " + run.title();
}

std::string ReportRun::commandLine() const {
    const auto found = summary.meta.find("command");
    if (found == summary.meta.end()) return {};
    const nlohmann::json command = metaJson("command");
    if (!command.is_array()) return found->second;
    std::string line;
    for (const nlohmann::json& word : command)
        line += (line.empty() ? "" : " ") +
                shellWord(word.is_string() ? word.get<std::string>() : word.dump());
    return line;
}

std::vector<std::pair<std::string, std::string>> ReportRun::whatRan() const {
    const nlohmann::json settings = metaJson("settings");
    std::string machine = textAt(metaJson("machine"), "cpu_model");
    const std::string device = textAt(metaJson("device"), "device");
    if (!device.empty()) machine += (machine.empty() ? "" : "; ") + device;
    std::string threads;
    if (settings.is_object() && settings.contains("threads") && settings["threads"].is_number())
        threads = settings["threads"].dump();
    const auto started = summary.meta.find("started_utc");
    std::vector<std::pair<std::string, std::string>> rows = {
        {"kind", kind()},
        {"status", std::string(runStatusName(summary.status))},
        {"command", commandLine()},
        {"machine", machine},
        {"threads", threads},
        {"date (UTC)", started == summary.meta.end() ? "" : started->second}};
    std::erase_if(rows, [](const auto& row) { return row.second.empty(); });
    return rows;
}

bool ReportRun::synthetic() const {
    const auto found = summary.meta.find("synthetic");
    return found != summary.meta.end() && found->second == "true";
}

bool ReportRun::imported() const {
    return kind() == "import";
}

}  // namespace moescope
