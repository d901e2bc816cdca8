// SPDX-License-Identifier: Apache-2.0
// Any bytes as a safetensors file: tensors whose bytes can be read, or an Error.
#include <vector>

#include "engine/core/error.h"
#include "engine/formats/safetensors.h"
#include "tests/fuzz/fuzz_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace moescope;
    const fuzz::MemoryFile file(data, size);
    try {
        const SafetensorsFile read(file.path());
        for (const TensorView& t : read.tensors()) {
            if (!dtypeInfo(t.type).isWeight || t.elements() == 0) continue;
            std::vector<float> row(static_cast<std::size_t>(t.cols()));
            dequantizeRow(t, t.stack() - 1, t.rows() - 1, row);
        }
    } catch (const Error&) {
        // Refusing is the right answer to most inputs.
    }
    return 0;
}
