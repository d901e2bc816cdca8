// SPDX-License-Identifier: Apache-2.0
#include "profiler/import/importers.h"

#include <array>
#include <optional>
#include <system_error>

#include "engine/core/error.h"
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
    if (facts.experts == 0) facts.experts = stated.experts;
    if (facts.layers == 0) facts.layers = stated.layers;
    if (facts.topK == 0) facts.topK = stated.topK;
    facts.width = stated.width;
    facts.ffn = stated.ffn;
    facts.expertBytes = stated.expertBytes;
    return facts;
}

void writeRun(const ImportRequest& request, const Importer& importer) {
    RunWriter writer(request.out, RunWriter::Mode::Create, request.overwrite);
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
    if (request.files.empty()) throw UsageError("no files to import");
    std::error_code ignored;
    // An earlier run is replaced only by a whole one, so that a bad input costs nothing.
    const bool replaces = request.overwrite && std::filesystem::exists(request.out, ignored);
    ImportRequest written = request;
    if (!request.config.empty()) written.facts = completed(request.facts, request.config);
    std::optional<RunLock> lock;
    if (replaces) {
        lock.emplace(request.out, false, false);  // refuses while another process writes it
        const RunReader run(request.out);         // refuses to replace what is no run file
        written.out += ".importing";
    }
    // Only what this call created may be removed when it fails.
    const bool existed = !replaces && std::filesystem::exists(request.out, ignored);
    try {
        writeRun(written, importer);
        if (!replaces) return;
        for (const char* suffix : {"-wal", "-shm"})
            std::filesystem::remove(request.out.string() + suffix, ignored);
        std::filesystem::rename(written.out, request.out);
    } catch (...) {
        if (!existed) std::filesystem::remove(written.out, ignored);
        throw;
    }
}

}  // namespace moescope
