// SPDX-License-Identifier: Apache-2.0
#include "profiler/export/exporters.h"

#include <array>

#include "engine/core/error.h"

namespace moescope {
namespace {

constexpr std::array kExporters{
    Exporter{"chrome", ".json", "Chrome trace events (Kineto's flavour)",
             "open it at https://ui.perfetto.dev or in chrome://tracing", true, writeChromeTrace},
    Exporter{"perfetto", ".pftrace", "Perfetto's protobuf, for large runs",
             "open it at https://ui.perfetto.dev", true, writePerfettoTrace},
    Exporter{"nsys", ".sqlite", "the tables of an Nsight Systems SQLite export",
             "query it with sqlite3, or with scripts made for 'nsys export'", true,
             writeNsysSqlite},
    Exporter{"csv", ".csv", "one line an operation",
             "lines that begin with # are the quality of the measurement", true,
             writeOperationsCsv},
    Exporter{"routed-experts", ".jsonl", "the experts of each token, a text a line",
             "'moescope import routed-experts' reads it, and any program numpy's way", false,
             writeRoutedExperts},
};

}  // namespace

std::span<const Exporter> exporters() noexcept {
    return kExporters;
}

const Exporter& exporterFor(std::string_view format, const std::filesystem::path& out) {
    const std::string extension = out.extension().string();
    std::string known;
    for (const Exporter& exporter : kExporters) {
        if (format.empty() ? exporter.extension == extension : exporter.format == format)
            return exporter;
        known += (known.empty() ? "" : ", ") + std::string(exporter.format) + " (" +
                 std::string(exporter.extension) + ")";
    }
    if (format.empty())
        throw UsageError(out.string() + ": no format of 'export' has the ending \"" + extension +
                             "\"; known: " + known,
                         "give --out one of these endings, or say --format NAME");
    throw UsageError("unknown export format \"" + std::string(format) + "\"",
                     "known formats: " + known);
}

}  // namespace moescope
