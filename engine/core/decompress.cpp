// SPDX-License-Identifier: Apache-2.0
#include "engine/core/decompress.h"

#include <lzma.h>

#include <algorithm>
#include <array>

#include "engine/core/error.h"

namespace moescope {
namespace {

constexpr std::uint64_t kDecoderMemory = 256ULL << 20U;  ///< xz -9 needs 65 MiB
constexpr std::uint64_t kMaxRatio = 2000;
constexpr std::uint64_t kSmall = 1ULL << 20U;  ///< below this the ratio does not matter

std::string causeOf(lzma_ret code) {
    switch (code) {
        case LZMA_FORMAT_ERROR:
            return "not xz data";
        case LZMA_BUF_ERROR:
            return "truncated xz data";
        case LZMA_MEMLIMIT_ERROR:
            return "xz data that needs more than 256 MiB to unpack";
        case LZMA_MEM_ERROR:
            return "out of memory while unpacking";
        default:
            return "damaged xz data";
    }
}

/// Ends the stream on every path.
struct Stream {
    lzma_stream value = LZMA_STREAM_INIT;
    ~Stream() { lzma_end(&value); }
};

}  // namespace

std::string decompressXz(std::string_view compressed, const std::string& origin,
                         std::uint64_t maxBytes) {
    Stream stream;
    lzma_stream& s = stream.value;
    lzma_ret code = lzma_stream_decoder(&s, kDecoderMemory, LZMA_CONCATENATED);
    if (code != LZMA_OK) throw Error(origin + ": " + causeOf(code));
    s.next_in = reinterpret_cast<const std::uint8_t*>(compressed.data());
    s.avail_in = compressed.size();
    const std::uint64_t limit =
        std::min(maxBytes, std::max(kSmall, kMaxRatio * std::uint64_t(compressed.size())));
    std::string out;
    std::array<char, 65536> chunk{};
    while (code == LZMA_OK) {
        s.next_out = reinterpret_cast<std::uint8_t*>(chunk.data());
        s.avail_out = chunk.size();
        code = lzma_code(&s, LZMA_FINISH);
        out.append(chunk.data(), chunk.size() - s.avail_out);
        if (out.size() > limit) {
            throw Error(origin + ": unpacks to more than " + std::to_string(limit) + " bytes");
        }
    }
    if (code != LZMA_STREAM_END) throw Error(origin + ": " + causeOf(code));
    return out;
}

}  // namespace moescope
