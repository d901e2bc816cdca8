// SPDX-License-Identifier: Apache-2.0
// Finds the demo model, or makes the synthetic stand-in for it.
#pragma once

#include <filesystem>

namespace moescope {

/// The checkpoint that the name "demo" stands for; see resolveModel for where it looks. The
/// stand-in is marked as synthetic in its metadata, and so in everything made from it.
std::filesystem::path demoModel();

}  // namespace moescope
