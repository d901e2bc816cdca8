// SPDX-License-Identifier: Apache-2.0
// Suite files and data files are untrusted input. The first byte chooses the reader: a suite
// definition, or one of the four data formats.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "datasets/records.h"
#include "datasets/suite.h"
#include "engine/core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace moescope;
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    try {
        if (data[0] % 6 == 0) {
            parseSuite(text, "fuzz.json");
            return 0;
        }
        RecordOptions options;
        constexpr RecordFormat kFormats[] = {RecordFormat::Csv, RecordFormat::Tsv,
                                             RecordFormat::JsonLines, RecordFormat::JsonArray};
        options.header = data[0] % 6 != 5;
        if (!options.header) options.columns = {"a", "b", "c"};
        options.format = options.header ? kFormats[data[0] % 6 - 1] : RecordFormat::Csv;
        options.limits.records = 10'000;
        parseRecords(text, options, "fuzz");
    } catch (const Error&) {
        // Refusing with a sentence is what bad input should meet.
    }
    return 0;
}
