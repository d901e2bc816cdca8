// SPDX-License-Identifier: Apache-2.0
#include "engine/run/demo_model.h"

#include <cstdlib>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "engine/core/error.h"
#include "engine/model/synth.h"

namespace moescope {
namespace {

namespace fs = std::filesystem;

/// Part of the stand-in's file name: raised when synth would write other bytes for the same shape,
/// so that a stand-in of an older version is not taken for today's.
constexpr const char* kStandInFile = "demo-synthetic-1.gguf";

std::optional<fs::path> environmentPath(const char* variable) {
    const char* value = std::getenv(variable);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return fs::path(value);
}

std::vector<fs::path> demoFolders() {
    std::vector<fs::path> folders;
    if (const auto data = environmentPath("MOESCOPE_DATA")) folders.push_back(*data / "demo");
    std::error_code failed;
    const fs::path executable = fs::read_symlink("/proc/self/exe", failed);
    if (!failed) folders.push_back(executable.parent_path() / "../share/moescope/demo");
    folders.emplace_back(MOESCOPE_DEMO_DIR);
    return folders;
}

std::optional<fs::path> trainedModel() {
    for (const fs::path& folder : demoFolders()) {
        std::error_code failed;
        if (fs::exists(folder / "demo.gguf", failed)) return folder / "demo.gguf";
        if (fs::exists(folder / "config.json", failed)) return folder;
    }
    return std::nullopt;
}

fs::path cacheFolder() {
    if (const auto cache = environmentPath("XDG_CACHE_HOME")) return *cache / "moescope";
    if (const auto home = environmentPath("HOME")) return *home / ".cache/moescope";
    return fs::temp_directory_path() / "moescope";
}

}  // namespace

fs::path demoModel() {
    if (const auto trained = trainedModel()) return *trained;
    const fs::path standIn = cacheFolder() / kStandInFile;
    std::error_code failed;
    if (fs::exists(standIn, failed)) return standIn;
    fs::create_directories(standIn.parent_path(), failed);
    if (failed) {
        throw Error(standIn.parent_path().string() +
                        ": cannot create the folder for the demo model (" + failed.message() + ")",
                    "set XDG_CACHE_HOME to a writable folder");
    }
    synthesize(synthConfig("demo-synthetic"), standIn);
    return standIn;
}

}  // namespace moescope
