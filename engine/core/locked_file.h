// SPDX-License-Identifier: Apache-2.0
// The right to write a file that is renamed into place when it is whole: two processes that are
// given the same name never write into each other's.
#pragma once

#include <filesystem>

namespace moescope {

/// Opens `path`, created where it is absent and never emptied, for reading and writing, with an
/// exclusive flock that is held until the descriptor is closed (where the file system has locks);
/// rename before that. The caller owns
/// the descriptor. Throws Error: cannot be opened, or another process holds it or has just renamed
/// or removed the very file that was opened.
int openLocked(const std::filesystem::path& path);

}  // namespace moescope
