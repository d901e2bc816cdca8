// SPDX-License-Identifier: Apache-2.0
// A suite of two choices and a folder for its data.
#pragma once

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "datasets/suite.h"
#include "engine/core/file.h"

namespace moescope::testing {

inline nlohmann::json minimal() {
    return {{"name", "s"},
            {"title", "S"},
            {"version", "1"},
            {"kind", "capability"},
            {"licence", "CC0-1.0"},
            {"source", {{"files", {"d.csv"}}, {"format", "csv"}}},
            {"choices", {"{a}", "{b}"}},
            {"target", "{right}"},
            {"scoring", "choice_loglik"},
            {"metrics", {"accuracy"}}};
}

/// A folder of data files, removed afterwards.
class DataFolder {
public:
    DataFolder() {
        // Tests run side by side as processes of their own: only the system can name a free folder.
        std::string pattern =
            (std::filesystem::temp_directory_path() / "moescope-suite-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
    }
    ~DataFolder() { std::filesystem::remove_all(path_); }
    void add(const std::string& name, const std::string& text) { writeFile(path_ / name, text); }
    const std::filesystem::path& path() const { return path_; }
    void remove(const std::string& name) { std::filesystem::remove(path_ / name); }
    SuiteData load(const nlohmann::json& suite, int shots = -1, bool replies = false) const {
        return loadSuite(parseSuite(suite.dump(), "s.json"), {path_, shots, replies});
    }

private:
    std::filesystem::path path_;
};

}  // namespace moescope::testing
