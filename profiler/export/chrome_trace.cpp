// SPDX-License-Identifier: Apache-2.0
#include "profiler/export/chrome_trace.h"

#include <cerrno>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include "engine/core/error.h"
#include "engine/core/file.h"

namespace moescope {
namespace {

/// Nanoseconds as microseconds with three decimals: exact, and no locale can touch it.
std::string microseconds(std::int64_t ns) {
    char text[32];
    const auto n = std::snprintf(text, sizeof text, "%s%" PRIu64 ".%03u", ns < 0 ? "-" : "",
                                 std::uint64_t(ns < 0 ? -ns : ns) / 1000,
                                 unsigned(std::uint64_t(ns < 0 ? -ns : ns) % 1000));
    return {text, std::size_t(n)};
}

std::string fixed(double value) {
    char text[64];
    const auto result = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, 3);
    return {text, result.ptr};
}

/// The file being written: beside the target first, so that nobody opens half a trace.
class Output {
public:
    explicit Output(const std::filesystem::path& path)
        : path_(path), part_(path.string() + ".part"), file_(open(), &std::fclose) {
        if (!file_) fail();
    }
    ~Output() {
        std::error_code ignored;
        if (!done_) std::filesystem::remove(part_, ignored);
    }
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;

    void put(std::string_view text) {
        if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size()) fail();
    }

    void event(const std::string& fields) {
        put(first_ ? "\n{" : ",\n{");
        put(fields);
        put("}");
        first_ = false;
    }

    void close() {
        if (std::fclose(file_.release()) != 0) fail();
        std::error_code error;
        std::filesystem::rename(part_, path_, error);
        if (error) throw Error(path_.string() + ": " + error.message());
        done_ = true;
    }

private:
    std::FILE* open() const {
        // The rename would replace a device or a pipe by a regular file.
        std::error_code absent;
        const std::filesystem::file_status status = std::filesystem::status(path_, absent);
        if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
            throw Error(path_.string() + ": cannot write: not a regular file");
        return std::fopen(part_.c_str(), "wb");
    }
    [[noreturn]] void fail() const { throw Error(path_.string() + ": " + std::strerror(errno)); }

    std::filesystem::path path_;
    std::string part_;
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
    bool first_ = true, done_ = false;
};

std::string quoted(const std::string& text) {
    return dumpJson(text);
}

std::string spanFields(const std::string& name, const char* category, std::int64_t startNs,
                       std::int64_t endNs, const std::string& args) {
    return "\"name\":" + quoted(name) + ",\"cat\":\"" + category +
           "\",\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":" + microseconds(startNs) +
           ",\"dur\":" + microseconds(endNs - startNs) + ",\"args\":{" + args + "}";
}

std::string stepFields(const StepRow& step) {
    const std::string args = "\"step\":" + std::to_string(step.id) +
                             ",\"sequence\":" + std::to_string(step.sequence) +
                             ",\"first_position\":" + std::to_string(step.firstPosition) +
                             ",\"tokens\":" + std::to_string(step.tokens);
    return spanFields(step.kind, "step", step.startNs, step.endNs, args);
}

std::string operationFields(const OperationRow& row) {
    std::string args =
        "\"layer\":" + std::to_string(row.layer) + ",\"step\":" + std::to_string(row.step) +
        ",\"kernel\":" + quoted(row.kernel) + ",\"bytes\":" + std::to_string(row.bytes) +
        ",\"flops\":" + std::to_string(row.flops) + ",\"threads\":" + std::to_string(row.threads);
    if (row.endNs > row.startNs) {
        // Bytes per nanosecond are GB/s.
        args += ",\"GB/s\":" + fixed(double(row.bytes) / double(row.endNs - row.startNs));
    }
    return spanFields(row.op, "operation", row.startNs, row.endNs, args);
}

}  // namespace

void writeChromeTrace(const RunReader& run, const std::filesystem::path& path) {
    Output out(path);
    out.put("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[");
    out.event("\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,\"args\":{\"name\":" +
              quoted("moescope " + run.path().filename().string()) + "}");
    out.event(
        "\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":1,\"args\":{\"name\":\"engine\"}");
    for (const StepRow& step : run.steps()) out.event(stepFields(step));
    run.operations([&](const OperationRow& row) {
        out.event(operationFields(row));
        return true;
    });
    out.put("\n]}\n");
    out.close();
}

}  // namespace moescope
