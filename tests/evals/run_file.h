// SPDX-License-Identifier: Apache-2.0
// A run file of a test's own, and what is looked up in the results of a run.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <stdexcept>
#include <string>

#include "evals/runner.h"

namespace moescope::test {

class RunFile {
public:
    explicit RunFile(const std::string& name)
        : path_(std::filesystem::temp_directory_path() /
                ("moescope_" + name + std::to_string(::getpid()) + ".moescope")) {
        remove();
    }
    ~RunFile() { remove(); }
    const std::filesystem::path& path() const { return path_; }

private:
    void remove() const {
        for (const char* suffix : {"", "-wal", "-shm", ".lock"})
            std::filesystem::remove(path_.string() + suffix);
    }
    std::filesystem::path path_;
};

inline const MetricRow& metric(const SuiteResult& result, const std::string& name,
                               const std::string& group = {}) {
    for (const MetricRow& row : result.metrics)
        if (row.name == name && row.group == group) return row;
    throw std::runtime_error("no metric " + name + " " + group);
}

}  // namespace moescope::test
