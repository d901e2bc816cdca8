// SPDX-License-Identifier: Apache-2.0
// The result file of moescope score and generate: written in the order of evaluation, kept through
// a kill, in the order of the input when it is whole.
#pragma once

#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

namespace moescope::cli {

/// Lines go to PATH.part, each as soon as it is known: a header, then "<index> <result>". `finish`
/// sorts them into PATH. Devices and pipes (/dev/stdout) are written at the end alone.
class ResultFile {
public:
    enum class Mode : std::uint8_t { Fresh, Resume, Overwrite };

    /// `header`: everything a result depends on. Throws Error when PATH.part exists (Fresh), is of
    /// something else (Resume; the difference is named), or cannot be written.
    ResultFile(std::filesystem::path path, const nlohmann::json& header, Mode mode);
    ~ResultFile();
    ResultFile(const ResultFile&) = delete;
    ResultFile& operator=(const ResultFile&) = delete;

    /// Results of an earlier process.
    bool has(std::size_t index) const { return places_.count(index) > 0; }
    std::size_t count() const noexcept { return places_.size(); }
    void add(std::size_t index, const nlohmann::json& result);
    /// Calls `visit(result)` for each in the order of the input, writes PATH, removes PATH.part.
    template <typename Visit>
    void finish(const Visit& visit) {
        begin();
        for (const auto& [index, place] : places_) {
            const std::string line = read(place);
            visit(nlohmann::json::parse(line));
            put(line);
        }
        end();
    }
    const std::filesystem::path& partPath() const noexcept { return part_; }

private:
    struct Place {
        long offset = 0;  ///< of the JSON text in PATH.part
        std::size_t length = 0;
    };
    void open(const nlohmann::json& header, Mode mode);
    void load(const nlohmann::json& header);
    void append(const std::string& text);
    std::string read(const Place& place);
    void begin();
    void put(const std::string& line);
    void end();
    [[noreturn]] void fail(const std::filesystem::path& path) const;

    struct Close {
        void operator()(std::FILE* file) const noexcept { std::fclose(file); }
    };
    std::filesystem::path path_, part_, sorted_;
    bool direct_ = false;  ///< no regular file: part_ and sorted_ are temporary
    std::unique_ptr<std::FILE, Close> file_, out_;
    std::map<std::size_t, Place> places_;
    bool finished_ = false;
};

}  // namespace moescope::cli
