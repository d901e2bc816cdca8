// SPDX-License-Identifier: Apache-2.0
// The embedded demo models: trained mixtures of experts that come with the program.
#pragma once

#include <filesystem>
#include <span>
#include <string_view>

namespace moescope {

struct DemoModel {
    std::string_view name;  ///< what the user types
    std::string_view file;  ///< in the folder "demo" of the data
};

/// The embedded models, the one to begin with first.
std::span<const DemoModel> demoModels();

/// The checkpoint of `model`: see resolveModel for the folders, the first that has it wins. Throws
/// Error that lists them when none has.
std::filesystem::path demoModelFile(const DemoModel& model);

}  // namespace moescope
