// SPDX-License-Identifier: Apache-2.0
// moescope gui: becomes the window's program, which lies beside this one.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "cli/command.h"
#include "engine/core/error.h"

namespace moescope::cli {

int runGui(const Invocation& invocation) {
    std::error_code code;
    const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", code);
    const std::filesystem::path window = self.parent_path() / "moescope-gui";
    if (!std::filesystem::exists(window)) {
        throw Error(window.string() + ": the window was not built",
                    "scripts/install-deps installs Qt 6; then run make");
    }
    std::vector<std::string> arguments{window.string()};
    arguments.insert(arguments.end(), invocation.arguments.begin(), invocation.arguments.end());
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    ::execv(window.c_str(), pointers.data());
    throw Error(window.string() + ": cannot start: " + std::strerror(errno));
}

}  // namespace moescope::cli
