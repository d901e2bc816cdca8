// SPDX-License-Identifier: Apache-2.0
#include "profiler/import/importers.h"

#include <array>
#include <optional>
#include <system_error>

#include "engine/core/error.h"
#include "profiler/record/machine.h"
#include "profiler/runfile/run_lock.h"
#include "profiler/runfile/run_reader.h"

namespace moescope {
namespace {

constexpr std::array<Importer, 2> kImporters{{
    {"fingerprint", "per-token routing of gpt-oss-20b, GPT-OSS-MoE-ExpertFingerprinting JSON",
     importFingerprint},
    {"nsys", "kernels, copies and NVTX ranges of an Nsight Systems SQLite export", importNsys},
}};

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

void writeRun(const ImportRequest& request, const Importer& importer) {
    RunWriter writer(request.out, RunWriter::Mode::Create, request.overwrite);
    writer.setMeta("kind", "import");
    writer.setMeta("command", nlohmann::json(request.command));
    writer.setMeta("build", buildFacts());
    writer.setMeta("degradation", "imported");
    writer.setMeta("settings", nlohmann::json{{"importer", request.kind}});
    importer.run(request.files, writer, request.stop);
    writer.finish(RunStatus::Done);
}

}  // namespace

std::span<const Importer> importers() noexcept {
    return kImporters;
}

void importFiles(const ImportRequest& request) {
    const Importer& importer = importerNamed(request.kind);
    if (request.files.empty()) throw UsageError("no files to import");
    std::error_code ignored;
    // An earlier run is replaced only by a whole one, so that a bad input costs nothing.
    const bool replaces = request.overwrite && std::filesystem::exists(request.out, ignored);
    ImportRequest written = request;
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
