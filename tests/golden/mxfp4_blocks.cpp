// SPDX-License-Identifier: Apache-2.0
// mxfp4_blocks RULE <float32 blocks >GGUF blocks: the engine's quantiser as a filter, built and fed
// by make_mxfp4.py, which compares millions of blocks with the originals.
#include <iostream>
#include <vector>

#include "engine/formats/mxfp4.h"

int main(int argc, char** argv) {
    using namespace moescope;
    const auto rule = argc == 2 ? mxfp4Rule(argv[1]) : std::nullopt;
    if (!rule) return 2;
    std::vector<float> in(kMxfp4Weights * 4096);
    while (std::cin) {
        std::cin.read(reinterpret_cast<char*>(in.data()),
                      static_cast<std::streamsize>(in.size() * sizeof(float)));
        const std::size_t blocks =
            static_cast<std::size_t>(std::cin.gcount()) / sizeof(float) / kMxfp4Weights;
        std::vector<std::byte> out(blocks * kMxfp4Record);
        quantizeMxfp4(*rule, std::span(in).first(blocks * kMxfp4Weights), out);
        std::cout.write(reinterpret_cast<const char*>(out.data()),
                        static_cast<std::streamsize>(out.size()));
    }
    return std::cout.flush() ? 0 : 1;
}
