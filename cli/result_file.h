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

#include "cli/options.h"

namespace moescope::cli {

/// Lines go to PATH.part, each as soon as it is known: a header, then "<index> <result>". `finish`
/// sorts them into PATH and writes PATH.meta, which says of what and of which bytes. PATH.part is
/// locked while it is written. Devices and pipes (/dev/stdout) are written at the end alone.
class ResultFile {
public:
    enum class Mode : std::uint8_t { Fresh, Resume, Overwrite };

    /// From --output, --resume and --overwrite, before a model is loaded: UsageError when both are
    /// given, Error when PATH or PATH.part exists and neither is, or when --resume would replace a
    /// PATH that the unfinished command did not agree to replace.
    static Mode modeOf(const Options& options);

    /// `header`: everything a result depends on, each part under the name of its option. Throws
    /// Error when PATH.part exists (Fresh), is of something else (Resume; the differences are
    /// named), is being written by another process, or cannot be written, and when PATH.meta is
    /// another's file. Resume with PATH alone: it is whole, and read only; Error unless PATH.meta
    /// is of `header` and of the bytes of PATH.
    ResultFile(std::filesystem::path path, const nlohmann::ordered_json& header, Mode mode);
    ~ResultFile();
    ResultFile(const ResultFile&) = delete;
    ResultFile& operator=(const ResultFile&) = delete;

    /// PATH was finished by an earlier process: there is nothing to do, and `finish` only visits.
    bool whole() const noexcept { return whole_; }
    /// Results of an earlier process.
    bool has(std::size_t index) const { return places_.count(index) > 0; }
    std::size_t count() const noexcept { return places_.size(); }
    void add(std::size_t index, const nlohmann::json& result);
    /// Calls `visit(result)` for each in the order of the input, writes PATH, removes PATH.part.
    template <typename Visit>
    void finish(const Visit& visit) {
        if (!whole_) begin();
        for (const auto& [index, place] : places_) {
            const std::string line = read(place);
            visit(nlohmann::json::parse(line));
            if (!whole_) put(line);
        }
        if (!whole_) end();
    }
    /// What an interruption leaves; where that is something, `advice` says how to go on.
    std::string kept(const std::string& advice = "the same command with --resume continues") const;

private:
    struct Place {
        long offset = 0;  ///< of the JSON text in PATH.part
        std::size_t length = 0;
    };
    void open(Mode mode);
    void load();
    void loadWhole(const nlohmann::ordered_json& meta);
    void append(const std::string& text);
    std::string read(const Place& place);
    void begin();
    void put(const std::string& line);
    void end();
    [[noreturn]] void refuseFinished() const;
    [[noreturn]] void fail(const std::filesystem::path& path) const;

    struct Close {
        void operator()(std::FILE* file) const noexcept { std::fclose(file); }
    };
    std::filesystem::path path_, part_, sorted_;
    nlohmann::ordered_json header_;
    bool direct_ = false;  ///< no regular file: part_ and sorted_ are temporary
    std::unique_ptr<std::FILE, Close> file_, out_;
    std::map<std::size_t, Place> places_;
    bool finished_ = false;
    bool whole_ = false;
};

}  // namespace moescope::cli
