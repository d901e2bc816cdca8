// SPDX-License-Identifier: Apache-2.0
// What `moescope import KIND FILE..` understands. A new kind is one file and one line in the table.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/interrupt.h"
#include "profiler/runfile/run_writer.h"

namespace moescope {

using Paths = std::vector<std::filesystem::path>;

struct Importer {
    std::string_view kind;
    std::string_view description;  ///< one line for the help text
    /// Reads every file and adds rows and meta. Throws Error naming file and cause.
    void (*run)(const Paths& files, RunWriter& writer, const StopFlag* stop);
};

std::span<const Importer> importers() noexcept;

struct ImportRequest {
    std::string kind;
    Paths files;
    std::filesystem::path out;
    std::vector<std::string> command;  ///< argv, for the record
    bool overwrite = false;
    const StopFlag* stop = nullptr;
};

/// Writes a finished run file of kind "import". Throws UsageError (unknown kind, no files) or
/// Error; then no file is left, since everything in it can be imported again, and a run that was to
/// be overwritten stays as it was.
void importFiles(const ImportRequest& request);

/// Importers, one per file of this folder.
void importFingerprint(const Paths& files, RunWriter& writer, const StopFlag* stop);
void importNsys(const Paths& files, RunWriter& writer, const StopFlag* stop);

}  // namespace moescope
