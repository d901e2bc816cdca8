// SPDX-License-Identifier: Apache-2.0
// Finds suite files by name in the folders where they may be installed.
#include <algorithm>
#include <cstdlib>
#include <set>
#include <system_error>

#include "datasets/suggest.h"
#include "datasets/suite.h"
#include "engine/core/error.h"
#include "engine/core/file.h"

namespace moescope {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxSuiteFile = 4ULL << 20;

SuiteDefinition readSuite(const fs::path& file) {
    SuiteDefinition suite = parseSuite(readFile(file, kMaxSuiteFile), file.string());
    if (suite.name != file.stem().string())
        throw Error(file.string() + ": the suite is named '" + suite.name + "' but its file is not",
                    "name the file " + suite.name + ".json");
    suite.file = file;
    return suite;
}

std::vector<fs::path> suiteFiles() {
    std::vector<fs::path> files;
    std::set<std::string> seen;
    for (const fs::path& folder : suiteFolders()) {
        std::vector<fs::path> here;
        for (const fs::directory_entry& entry : fs::directory_iterator(folder))
            if (entry.path().extension() == ".json") here.push_back(entry.path());
        std::sort(here.begin(), here.end());
        for (fs::path& file : here)
            if (seen.insert(file.stem().string()).second) files.push_back(std::move(file));
    }
    return files;
}

}  // namespace

std::vector<fs::path> suiteFolders() {
    std::vector<fs::path> wanted;
    if (const char* data = std::getenv("MOESCOPE_DATA"); data != nullptr && *data != '\0')
        wanted.push_back(fs::path(data) / "suites");
    std::error_code error;
    const fs::path executable = fs::read_symlink("/proc/self/exe", error);
    if (!error)
        wanted.push_back(executable.parent_path().parent_path() / "share" / "moescope" / "suites");
    wanted.push_back(fs::path(MOESCOPE_DATASETS_DIR) / "suites");
    std::vector<fs::path> folders;
    for (fs::path& folder : wanted)
        if (fs::is_directory(folder, error)) folders.push_back(std::move(folder));
    return folders;
}

std::vector<SuiteListing> listSuites() {
    std::vector<SuiteListing> list;
    for (const fs::path& file : suiteFiles()) {
        const SuiteDefinition suite = readSuite(file);
        list.push_back({suite.name, suite.title, suite.kind, file});
    }
    std::sort(list.begin(), list.end(),
              [](const SuiteListing& a, const SuiteListing& b) { return a.name < b.name; });
    return list;
}

SuiteDefinition findSuite(const std::string& name) {
    if (name.ends_with(".json")) return readSuite(name);
    std::vector<std::string> known;
    for (const fs::path& file : suiteFiles()) {
        if (file.stem().string() == name) return readSuite(file);
        known.push_back(file.stem().string());
    }
    throw UsageError("there is no suite '" + name + "'" + didYouMean(name, known));
}

}  // namespace moescope
