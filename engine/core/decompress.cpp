// SPDX-License-Identifier: Apache-2.0
#include "engine/core/decompress.h"

#include <bzlib.h>
#include <lzma.h>

#include <algorithm>
#include <array>
#include <limits>

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

std::string causeOfBzip2(int code) {
    switch (code) {
        case BZ_DATA_ERROR_MAGIC:
            return "not bzip2 data";
        case BZ_MEM_ERROR:
            return "out of memory while unpacking";
        default:
            return "damaged bzip2 data";
    }
}

struct Bzip2Stream {
    bz_stream value{};
    explicit Bzip2Stream(const std::string& origin) {
        if (BZ2_bzDecompressInit(&value, 0, 0) != BZ_OK)
            throw Error(origin + ": " + causeOfBzip2(BZ_MEM_ERROR));
    }
    ~Bzip2Stream() { BZ2_bzDecompressEnd(&value); }
    Bzip2Stream(const Bzip2Stream&) = delete;
    Bzip2Stream& operator=(const Bzip2Stream&) = delete;
};

/// Collects what is unpacked, up to what the caller and the size of the packed data allow.
class Unpacked {
public:
    Unpacked(std::size_t packedBytes, std::uint64_t maxBytes, const std::string& origin)
        : limit_(std::min(maxBytes, std::max(kSmall, kMaxRatio * std::uint64_t(packedBytes)))),
          origin_(origin) {}
    void append(const char* data, std::size_t bytes) {
        text_.append(data, bytes);
        if (text_.size() > limit_)
            throw Error(origin_ + ": unpacks to more than " + std::to_string(limit_) + " bytes");
    }
    std::string take() { return std::move(text_); }

private:
    std::uint64_t limit_;
    const std::string& origin_;
    std::string text_;
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
    Unpacked out(compressed.size(), maxBytes, origin);
    std::array<char, 65536> chunk{};
    while (code == LZMA_OK) {
        s.next_out = reinterpret_cast<std::uint8_t*>(chunk.data());
        s.avail_out = chunk.size();
        code = lzma_code(&s, LZMA_FINISH);
        out.append(chunk.data(), chunk.size() - s.avail_out);
    }
    if (code != LZMA_STREAM_END) throw Error(origin + ": " + causeOf(code));
    return out.take();
}

std::string decompressBzip2(std::string_view compressed, const std::string& origin,
                            std::uint64_t maxBytes) {
    if (compressed.size() > std::numeric_limits<unsigned>::max())
        throw Error(origin + ": more than 4 GiB of bzip2 data");
    std::string input(compressed);  // bzlib's interface takes a pointer to non-const
    Unpacked out(input.size(), maxBytes, origin);
    std::array<char, 65536> chunk{};
    std::size_t at = 0;
    do {
        Bzip2Stream stream(origin);
        bz_stream& s = stream.value;
        s.next_in = input.data() + at;
        s.avail_in = static_cast<unsigned>(input.size() - at);
        int code = BZ_OK;
        while (code == BZ_OK) {
            s.next_out = chunk.data();
            s.avail_out = static_cast<unsigned>(chunk.size());
            code = BZ2_bzDecompress(&s);
            out.append(chunk.data(), chunk.size() - s.avail_out);
            // It asks for more input without end.
            if (code == BZ_OK && s.avail_in == 0 && s.avail_out > 0)
                throw Error(origin + ": truncated bzip2 data");
        }
        if (code != BZ_STREAM_END) throw Error(origin + ": " + causeOfBzip2(code));
        at = input.size() - s.avail_in;
    } while (at < input.size());
    return out.take();
}

}  // namespace moescope
