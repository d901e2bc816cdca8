// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/run_identity.h"

#include <array>

#include <nlohmann/json.hpp>

#include "engine/core/file.h"

namespace moescope {
namespace {

using Meta = std::map<std::string, std::string>;

/// The text at `member` of the JSON object that meta has under `key`; "" when there is none.
std::string member(const Meta& meta, const char* key, const char* member) {
    const auto found = meta.find(key);
    if (found == meta.end()) return {};
    const nlohmann::json object = looseJson(found->second);
    if (!object.is_object() || !object.contains(member) || !object[member].is_string()) return {};
    return object[member].get<std::string>();
}

std::string deviceOf(const Meta& meta) {
    const std::string device = member(meta, "device", "device");
    return device.empty() ? member(meta, "machine", "cpu_model") : device;
}

std::string kindOf(const Meta& meta) {
    const auto found = meta.find("kind");
    return found == meta.end() ? std::string() : found->second;
}

/// What tells the texts that were evaluated, whatever of it this kind of run records: the hash of
/// its prompts or of its files of text, or the suites and how many items of each.
std::string textsOf(const Meta& meta) {
    const std::string prompts = member(meta, "settings", "texts_sha256");
    if (!prompts.empty()) return prompts;
    const auto found = meta.find("settings");
    if (found == meta.end()) return {};
    const nlohmann::json settings = looseJson(found->second);
    if (!settings.is_object()) return {};
    std::string texts = member(meta, "settings", "suites");
    if (!texts.empty() && settings.contains("limit")) texts += ", " + settings["limit"].dump();
    if (settings.contains("texts") && settings["texts"].is_array())
        for (const nlohmann::json& text : settings["texts"])
            if (text.is_object()) texts += text.value("sha256", nlohmann::json()).dump();
    return texts;
}

/// Of a profile: threads that sleep and memory that was never touched cost its first steps much.
std::string warmUpOf(const Meta& meta) {
    if (kindOf(meta) != "profile") return {};
    const auto found = meta.find("settings");
    const nlohmann::json settings = looseJson(found == meta.end() ? "" : found->second);
    const bool done = settings.is_object() && settings.value("warmup", nlohmann::json()) == true;
    return done ? "yes" : "no";
}

struct Aspect {
    const char* name;
    std::string (*of)(const Meta&);
};
constexpr std::array kAspects{
    Aspect{"back end", [](const Meta& meta) { return member(meta, "settings", "backend"); }},
    Aspect{"device", deviceOf},
    Aspect{"numerics", [](const Meta& meta) { return member(meta, "settings", "numerics"); }},
    Aspect{"kind", kindOf},
    Aspect{"warm-up", warmUpOf},
};

std::string phrase(const std::string& what, const std::string& run, const std::string& base) {
    return "different " + what + ": \"" + run + "\" instead of \"" + base + "\"";
}

}  // namespace

std::vector<std::string> identityDifferences(const Meta& base, const Meta& run) {
    std::vector<std::string> out;
    const auto differ = [](const std::string& a, const std::string& b) {
        return !a.empty() && !b.empty() && a != b;
    };
    std::string a = member(base, "model", "name"), b = member(run, "model", "name");
    const std::string baseId = member(base, "model", "identity"),
                      runId = member(run, "model", "identity");
    if (differ(baseId, runId) || differ(a, b)) {
        if (a == b) {
            constexpr std::size_t kShown = 12;  // of a SHA-256
            a += (a.empty() ? "" : " ") + baseId.substr(0, kShown);
            b += (b.empty() ? "" : " ") + runId.substr(0, kShown);
        }
        out.push_back(phrase("model", b, a));
    }
    for (const Aspect& aspect : kAspects) {
        a = aspect.of(base);
        b = aspect.of(run);
        if (differ(a, b)) out.push_back(phrase(aspect.name, b, a));
    }
    if (differ(textsOf(base), textsOf(run))) out.emplace_back("different set of texts");
    return out;
}

}  // namespace moescope
