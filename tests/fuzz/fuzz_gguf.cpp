// SPDX-License-Identifier: Apache-2.0
// Any bytes as a GGUF file: a checkpoint whose views can be read, or an Error.
#include <vector>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/formats/dtypes.h"
#include "engine/formats/gguf.h"
#include "tests/fuzz/fuzz_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace moescope;
    const fuzz::MemoryFile file(data, size);
    try {
        const GgufCheckpoint checkpoint(file.path());
        (void)checkpoint.identity();
        (void)dumpJson(checkpoint.config());
        for (const auto& [key, value] : checkpoint.config().items()) {
            (void)checkpoint.stringArray(key);
            (void)checkpoint.numberArray(key);
        }
        for (const TensorView& t : checkpoint.tensors()) {
            if (!dtypeInfo(t.type).isWeight) continue;
            std::vector<float> row(static_cast<std::size_t>(t.cols()));
            dequantizeRow(t, t.stack() - 1, t.rows() - 1, row);
            (void)rowIsFinite(t, t.stack() - 1, t.rows() - 1);
        }
    } catch (const Error&) {
        // Refusing is the right answer to most inputs.
    }
    return 0;
}
