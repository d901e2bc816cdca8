// SPDX-License-Identifier: Apache-2.0
#include "engine/run/model_names.h"

#include <algorithm>
#include <cstdlib>
#include <system_error>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/model/synth_checkpoint.h"
#include "engine/run/demo_model.h"

namespace moescope {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxManifestBytes = 1 << 20;

std::optional<fs::path> environmentPath(const char* variable) {
    const char* value = std::getenv(variable);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return fs::path(value);
}

bool present(const fs::path& path) {
    std::error_code ignored;
    return fs::exists(path, ignored);
}

fs::path home() {
    return environmentPath("HOME").value_or("/");
}

std::string listed(const std::vector<fs::path>& paths) {
    std::string text;
    for (const fs::path& p : paths) {
        if (!text.empty()) text += ", ";
        text += p.string();
    }
    return text;
}

/// A part of a name becomes a part of a path: it must not climb out of the cache.
void requirePlain(const std::string& name, const std::string& part) {
    const bool plain = std::all_of(part.begin(), part.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
    });
    if (part.empty() || !plain || part.front() == '.') {
        throw UsageError("'" + name + "' is not a model name: '" + part +
                         "' may hold letters, digits, '.', '_' and '-' only");
    }
}

struct OllamaName {
    std::string host = "registry.ollama.ai";
    std::string space = "library";
    std::string model;
    std::string tag = "latest";
};

/// [[HOST/]NAMESPACE/]MODEL[:TAG]
OllamaName parseOllama(const std::string& name, std::string rest) {
    OllamaName parsed;
    if (const auto colon = rest.rfind(':'); colon != std::string::npos) {
        parsed.tag = rest.substr(colon + 1);
        rest.resize(colon);
    }
    std::vector<std::string> parts;
    for (std::size_t start = 0; start <= rest.size();) {
        const std::size_t end = std::min(rest.find('/', start), rest.size());
        parts.push_back(rest.substr(start, end - start));
        start = end + 1;
    }
    if (parts.empty() || parts.size() > 3) throw UsageError("'" + name + "' is not a model name");
    parsed.model = parts.back();
    if (parts.size() >= 2) parsed.space = parts[parts.size() - 2];
    if (parts.size() == 3) parsed.host = parts[0];
    for (const std::string& part : {parsed.host, parsed.space, parsed.model, parsed.tag}) {
        requirePlain(name, part);
    }
    return parsed;
}

/// The blob of the manifest's model layer; Ollama names it by digest, "sha256:<hex>".
fs::path ollamaBlob(const fs::path& store, const fs::path& manifestPath) {
    const auto manifest =
        parseJson(readFile(manifestPath, kMaxManifestBytes), manifestPath.string());
    const auto layers = manifest.find("layers");
    if (layers != manifest.end() && layers->is_array()) {
        for (const auto& layer : *layers) {
            if (!layer.is_object()) continue;
            if (layer.value("mediaType", nlohmann::json()) !=
                "application/vnd.ollama.image.model") {
                continue;
            }
            const auto digest = layer.value("digest", nlohmann::json());
            if (!digest.is_string()) break;
            std::string file = digest.get<std::string>();
            std::replace(file.begin(), file.end(), ':', '-');
            requirePlain(file, file);
            fs::path blob = store / "blobs" / file;
            if (!present(blob))
                throw Error(blob.string() + ": the manifest's model file is missing");
            return blob;
        }
    }
    throw Error(manifestPath.string() + ": the manifest names no model file");
}

fs::path resolveOllama(const std::string& name) {
    const OllamaName wanted = parseOllama(name, name.substr(std::string("ollama:").size()));
    std::vector<fs::path> stores;
    if (const auto store = environmentPath("OLLAMA_MODELS")) stores.push_back(*store);
    stores.push_back(home() / ".ollama/models");
    stores.push_back("/usr/share/ollama/.ollama/models");
    for (const fs::path& store : stores) {
        const fs::path manifest =
            store / "manifests" / wanted.host / wanted.space / wanted.model / wanted.tag;
        if (present(manifest)) return ollamaBlob(store, manifest);
    }
    throw Error(name + ": not found in Ollama's store (looked in " + listed(stores) + ")",
                "run: ollama pull " + name.substr(std::string("ollama:").size()));
}

fs::path resolveHuggingFace(const std::string& name) {
    const std::string repository = name.substr(std::string("hf:").size());
    const std::size_t slash = repository.find('/');
    if (slash == std::string::npos) throw UsageError("'" + name + "' must be hf:ORG/NAME");
    requirePlain(name, repository.substr(0, slash));
    requirePlain(name, repository.substr(slash + 1));
    const std::string folder =
        "models--" + repository.substr(0, slash) + "--" + repository.substr(slash + 1);
    std::vector<fs::path> caches;
    if (const auto cache = environmentPath("HF_HUB_CACHE")) caches.push_back(*cache);
    if (const auto root = environmentPath("HF_HOME")) caches.push_back(*root / "hub");
    if (const auto xdg = environmentPath("XDG_CACHE_HOME"))
        caches.push_back(*xdg / "huggingface/hub");
    caches.push_back(home() / ".cache/huggingface/hub");
    for (const fs::path& cache : caches) {
        const fs::path reference = cache / folder / "refs/main";
        if (!present(reference)) continue;
        std::string revision = readFile(reference, 4096);
        while (!revision.empty() &&
               std::isspace(static_cast<unsigned char>(revision.back())) != 0) {
            revision.pop_back();
        }
        requirePlain(reference.string(), revision);
        fs::path snapshot = cache / folder / "snapshots" / revision;
        if (present(snapshot / "config.json")) return snapshot;
        throw Error(snapshot.string() + ": the cached snapshot has no config.json",
                    "download it again: hf download " + repository);
    }
    throw Error(name + ": not found in the Hugging Face cache (looked in " + listed(caches) + ")",
                "run: hf download " + repository);
}

std::string demoNames() {
    std::string names;
    for (const DemoModel& demo : demoModels()) {
        if (!names.empty()) names += ", ";
        names += demo.name;
    }
    return names;
}

constexpr std::string_view kSynthPrefix = "synth:";

}  // namespace

std::optional<SynthConfig> synthNamed(const std::string& name) {
    if (!name.starts_with(kSynthPrefix)) return std::nullopt;
    std::string wanted = name.substr(kSynthPrefix.size());
    std::optional<DType> dense;
    if (const auto colon = wanted.rfind(':'); colon != std::string::npos) {
        const std::string type = wanted.substr(colon + 1);
        dense = synthDense(type);
        if (!dense) {
            throw UsageError("'" + name + "' is not a model name: '" + type +
                             "' is neither q8_0 nor bf16");
        }
        wanted.resize(colon);
    }
    SynthConfig config = synthConfig(wanted);
    config.dense = dense.value_or(config.dense);
    return config;
}

fs::path resolveModel(const std::string& name) {
    for (const DemoModel& demo : demoModels()) {
        if (name == demo.name) return demoModelFile(demo);
    }
    if (name.starts_with("ollama:")) return resolveOllama(name);
    if (name.starts_with("hf:")) return resolveHuggingFace(name);
    if (name.starts_with(kSynthPrefix)) {
        throw Error(name + ": this model is in memory only, here a file is needed",
                    "write one: moescope synth CONFIG --out F.gguf");
    }
    if (present(name)) return name;
    throw Error(
        name + ": no such file or folder",
        "a model is a path, " + demoNames() + ", ollama:NAME[:TAG], hf:ORG/NAME or synth:CONFIG");
}

std::unique_ptr<Checkpoint> openModel(const std::string& name, const StopFlag* stop) {
    if (const auto config = synthNamed(name))
        return std::make_unique<SynthCheckpoint>(*config, name, 0, stop);
    return openCheckpoint(resolveModel(name));
}

}  // namespace moescope
