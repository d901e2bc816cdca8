// SPDX-License-Identifier: Apache-2.0
#include "engine/run/demo_model.h"

#include <array>
#include <cstdlib>
#include <string>
#include <system_error>
#include <vector>

#include "engine/core/error.h"

namespace moescope {
namespace {

namespace fs = std::filesystem;

constexpr std::array kModels{
    DemoModel{"demo", "demo.gguf"},
    DemoModel{"demo-wide", "demo-wide.gguf"},
    DemoModel{"demo-deep", "demo-deep.gguf"},
};

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
    throw Error(std::string(model.name) + ": " + std::string(model.file) +
                    " was not found (looked in " + lookedIn + ")",
                "install MoEScope again, or name its data folder in MOESCOPE_DATA");
}

}  // namespace moescope
