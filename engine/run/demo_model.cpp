// SPDX-License-Identifier: Apache-2.0
#include "engine/run/demo_model.h"

#include <array>
#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "engine/core/error.h"
#include "engine/model/synth.h"

namespace moescope {
namespace {

namespace fs = std::filesystem;

constexpr std::array kModels{
    DemoModel{"demo", "demo.gguf"},
    DemoModel{"demo-wide", "demo-wide.gguf"},
    DemoModel{"demo-deep", "demo-deep.gguf"},
};

/// Stands in for "demo" until its trained file is here. The number is raised when synth would write
/// other bytes for the same shape.
constexpr const char* kStandInFile = "demo-synthetic-1.gguf";

fs::path cacheFolder() {
    for (const auto& [variable, below] :
         {std::pair{"XDG_CACHE_HOME", "moescope"}, std::pair{"HOME", ".cache/moescope"}}) {
        const char* value = std::getenv(variable);
        if (value != nullptr && *value != '\0') return fs::path(value) / below;
    }
    return fs::temp_directory_path() / "moescope";
}

fs::path standIn() {
    const fs::path file = cacheFolder() / kStandInFile;
    std::error_code failed;
    if (fs::exists(file, failed)) return file;
    fs::create_directories(file.parent_path(), failed);
    if (failed) {
        throw Error(file.parent_path().string() +
                        ": cannot create the folder for the demo model (" + failed.message() + ")",
                    "set XDG_CACHE_HOME to a writable folder");
    }
    synthesize(synthConfig("demo-synthetic"), file);
    return file;
}

std::vector<fs::path> demoFolders() {
    std::vector<fs::path> folders;
    if (const char* data = std::getenv("MOESCOPE_DATA"); data != nullptr && *data != '\0')
        folders.push_back(fs::path(data) / "demo");
    std::error_code failed;
    const fs::path executable = fs::read_symlink("/proc/self/exe", failed);
    if (!failed)
        folders.push_back(executable.parent_path().parent_path() / "share" / "moescope" / "demo");
    folders.emplace_back(MOESCOPE_DEMO_DIR);
    return folders;
}

}  // namespace

std::span<const DemoModel> demoModels() {
    return kModels;
}

fs::path demoModelFile(const DemoModel& model) {
    std::string lookedIn;
    for (const fs::path& folder : demoFolders()) {
        std::error_code ignored;
        if (fs::exists(folder / model.file, ignored)) return folder / model.file;
        lookedIn += (lookedIn.empty() ? "" : ", ") + folder.string();
    }
    if (model.name == kModels[0].name) return standIn();
    throw Error(std::string(model.name) + ": " + std::string(model.file) +
                    " was not found (looked in " + lookedIn + ")",
                "install MoEScope again, or make a model of random weights: moescope synth "
                "demo-synthetic --out FILE.gguf");
}

}  // namespace moescope
