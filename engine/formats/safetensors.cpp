// SPDX-License-Identifier: Apache-2.0
#include "engine/formats/safetensors.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "engine/core/byte_cursor.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/formats/tensor_table.h"

namespace moescope {
namespace {

// The reference implementation has the same limit.
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
constexpr std::size_t kMaxRank = 4;

/// All of safetensors 0.8; the format calls them what DTypeInfo does.
constexpr std::array kTypes{DType::F32,         DType::F16,         DType::BF16,    DType::U8,
                            DType::I32,         DType::I64,         DType::Bool,    DType::I8,
                            DType::I16,         DType::U16,         DType::U32,     DType::U64,
                            DType::F64,         DType::F8_E4M3,     DType::F8_E5M2, DType::F8_E8M0,
                            DType::F8_E4M3FNUZ, DType::F8_E5M2FNUZ, DType::C64,     DType::F4,
                            DType::F6_E2M3,     DType::F6_E3M2};

std::optional<DType> typeNamed(std::string_view name) {
    for (const DType type : kTypes) {
        if (dtypeInfo(type).name == name) return type;
    }
    return std::nullopt;
}

/// The number as uint64 when it is a JSON integer of at least zero.
std::optional<std::uint64_t> unsignedOf(const nlohmann::json& value) {
    if (!value.is_number_unsigned()) return std::nullopt;
    return value.get<std::uint64_t>();
}

/// Reads one header entry; checks all but the place in the file.
class EntryReader {
public:
    EntryReader(const std::string& origin, const std::string& name, const nlohmann::json& entry)
        : what_(origin + ": tensor '" + name + "'"), entry_(entry) {
        view_.name = name;
    }

    TensorView read() {
        if (!entry_.is_object()) throw Error(what_ + " is described by no JSON object");
        readType();
        readShape();
        return view_;
    }

    std::pair<std::uint64_t, std::uint64_t> readOffsets() const {
        const auto found = entry_.find("data_offsets");
        if (found == entry_.end() || !found->is_array() || found->size() != 2) {
            throw Error(what_ + " has no pair of data_offsets");
        }
        const auto begin = unsignedOf((*found)[0]);
        const auto end = unsignedOf((*found)[1]);
        if (!begin || !end || *begin > *end) {
            throw Error(what_ + " has the impossible data_offsets " + dumpJson(*found));
        }
        return {*begin, *end};
    }

    const std::string& what() const noexcept { return what_; }

private:
    void readType() {
        const auto found = entry_.find("dtype");
        if (found == entry_.end() || !found->is_string()) throw Error(what_ + " has no dtype");
        const auto name = found->get<std::string>();
        const auto type = typeNamed(name);
        if (!type) {
            throw Error(what_ + " is stored as " + name + ", which is not known",
                        "Weights may be F32, F16, BF16 and MXFP4 in U8.");
        }
        view_.type = *type;
    }

    void readShape() {
        const auto found = entry_.find("shape");
        if (found == entry_.end() || !found->is_array()) throw Error(what_ + " has no shape");
        if (found->size() > kMaxRank) {
            throw Error(what_ + " has " + std::to_string(found->size()) +
                        " dimensions (at most 4 are supported)");
        }
        view_.rank = static_cast<std::int32_t>(std::max<std::size_t>(found->size(), 1));
        for (std::size_t i = 0; i < found->size(); ++i) {
            const auto extent = unsignedOf((*found)[i]);
            constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
            if (!extent || *extent > kMax) {
                throw Error(what_ + " has the impossible shape " + dumpJson(*found));
            }
            view_.shape[i] = static_cast<std::int64_t>(*extent);
        }
    }

    std::string what_;
    const nlohmann::json& entry_;
    TensorView view_;
};

nlohmann::json readHeader(const MappedFile& file, std::uint64_t& dataStart) {
    ByteCursor in(file.bytes(), file.path().string());
    const auto length = in.read<std::uint64_t>("the header length");
    if (length > kMaxHeaderBytes) {
        in.fail("not a safetensors file (its header would have " + std::to_string(length) +
                " bytes)");
    }
    const std::uint64_t at = in.position();
    in.skip(length, "the header");
    dataStart = in.position();
    const std::string_view text(reinterpret_cast<const char*>(file.data() + at),
                                static_cast<std::size_t>(length));
    nlohmann::json header = parseJson(text, file.path().string());
    if (!header.is_object()) in.fail("the header is not a JSON object");
    return header;
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path) {
    const std::string origin = path.string();
    std::uint64_t dataStart = 0;
    const nlohmann::json header = readHeader(file_, dataStart);
    tensors_.reserve(header.size());  // keeps the names' addresses that TensorTable holds
    TensorTable table(origin, file_.bytes());
    for (const auto& [name, entry] : header.items()) {
        if (name == "__metadata__") {
            metadata_ = entry;
            continue;
        }
        EntryReader reader(origin, name, entry);
        TensorView& t = tensors_.emplace_back(reader.read());
        const auto [begin, end] = reader.readOffsets();
        const std::uint64_t bytes = table.place(t, dataStart, begin);
        if (bytes != end - begin) {
            throw Error(reader.what() + " has " + std::to_string(end - begin) +
                        " bytes, its shape " + shapeText(t) + " needs " + std::to_string(bytes));
        }
    }
    table.refuseOverlaps();
    std::sort(tensors_.begin(), tensors_.end(), [](const TensorView& a, const TensorView& b) {
        // Empty ones come before the tensor that begins at their place.
        return std::pair(a.data, a.elements()) < std::pair(b.data, b.elements());
    });
    refuseGaps(dataStart);
}

void SafetensorsFile::refuseGaps(std::uint64_t dataStart) const {
    // The format forbids holes; two header entries of one name (JSON keeps the last) show as one.
    std::uint64_t expected = dataStart;
    const auto complain = [&](std::uint64_t upTo) {
        throw Error(file_.path().string() + ": bytes " + std::to_string(expected) + " to " +
                    std::to_string(upTo) + " belong to no tensor");
    };
    for (const TensorView& t : tensors_) {
        const auto begin = static_cast<std::uint64_t>(t.data - file_.data());
        if (begin != expected) complain(begin);
        expected = begin + static_cast<std::uint64_t>(t.stackStride * t.stack());
    }
    if (expected != file_.size()) complain(file_.size());
}

}  // namespace moescope
