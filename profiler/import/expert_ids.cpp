// SPDX-License-Identifier: Apache-2.0
#include "profiler/import/expert_ids.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

#include "engine/core/byte_cursor.h"
#include "engine/core/error.h"

namespace moescope {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxHeader = 4096;  ///< numpy writes 118 bytes and refuses over 10,000
constexpr std::int64_t kMaxExtent = std::numeric_limits<std::int32_t>::max();

/// The header of an .npy file, a Python dictionary: {'descr': '<i4', 'fortran_order': False,
/// 'shape': (3, 2, 4), }. Its keys may come in any order.
class NpyHeader {
public:
    NpyHeader(std::string_view text, const std::string& origin) : rest_(text), origin_(origin) {
        expect('{');
        while (!at('}')) {
            const std::string_view key = quoted();
            expect(':');
            if (key == "descr")
                descr = quoted();
            else if (key == "fortran_order")
                fortran_ = truth();
            else if (key == "shape")
                readShape();
            else
                fail();
            if (!at(',')) break;
            expect(',');
        }
        expect('}');
        if (rest_.find_first_not_of(" \n") != std::string_view::npos) fail();
        if (fortran_)
            throw Error(origin + ": the array is in Fortran's order",
                        "save numpy.ascontiguousarray(it)");
    }

    std::string_view descr;
    std::vector<std::int64_t> shape;

private:
    [[noreturn]] void fail() const { throw Error(origin_ + ": the .npy header is damaged"); }

    void skipSpaces() { rest_.remove_prefix(std::min(rest_.find_first_not_of(' '), rest_.size())); }
    bool at(char c) {
        skipSpaces();
        return rest_.starts_with(c);
    }
    void expect(char c) {
        if (!at(c)) fail();
        rest_.remove_prefix(1);
    }
    std::string_view quoted() {
        expect('\'');
        const std::size_t end = rest_.find('\'');
        if (end == std::string_view::npos) fail();
        const std::string_view text = rest_.substr(0, end);
        rest_.remove_prefix(end + 1);
        return text;
    }
    bool truth() {
        skipSpaces();
        for (const bool value : {false, true}) {
            const std::string_view name = value ? "True" : "False";
            if (!rest_.starts_with(name)) continue;
            rest_.remove_prefix(name.size());
            return value;
        }
        fail();
    }
    void readShape() {
        expect('(');
        shape.clear();
        while (!at(')')) {
            std::int64_t extent = 0;
            std::size_t digits = 0;
            for (; digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9';
                 ++digits) {
                extent = extent * 10 + (rest_[digits] - '0');
                if (extent > kMaxExtent) fail();
            }
            if (digits == 0) fail();
            rest_.remove_prefix(digits);
            shape.push_back(extent);
            if (!at(',')) break;
            expect(',');
        }
        expect(')');
    }

    std::string_view rest_;
    const std::string& origin_;
    bool fortran_ = false;
};

std::string shapeText(std::span<const std::int64_t> shape) {
    std::string text;
    for (const std::int64_t extent : shape)
        text += (text.empty() ? "" : " x ") + std::to_string(extent);
    return text.empty() ? "no dimensions" : text;
}

}  // namespace

std::int16_t expertId(std::int64_t value, const std::string& origin) {
    if (value < -1)
        throw Error(origin + ": " + std::to_string(value) +
                    " is no expert (-1 says that there is none)");
    constexpr std::int64_t kMost = std::numeric_limits<std::int16_t>::max();
    if (value > kMost)
        throw Error(origin + ": expert " + std::to_string(value) + " is more than the " +
                    std::to_string(kMost) + " that a run file holds");
    return static_cast<std::int16_t>(value);
}

std::optional<IntegerType> integerTypeNamed(std::string_view name) {
    if (name.starts_with("torch.")) name.remove_prefix(6);
    struct Named {
        std::string_view word, descr;
        IntegerType type;
    };
    constexpr std::array kTypes{
        Named{"int8", "i1", {1, true}},  Named{"uint8", "u1", {1, false}},
        Named{"int16", "i2", {2, true}}, Named{"uint16", "u2", {2, false}},
        Named{"int32", "i4", {4, true}}, Named{"uint32", "u4", {4, false}},
        Named{"int64", "i8", {8, true}}, Named{"uint64", "u8", {8, false}},
    };
    for (const Named& known : kTypes) {
        if (name == known.word) return known.type;
        const bool ordered =
            name.starts_with('<') || (name.starts_with('|') && known.type.bytes == 1);
        if (ordered && name.substr(1) == known.descr) return known.type;
    }
    return std::nullopt;
}

std::int64_t readInteger(const std::byte* at, IntegerType type) noexcept {
    std::uint64_t value = 0;
    std::memcpy(&value, at, static_cast<std::size_t>(type.bytes));
    const int shift = 64 - 8 * type.bytes;
    // A signed type's highest bit is moved to the highest of 64, and back with its copies.
    return type.isSigned ? static_cast<std::int64_t>(value << shift) >> shift
                         : static_cast<std::int64_t>(value);
}

ExpertIds expertIdsOf(std::span<const std::byte> bytes, IntegerType type, std::int64_t layers,
                      std::int64_t topK, const std::string& origin) {
    const auto width = static_cast<std::uint64_t>(type.bytes);
    const std::uint64_t token =
        static_cast<std::uint64_t>(layers) * static_cast<std::uint64_t>(topK) * width;
    if (token == 0 || bytes.size() % token != 0)
        throw Error(origin + ": " + std::to_string(bytes.size()) +
                    " bytes are no whole tokens of " + std::to_string(layers) + " layers x top-" +
                    std::to_string(topK) + " x " + std::to_string(width) + " bytes");
    ExpertIds out{static_cast<std::int64_t>(bytes.size() / token), layers, topK, {}};
    out.ids.reserve(bytes.size() / width);
    for (std::size_t at = 0; at < bytes.size(); at += width)
        out.ids.push_back(expertId(readInteger(bytes.data() + at, type), origin));
    return out;
}

ExpertIds expertIdsOf(std::span<const std::byte> bytes, IntegerType type,
                      std::span<const std::int64_t> shape, const std::string& origin) {
    if (shape.size() != 3)
        throw Error(origin + ": the array has the shape " + shapeText(shape) +
                    ", not tokens x layers x top-k");
    std::uint64_t left = bytes.size() / static_cast<std::uint64_t>(type.bytes);
    bool fits = bytes.size() % static_cast<std::uint64_t>(type.bytes) == 0;
    for (const std::int64_t extent : shape) {
        if (extent < 0 || extent > kMaxExtent) fits = false;
        if (!fits || extent == 0) continue;
        fits = left % static_cast<std::uint64_t>(extent) == 0;
        left /= static_cast<std::uint64_t>(extent);
    }
    const bool empty = shape[0] == 0 || shape[1] == 0 || shape[2] == 0;
    if (!fits || (empty ? !bytes.empty() : left != 1))
        throw Error(origin + ": an array of " + shapeText(shape) + " x " +
                    std::to_string(type.bytes) + " bytes has not " + std::to_string(bytes.size()) +
                    " bytes");
    if (empty) return {0, shape[1], shape[2], {}};
    return expertIdsOf(bytes, type, shape[1], shape[2], origin);
}

bool isNpy(std::span<const std::byte> bytes) noexcept {
    return bytes.size() >= kMagic.size() &&
           std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0;
}

ExpertIds readNpy(std::span<const std::byte> bytes, const std::string& origin) {
    if (!isNpy(bytes)) throw Error(origin + ": is no .npy file");
    ByteCursor in(bytes, origin, kMagic.size());
    const auto major = in.read<std::uint8_t>("the version");
    in.skip(1, "the version");
    if (major < 1 || major > 3)
        throw Error(origin + ": .npy version " + std::to_string(major) + " is not known");
    const std::uint64_t length = major == 1 ? in.read<std::uint16_t>("the header's length")
                                            : in.read<std::uint32_t>("the header's length");
    if (length > kMaxHeader)
        throw Error(origin + ": the .npy header would have " + std::to_string(length) + " bytes");
    const std::uint64_t begin = in.position();
    in.skip(length, "the header");
    const NpyHeader header(
        {reinterpret_cast<const char*>(bytes.data() + begin), static_cast<std::size_t>(length)},
        origin);
    const auto type = integerTypeNamed(header.descr);
    if (!type)
        throw Error(origin + ": the array is of type \"" + std::string(header.descr) +
                        "\", and expert ids are little-endian integers",
                    "save it.astype('<i2')");
    return expertIdsOf(bytes.subspan(static_cast<std::size_t>(in.position())), *type, header.shape,
                       origin);
}

std::string npyOf(const ExpertIds& ids) {
    std::string header = "{'descr': '<i2', 'fortran_order': False, 'shape': (" +
                         std::to_string(ids.tokens) + ", " + std::to_string(ids.layers) + ", " +
                         std::to_string(ids.topK) + "), }";
    // The data begins at a multiple of 64 bytes, the header ends with a line feed.
    constexpr std::size_t kBefore = 10, kAlignment = 64;
    while ((kBefore + header.size() + 1) % kAlignment != 0) header += ' ';
    header += '\n';
    std::string out(kMagic);
    out += {'\x01', '\x00', static_cast<char>(header.size() & 0xFF),
            static_cast<char>(header.size() >> 8)};
    out += header;
    return out.append(reinterpret_cast<const char*>(ids.ids.data()),
                      ids.ids.size() * sizeof(std::int16_t));
}

}  // namespace moescope
