// SPDX-License-Identifier: Apache-2.0
// Rules about the sources themselves: includes run with the arrows of docs/architecture.md, files
// stay readable in length and name their licence.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

constexpr int kMaxLines = 600;

/// Module of a path relative to the source tree; engine/core and the parts of profiler and evals
/// that do not know the engine are modules of their own.
std::string moduleOf(const std::string& path) {
    for (const char* part : {"engine/core", "profiler/runfile", "profiler/analysis",
                             "profiler/simulation", "evals/stats"}) {
        if (path.rfind(std::string(part) + "/", 0) == 0) return part;
    }
    return path.substr(0, path.find('/'));
}

const std::map<std::string, std::set<std::string>>& allowed() {
    static const std::map<std::string, std::set<std::string>> arrows{
        {"engine/core", {}},
        {"engine", {"engine/core"}},
        {"datasets", {"engine/core"}},
        {"profiler/runfile", {"engine/core"}},
        {"profiler/analysis", {"engine/core", "profiler/runfile"}},
        {"profiler/simulation", {"engine/core", "profiler/runfile", "profiler/analysis"}},
        {"profiler", {"engine/core", "engine", "profiler/runfile", "profiler/analysis"}},
        {"evals/stats", {"engine/core"}},
        {"evals",
         {"engine/core", "engine", "datasets", "profiler", "profiler/runfile", "profiler/analysis",
          "evals/stats"}},
        {"reports",
         {"engine/core", "profiler/runfile", "profiler/analysis", "profiler/simulation",
          "evals/stats"}},
        {"gui",
         {"engine/core", "profiler/runfile", "profiler/analysis", "profiler/simulation",
          "reports"}},
        {"cli",
         {"engine/core", "engine", "datasets", "profiler", "profiler/runfile", "profiler/analysis",
          "profiler/simulation", "evals", "evals/stats", "reports"}},
        {"bench",
         {"engine/core", "engine", "profiler", "profiler/runfile", "profiler/analysis", "evals"}},
    };
    return arrows;
}

struct Source {
    std::string path;
    std::vector<std::string> lines;
};

std::vector<Source> sources() {
    std::vector<Source> out;
    const fs::path root = MOESCOPE_SOURCE_DIR;
    for (const char* top :
         {"engine", "datasets", "profiler", "evals", "reports", "gui", "cli", "bench", "tests"}) {
        if (!fs::exists(root / top)) continue;
        for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
            const std::string extension = entry.path().extension();
            if (extension != ".cpp" && extension != ".h" && extension != ".cu") continue;
            Source source{fs::relative(entry.path(), root).string(), {}};
            std::ifstream file(entry.path());
            for (std::string line; std::getline(file, line);) source.lines.push_back(line);
            out.push_back(std::move(source));
        }
    }
    return out;
}

/// The path of `#include "path"`, empty for other lines.
std::string includedPath(const std::string& line) {
    const auto start = line.find("#include \"");
    if (start == std::string::npos) return {};
    const auto from = start + 10;
    return line.substr(from, line.find('"', from) - from);
}

}  // namespace

TEST_CASE("includes run only along the arrows between modules") {
    std::string wrong;
    for (const Source& source : sources()) {
        const std::string from = moduleOf(source.path);
        if (from == "tests") continue;
        REQUIRE(allowed().count(from) == 1);
        for (const std::string& line : source.lines) {
            const std::string path = includedPath(line);
            if (path.empty()) continue;
            if (path.find('/') == std::string::npos) {
                wrong += source.path + " includes \"" + path + "\" without its folder\n";
                continue;
            }
            const std::string to = moduleOf(path);
            if (to != from && allowed().at(from).count(to) == 0) {
                wrong += source.path + " must not include " + path + "\n";
            }
        }
    }
    CHECK(wrong == "");
}

TEST_CASE("profiler depends on the engine through its interfaces only") {
    std::string wrong;
    for (const Source& source : sources()) {
        if (moduleOf(source.path) != "profiler") continue;
        for (const std::string& line : source.lines) {
            const std::string path = includedPath(line);
            // The reader of a file format that a peer's counters come in, not of checkpoints.
            const bool format = path == "engine/formats/safetensors.h" &&
                                source.path == "profiler/import/import_trtllm.cpp";
            if (moduleOf(path) == "engine" && path != "engine/trace.h" &&
                path != "engine/launch_sink.h" && !format)
                wrong += source.path + " includes " + path + "\n";
        }
    }
    CHECK(wrong == "");
}

TEST_CASE("source files name their licence and stay under the length limit") {
    std::string wrong;
    for (const Source& source : sources()) {
        if (source.lines.empty() ||
            source.lines[0].find("SPDX-License-Identifier: Apache-2.0") == std::string::npos) {
            wrong += source.path + " does not begin with its licence\n";
        }
        const bool table = source.path.find("unicode_tables") != std::string::npos;  // generated
        if (!table && source.lines.size() > kMaxLines) {
            wrong += source.path + " has " + std::to_string(source.lines.size()) + " lines\n";
        }
    }
    CHECK(wrong == "");
}
