// SPDX-License-Identifier: Apache-2.0
// Names resolved in caches laid out as Ollama and huggingface_hub lay them out.
#include <unistd.h>
#include <catch2/catch.hpp>

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/run/memory.h"
#include "engine/run/model_names.h"

using namespace moescope;

namespace {

namespace fs = std::filesystem;

/// A folder that goes away, and environment variables that point into it while it lives.
class Caches {
public:
    Caches() {
        std::string name = (fs::temp_directory_path() / "moescope-names-XXXXXX").string();
        root_ = ::mkdtemp(name.data());
        for (const char* variable : kVariables) {
            const char* value = std::getenv(variable);
            before_.emplace_back(value != nullptr ? std::optional<std::string>(value)
                                                  : std::nullopt);
            ::unsetenv(variable);
        }
        ::setenv("HOME", root_.c_str(), 1);
    }
    ~Caches() {
        for (std::size_t i = 0; i < before_.size(); ++i) {
            if (before_[i]) {
                ::setenv(kVariables[i], before_[i]->c_str(), 1);
            } else {
                ::unsetenv(kVariables[i]);
            }
        }
        fs::remove_all(root_);
    }
    Caches(const Caches&) = delete;
    Caches& operator=(const Caches&) = delete;

    const fs::path& root() const { return root_; }
    void write(const std::string& path, const std::string& text) const {
        writeFile(root_ / path, text);
    }

private:
    static constexpr const char* kVariables[] = {"HOME",         "OLLAMA_MODELS",  "HF_HOME",
                                                 "HF_HUB_CACHE", "XDG_CACHE_HOME", "MOESCOPE_DATA"};
    fs::path root_;
    std::vector<std::optional<std::string>> before_;  ///< of kVariables
};

constexpr const char* kManifest =
    R"({"layers": [{"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:00"},
                   {"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:ab12"}]})";

}  // namespace

TEST_CASE("a path is taken as it is") {
    const Caches caches;
    caches.write("m.gguf", "x");
    CHECK(resolveModel((caches.root() / "m.gguf").string()) == caches.root() / "m.gguf");
    CHECK_THROWS_WITH(resolveModel("/no/such.gguf"), "/no/such.gguf: no such file or folder");
}

TEST_CASE("Ollama names lead through the manifest to the blob") {
    const Caches caches;
    const std::string store = ".ollama/models/";
    caches.write(store + "manifests/registry.ollama.ai/library/gpt-oss/20b", kManifest);
    caches.write(store + "manifests/registry.ollama.ai/someone/tiny/latest", kManifest);
    CHECK_THROWS_WITH(resolveModel("ollama:gpt-oss:20b"), Catch::Contains("model file is missing"));
    caches.write(store + "blobs/sha256-ab12", "gguf");
    const fs::path blob = caches.root() / store / "blobs/sha256-ab12";
    CHECK(resolveModel("ollama:gpt-oss:20b") == blob);
    CHECK(resolveModel("ollama:someone/tiny") == blob);
    ::setenv("OLLAMA_MODELS", (caches.root() / "elsewhere").c_str(), 1);
    caches.write("elsewhere/manifests/registry.ollama.ai/library/own/1", kManifest);
    caches.write("elsewhere/blobs/sha256-ab12", "gguf");
    CHECK(resolveModel("ollama:own:1") == caches.root() / "elsewhere/blobs/sha256-ab12");
    CHECK_THROWS_WITH(resolveModel("ollama:absent"),
                      Catch::Contains("elsewhere") && Catch::Contains("/usr/share/ollama"));
}

TEST_CASE("manifests that name no model or climb out of the store are refused") {
    const Caches caches;
    const std::string folder = ".ollama/models/manifests/registry.ollama.ai/library/bad/";
    caches.write(folder + "empty", "{}");
    caches.write(folder + "broken", "{");
    caches.write(folder + "climbs",
                 R"({"layers": [{"mediaType": "application/vnd.ollama.image.model",
                                 "digest": "sha256:../../../etc/passwd"}]})");
    CHECK_THROWS_WITH(resolveModel("ollama:bad:empty"), Catch::Contains("names no model file"));
    CHECK_THROWS_WITH(resolveModel("ollama:bad:broken"), Catch::Contains("invalid JSON"));
    CHECK_THROWS_AS(resolveModel("ollama:bad:climbs"), Error);
    CHECK_THROWS_AS(resolveModel("ollama:../x"), UsageError);
    CHECK_THROWS_AS(resolveModel("ollama:"), UsageError);
    CHECK_THROWS_AS(resolveModel("ollama:a/b/c/d"), UsageError);
}

TEST_CASE("Hugging Face names lead to the snapshot of the main branch") {
    const Caches caches;
    const std::string repository = "hub/models--openai--gpt-oss-20b/";
    caches.write(".cache/huggingface/" + repository + "refs/main", "0123abcd");
    const fs::path snapshot =
        caches.root() / ".cache/huggingface" / repository / "snapshots/0123abcd";
    CHECK_THROWS_WITH(resolveModel("hf:openai/gpt-oss-20b"), Catch::Contains("no config.json"));
    writeFile(snapshot / "config.json", "{}");
    CHECK(resolveModel("hf:openai/gpt-oss-20b") == snapshot);
    ::setenv("HF_HOME", (caches.root() / "hf").c_str(), 1);
    caches.write("hf/" + repository + "refs/main", "ffff\n");
    caches.write("hf/" + repository + "snapshots/ffff/config.json", "{}");
    CHECK(resolveModel("hf:openai/gpt-oss-20b") ==
          caches.root() / "hf" / repository / "snapshots/ffff");
    CHECK_THROWS_WITH(resolveModel("hf:openai/other"), Catch::Contains("looked in"));
    CHECK_THROWS_AS(resolveModel("hf:other"), UsageError);
    CHECK_THROWS_AS(resolveModel("hf:../other"), UsageError);
}

TEST_CASE("the embedded models are taken from the data folder") {
    const Caches caches;
    ::setenv("MOESCOPE_DATA", caches.root().c_str(), 1);
    for (const std::string name : {"demo", "demo-wide", "demo-deep"}) {
        caches.write("demo/" + name + ".gguf", "x");
        CHECK(resolveModel(name) == caches.root() / "demo" / (name + ".gguf"));
    }
}

TEST_CASE("the embedded models of the source tree serve a build that is not installed") {
    const Caches caches;
    CHECK(resolveModel("demo") == fs::path(MOESCOPE_SOURCE_DIR) / "datasets/demo/demo.gguf");
}

TEST_CASE("memory that does not exist is refused with the sum") {
    CHECK(availableMemory() > 0);
    CHECK_NOTHROW(requireMemory(1, "a byte"));
    CHECK_THROWS_WITH(requireMemory(std::uint64_t{1} << 60, "the cache"),
                      Catch::Contains("the cache needs 1073741824.00 GiB"));
    CHECK(memoryText(3 << 20) == "3.00 MiB");
    CHECK(memoryText((std::uint64_t{5} << 30) / 2) == "2.50 GiB");
}
