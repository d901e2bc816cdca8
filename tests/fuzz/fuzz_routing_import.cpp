// SPDX-License-Identifier: Apache-2.0
// Any bytes as what other engines write of their routing: an archive of torch.save, an .npy file,
// JSON lines of replies. Values, or an Error.
#include <filesystem>
#include <string>

#include "engine/core/error.h"
#include "profiler/import/id_lines.h"
#include "profiler/import/importers.h"
#include "profiler/import/torch_file.h"
#include "tests/fuzz/fuzz_file.h"

namespace {

using namespace moescope;

/// Refusing is the right answer to most inputs.
template <typename Read>
bool accepted(Read read) {
    try {
        read();
    } catch (const Error&) {
        return false;
    }
    return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const fuzz::MemoryFile file(data, size);
    accepted([&] { readNpy(std::as_bytes(std::span(data, size)), "fuzz"); });
    accepted([&] {
        const TorchFile read(file.path());
        for (const auto& [name, tensor] : read.entries())
            if (!tensor.bytes.empty() && readInteger(tensor.bytes.data(), tensor.type) == 42)
                return;
    });
    const bool lines = accepted([&] {
        const LineKeys keys{{"routed_experts"}, {"id"}};
        readIdLines(MappedFile(file.path()), keys, nullptr, [](IdLine&) {});
    });
    if (!lines) return 0;
    // A run file takes milliseconds: only where there is something to write.
    const std::filesystem::path out = std::filesystem::temp_directory_path() /
                                      ("fuzz_routing_" + std::to_string(::getpid()) + ".moescope");
    const ImportRequest request{"routed-experts", {file.path()}, out, {"fuzz"}, true,
                                nullptr,          {0, 2, 2, {}}};
    accepted([&] { importFiles(request); });
    std::filesystem::remove(out);
    return 0;
}
