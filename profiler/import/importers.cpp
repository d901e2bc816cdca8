// SPDX-License-Identifier: Apache-2.0
#include "profiler/import/importers.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <system_error>

#include "engine/core/error.h"
#include "profiler/analysis/run_summary.h"
#include "profiler/import/model_config.h"
#include "profiler/import/routed_facts.h"
#include "profiler/record/machine.h"
#include "profiler/runfile/run_lock.h"
#include "profiler/runfile/run_reader.h"

namespace moescope {
namespace {

constexpr std::array kImporters{
    Importer{"fingerprint",
             "per-token routing of gpt-oss-20b, GPT-OSS-MoE-ExpertFingerprinting JSON",
             {},
             importFingerprint},
    Importer{"moe-trace",
             "per-token routing of llama.cpp's moe-trace, CSV",
             {.experts = true, .topK = true, .model = true},
             importMoeTrace},
    Importer{"nsys",
             "kernels, copies and NVTX ranges of an Nsight Systems SQLite export",
             {},
             importNsys},
    Importer{"olmoe",
             "per-token routing of OLMoE's run_moe_analysis.py, JSON lines",
             {.experts = true, .model = true},
             importOlmoe},
    Importer{"routed-experts",
             "per-token routing that vLLM and SGLang return: JSON lines of replies, .npy",
             {.experts = true, .layers = true, .topK = true, .model = true},
             importRoutedExperts},
    Importer{"sglang",
             "counts of SGLang's expert distribution recorder in mode stat, .pt",
             {.topK = true, .model = true},
             importSglang},
    Importer{"trtllm",
             "counts of TensorRT-LLM's expert statistic, the folder",
             {.model = true},
             importTrtllm},
};

const Importer& importerNamed(const std::string& kind) {
    for (const Importer& importer : kImporters) {
        if (importer.kind == kind) return importer;
    }
    std::string known;
    for (const Importer& importer : kImporters) {
        known += (known.empty() ? "" : ", ") + std::string(importer.kind);
    }
    throw UsageError("unknown kind of import \"" + kind + "\"", "known kinds: " + known);
}

/// What the kind would ignore is refused, so that nobody believes it was heeded.
void checkFacts(const Importer& importer, const ImportRequest& request) {
    const ModelFacts& facts = request.facts;
    const auto check = [&](const char* option, bool takes, std::int64_t value, std::int64_t most) {
        if (value == 0) return;
        if (!takes)
            throw UsageError("'import " + std::string(importer.kind) + "' takes no " + option);
        if (value < 1 || value > most)
            throw UsageError(std::string(option) + " takes a number from 1 to " +
                             std::to_string(most));
    };
    check("--experts", importer.takes.experts, facts.experts, kMaxImportExperts);
    check("--layers", importer.takes.layers, facts.layers, kMaxImportLayers);
    check("--top-k", importer.takes.topK, facts.topK, kMaxImportTopK);
    check("--model", importer.takes.model, facts.model.empty() ? 0 : 1, 1);
    check("--config", importer.takes.model, request.config.empty() ? 0 : 1, 1);
    if (facts.experts > 0 && facts.topK > facts.experts)
        throw UsageError("--top-k " + std::to_string(facts.topK) + " is more than --experts " +
                         std::to_string(facts.experts));
}

/// `facts` with what they leave open as the file has it.
ModelFacts completed(ModelFacts facts, const std::filesystem::path& config) {
    const ModelFacts stated = factsOfConfig(config);
    facts.expertsOfConfig = facts.experts == 0;
    facts.layersOfConfig = facts.layers == 0;
    facts.topKOfConfig = facts.topK == 0;
    if (facts.expertsOfConfig) facts.experts = stated.experts;
    if (facts.layersOfConfig) facts.layers = stated.layers;
    if (facts.topKOfConfig) facts.topK = stated.topK;
    facts.width = stated.width;
    facts.ffn = stated.ffn;
    facts.expertBytes = stated.expertBytes;
    return facts;
}

/// Counts and texts would be taken for twice as many.
void checkFiles(const Paths& files) {
    if (files.empty()) throw UsageError("no files to import");
    std::set<std::filesystem::path> seen;
    for (const std::filesystem::path& file : files) {
        std::error_code unreadable;
        const std::filesystem::path whole = std::filesystem::weakly_canonical(file, unreadable);
        if (!seen.insert(unreadable ? file : whole).second)
            throw UsageError(file.string() + ": is given twice");
    }
}

/// A file beside the run that is to be, which takes its place once it is whole: a killed import
/// leaves no half of a run under its name, and one of bad input costs no earlier run.
class PartFile {
public:
    explicit PartFile(const std::filesystem::path& out) {
        int number = 1;
        do path_ = out.string() + ".importing-" + std::to_string(number++);
        while (isTaken());
    }
    ~PartFile() {
        if (!created_) return;
        removeBeside(path_);
        std::error_code ignored;
        std::filesystem::remove(path_, ignored);
    }
    PartFile(const PartFile&) = delete;
    PartFile& operator=(const PartFile&) = delete;

    const std::string& path() const noexcept { return path_; }
    /// Only what this import created may be removed.
    void setCreated() noexcept { created_ = true; }
    void renameTo(const std::filesystem::path& out) {
        removeBeside(out.string());
        removeBeside(path_);
        std::error_code error;
        std::filesystem::rename(path_, out, error);
        if (error) throw Error(out.string() + ": cannot be written: " + error.message());
        created_ = false;
    }

private:
    /// Of the files that SQLite writes beside a run.
    static constexpr std::array kBeside{"-wal", "-shm", "-journal"};

    static void removeBeside(const std::string& run) {
        std::error_code ignored;
        for (const char* suffix : kBeside) std::filesystem::remove(run + suffix, ignored);
    }
    bool isTaken() const {
        std::error_code ignored;
        return std::filesystem::exists(path_, ignored) ||
               std::any_of(kBeside.begin(), kBeside.end(), [&](const char* suffix) {
                   return std::filesystem::exists(path_ + suffix, ignored);
               });
    }

    std::string path_;
    bool created_ = false;
};

void writeRun(const ImportRequest& request, const Importer& importer, PartFile& part) {
    RunWriter writer(part.path(), RunWriter::Mode::Create);
    part.setCreated();
    writer.setMeta("kind", "import");
    writer.setMeta("command", nlohmann::json(request.command));
    writer.setMeta("build", buildFacts());
    writer.setMeta("degradation", "imported");
    writer.setMeta("settings", nlohmann::json{{"importer", request.kind}});
    importer.run(request, writer);
    writer.finish(RunStatus::Done);
}

}  // namespace

std::span<const Importer> importers() noexcept {
    return kImporters;
}

void importFiles(const ImportRequest& request) {
    const Importer& importer = importerNamed(request.kind);
    checkFacts(importer, request);
    checkFiles(request.files);
    ImportRequest completedRequest = request;
    if (!request.config.empty()) completedRequest.facts = completed(request.facts, request.config);
    std::error_code ignored;
    // Of a link the file behind it is written.
    const std::filesystem::path out = std::filesystem::is_symlink(request.out, ignored)
                                          ? std::filesystem::weakly_canonical(request.out, ignored)
                                          : request.out;
    const auto refuseExisting = [&] {
        if (!request.overwrite && std::filesystem::exists(out, ignored))
            throw Error(out.string() + ": exists already", "choose another name, or overwrite it");
    };
    refuseExisting();
    std::optional<RunLock> lock;
    if (std::filesystem::exists(out, ignored)) {
        lock.emplace(out, false, false);  // refuses while another process writes it
        const RunReader run(out);         // refuses to replace what is no run file
    }
    PartFile part(out);
    writeRun(completedRequest, importer, part);
    // What no command could read replaces nothing, and another import may have been quicker.
    summarize(RunReader(part.path(), request.stop));
    refuseExisting();
    part.renameTo(out);
}

}  // namespace moescope
