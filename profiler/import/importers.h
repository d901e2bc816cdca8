// SPDX-License-Identifier: Apache-2.0
// What `moescope import KIND FILE..` understands. A new kind is one file and one line in the table.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/interrupt.h"
#include "profiler/runfile/run_writer.h"

namespace moescope {

using Paths = std::vector<std::filesystem::path>;

/// What a person knows of the model and files may lack; 0 and "": not given.
struct ModelFacts {
    int experts = 0;  ///< of a layer
    int layers = 0;   ///< that the files have, those without experts included
    int topK = 0;
    std::string model = {};
    int width = 0, ffn = 0;  ///< d_model and the hidden width of an expert
    std::int64_t expertBytes = 0;
    /// Which of them are not a person's word but the config.json's.
    bool expertsOfConfig = false, layersOfConfig = false, topKOfConfig = false;
};

struct ImportRequest {
    std::string kind;
    Paths files;
    std::filesystem::path out;
    std::vector<std::string> command;  ///< argv, for the record
    bool overwrite = false;
    const StopFlag* stop = nullptr;
    ModelFacts facts = {};
    std::filesystem::path config = {};  ///< config.json with what `facts` leave open; empty: none
};

/// Which of ModelFacts an importer takes; others that are given are refused. Those that take the
/// model's name take a config.json too.
struct FactUse {
    bool experts = false, layers = false, topK = false, model = false;
};

struct Importer {
    std::string_view kind;
    std::string_view description;  ///< one line for the help text
    FactUse takes;
    /// Reads every file and adds rows and meta. Throws Error naming file and cause.
    void (*run)(const ImportRequest& request, RunWriter& writer);
};

std::span<const Importer> importers() noexcept;

/// Writes a finished run file of kind "import", under another name ("<out>.importing-1") until it
/// is whole and can be read. Throws UsageError (unknown kind, no files, one of them twice, a fact
/// that the kind does not take or that is out of range) or Error; then no file is left, since
/// everything in it can be imported again, and a run that was to be overwritten stays as it was.
void importFiles(const ImportRequest& request);

/// Importers, one per file of this folder.
void importFingerprint(const ImportRequest& request, RunWriter& writer);
void importMoeTrace(const ImportRequest& request, RunWriter& writer);
void importNsys(const ImportRequest& request, RunWriter& writer);
void importOlmoe(const ImportRequest& request, RunWriter& writer);
void importRoutedExperts(const ImportRequest& request, RunWriter& writer);
void importSglang(const ImportRequest& request, RunWriter& writer);
void importTrtllm(const ImportRequest& request, RunWriter& writer);

}  // namespace moescope
