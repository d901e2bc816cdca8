// SPDX-License-Identifier: Apache-2.0
#include "engine/formats/gguf.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <limits>
#include <unordered_set>

#include "engine/core/byte_cursor.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/core/sha256.h"
#include "engine/formats/dtypes.h"
#include "engine/formats/tensor_table.h"

namespace moescope {
namespace {

using gguf::ValueType;

constexpr int kMaxArrayDepth = 4;
constexpr std::uint64_t kMaxStringBytes = 64ULL << 20;
constexpr std::uint64_t kMaxNameBytes = 1024;
constexpr std::uint64_t kMaxAlignment = 1ULL << 20;
// Smallest possible records: they bound the counts before anything is reserved by them.
constexpr std::uint64_t kMinKeyBytes = 8 + 1 + 4 + 1;
constexpr std::uint64_t kMinTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;

std::string inQuotes(std::string_view name) {
    std::string out(1, '\'');
    out.append(toValidUtf8(name.substr(0, 200))).push_back('\'');
    return out;
}

nlohmann::json readNumber(ByteCursor& in, ValueType type, std::string_view what) {
    switch (type) {
        case ValueType::U8:
            return in.read<std::uint8_t>(what);
        case ValueType::I8:
            return in.read<std::int8_t>(what);
        case ValueType::U16:
            return in.read<std::uint16_t>(what);
        case ValueType::I16:
            return in.read<std::int16_t>(what);
        case ValueType::U32:
            return in.read<std::uint32_t>(what);
        case ValueType::I32:
            return in.read<std::int32_t>(what);
        case ValueType::U64:
            return in.read<std::uint64_t>(what);
        case ValueType::I64:
            return in.read<std::int64_t>(what);
        case ValueType::F32:
            return in.read<float>(what);
        case ValueType::F64:
            return in.read<double>(what);
        case ValueType::Bool:
            return in.read<std::uint8_t>(what) != 0;
        case ValueType::String:
        case ValueType::Array:
            break;
    }
    in.fail(std::string(what) + " has the unknown value type " +
            std::to_string(static_cast<std::uint32_t>(type)));
}

/// -1 when it is absent or no integer. Writers disagree on its type.
std::int64_t splitKey(const nlohmann::json& config, const char* key) {
    const auto found = config.find(key);
    return found != config.end() && found->is_number_integer() ? found->get<std::int64_t>() : -1;
}

/// As llama.cpp's gguf-split names the parts; `number` counts from 0.
std::string partSuffix(std::int64_t number, std::int64_t count) {
    const auto digits = [](std::int64_t n) {
        const std::string text = std::to_string(n);
        return std::string(5 - std::min<std::size_t>(5, text.size()), '0') + text;
    };
    return "-" + digits(number + 1) + "-of-" + digits(count) + ".gguf";
}

}  // namespace

/// Walks one file once and fills its part.
class GgufCheckpoint::Parser {
public:
    explicit Parser(Part& target)
        : target_(target), in_(target.file.bytes(), target.file.path().string()) {}

    void run() {
        readHeader();
        for (std::uint64_t i = 0; i < keys_; ++i) readKey();
        readAlignment();
        readTensorTable();
        target_.tableEnd = in_.position();
        placeTensors();
    }

private:
    void readHeader() {
        if (in_.remaining() < 4 || in_.read<std::uint32_t>("magic") != gguf::kMagic) {
            in_.fail("not a GGUF file (it does not begin with 'GGUF')");
        }
        const auto version = in_.read<std::uint32_t>("the header");
        if (version != 0 && (version & 0xFFFFU) == 0)
            in_.fail("a big-endian GGUF file is not supported");
        if (version < 2 || version > gguf::kVersion) {
            in_.fail("GGUF version " + std::to_string(version) + " is not supported (2 and 3 are)");
        }
        tensorCount_ = in_.read<std::uint64_t>("the header");
        keys_ = in_.read<std::uint64_t>("the header");
        checkCount(keys_, kMinKeyBytes, "metadata keys");
        checkCount(tensorCount_, kMinTensorBytes, "tensors");
    }

    void checkCount(std::uint64_t count, std::uint64_t recordBytes, std::string_view what) const {
        if (count > in_.remaining() / recordBytes) {
            in_.fail("declares " + std::to_string(count) + " " + std::string(what) +
                     ", more than " + std::to_string(target_.file.size()) +
                     " bytes can hold (truncated or damaged?)");
        }
    }

    std::string readName(std::string_view what) {
        const std::string_view name = in_.readString(what);
        if (name.empty()) in_.fail(std::string(what) + " is empty");
        if (name.size() > kMaxNameBytes) {
            in_.fail(std::string(what) + " has " + std::to_string(name.size()) + " bytes (limit " +
                     std::to_string(kMaxNameBytes) + ")");
        }
        std::string valid = toValidUtf8(name);
        if (valid != name)
            in_.fail(std::string(what) + " " + inQuotes(name) + " is not valid UTF-8");
        return valid;
    }

    void readKey() {
        const std::uint64_t begin = in_.position();
        const std::string key = readName("a metadata key");
        if (target_.config.contains(key) || target_.arrays.contains(key)) {
            in_.fail("metadata key " + inQuotes(key) + " appears twice");
        }
        const std::string what = "the value of " + inQuotes(key);
        const auto type = in_.read<ValueType>(what);
        if (type == ValueType::Array) {
            ArrayPlace place;
            nlohmann::json value = readArray(what, 1, &place);
            if (!value.is_null()) target_.config[key] = std::move(value);
            target_.arrays.emplace(key, place);
        } else if (type == ValueType::String) {
            target_.config[key] = toValidUtf8(readValueString(what));
        } else {
            target_.config[key] = readNumber(in_, type, what);
        }
        target_.keyRecords.push_back(
            {key, target_.file.bytes().subspan(begin, in_.position() - begin)});
    }

    std::string_view readValueString(std::string_view what) {
        const std::string_view text = in_.readString(what);
        if (text.size() > kMaxStringBytes) {
            in_.fail(std::string(what) + " is a string of " + std::to_string(text.size()) +
                     " bytes (limit " + std::to_string(kMaxStringBytes) + ")");
        }
        return text;
    }

    /// Checks that the whole array lies inside the file. Null when it is too long for JSON.
    nlohmann::json readArray(const std::string& what, int depth, ArrayPlace* place) {
        if (depth > kMaxArrayDepth) {
            in_.fail(what + " nests arrays deeper than " + std::to_string(kMaxArrayDepth));
        }
        const auto type = in_.read<ValueType>(what);
        const auto count = in_.read<std::uint64_t>(what);
        if (place != nullptr) *place = {type, count, in_.position()};
        const std::uint64_t fixed = gguf::valueBytes(type);
        const bool known = fixed > 0 || type == ValueType::String || type == ValueType::Array;
        if (!known) {
            in_.fail(what + " has the unknown element type " +
                     std::to_string(static_cast<std::uint32_t>(type)));
        }
        const std::uint64_t smallest = fixed > 0 ? fixed : (type == ValueType::String ? 8 : 12);
        if (count > in_.remaining() / smallest) {
            in_.fail(what + " declares " + std::to_string(count) + " elements, but " +
                     std::to_string(in_.remaining()) + " bytes remain (truncated or damaged?)");
        }
        const bool keep =
            count <= gguf::kJsonArrayLimit && jsonElements_ + count <= kMaxJsonElements;
        if (!keep && fixed > 0) {
            in_.skip(count * fixed, what);
            return nullptr;
        }
        if (keep) jsonElements_ += count;
        nlohmann::json list = nlohmann::json::array();
        for (std::uint64_t i = 0; i < count; ++i) {
            if (keep)
                list.push_back(readElement(type, what, depth));
            else if (type == ValueType::String)
                readValueString(what);
            else
                readArray(what, depth + 1, nullptr);
        }
        return keep ? std::move(list) : nlohmann::json(nullptr);
    }

    nlohmann::json readElement(ValueType type, const std::string& what, int depth) {
        if (type == ValueType::Array) return readArray(what, depth + 1, nullptr);
        if (type != ValueType::String) return readNumber(in_, type, what);
        return toValidUtf8(readValueString(what));
    }

    void readAlignment() {
        const auto found = target_.config.find("general.alignment");
        if (found == target_.config.end()) return;
        const bool valid = found->is_number_unsigned() &&
                           found->get<std::uint64_t>() <= kMaxAlignment &&
                           std::has_single_bit(found->get<std::uint64_t>());
        if (!valid) in_.fail("general.alignment is " + dumpJson(*found) + ", not a power of two");
        alignment_ = found->get<std::uint64_t>();
    }

    void readTensorTable() {
        checkCount(tensorCount_, kMinTensorBytes, "tensors");
        target_.tensors.reserve(tensorCount_);
        offsets_.reserve(tensorCount_);
        for (std::uint64_t i = 0; i < tensorCount_; ++i) readTensor();
    }

    void readTensor() {
        TensorView t;
        t.name = readName("a tensor name");
        const std::string what = "tensor " + inQuotes(t.name);
        const auto rank = in_.read<std::uint32_t>(what);
        if (rank < 1 || rank > gguf::kMaxRank) {
            in_.fail(what + " has " + std::to_string(rank) + " dimensions (1 to 4 are valid)");
        }
        t.rank = static_cast<std::int32_t>(rank);
        for (std::uint32_t i = rank; i-- > 0;) {  // ne[0] is the innermost dimension
            const auto extent = in_.read<std::uint64_t>(what);
            if (extent == 0 ||
                extent > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
                in_.fail(what + " has a dimension of " + std::to_string(extent));
            }
            t.shape[i] = static_cast<std::int64_t>(extent);
        }
        const auto id = in_.read<std::uint32_t>(what);
        const auto type = gguf::dtypeOf(id);
        if (!type) {
            throw Error(
                in_.origin() + ": " + what + " is stored as " + gguf::typeName(id) +
                    ", which is not supported",
                "Supported: F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q4_K, Q5_K, Q6_K, MXFP4.");
        }
        t.type = *type;
        offsets_.push_back(in_.read<std::uint64_t>(what));
        target_.tensors.push_back(std::move(t));
    }

    void placeTensors() {
        const std::uint64_t end = in_.position();
        const std::uint64_t start = (end + alignment_ - 1) / alignment_ * alignment_;
        TensorTable table(in_.origin(), target_.file.bytes());
        for (std::size_t i = 0; i < target_.tensors.size(); ++i) {
            TensorView& t = target_.tensors[i];
            if (offsets_[i] % alignment_ != 0) {
                in_.fail("tensor " + inQuotes(t.name) + " starts at offset " +
                         std::to_string(offsets_[i]) + ", not a multiple of the alignment " +
                         std::to_string(alignment_));
            }
            table.place(t, start, offsets_[i]);
        }
        table.refuseOverlaps();
    }

    static constexpr std::uint64_t kMaxJsonElements = 1ULL << 20;

    Part& target_;
    ByteCursor in_;
    std::uint64_t keys_ = 0;
    std::uint64_t tensorCount_ = 0;
    std::uint64_t alignment_ = gguf::kDefaultAlignment;
    std::uint64_t jsonElements_ = 0;  ///< bounds the memory that hostile arrays can take
    std::vector<std::uint64_t> offsets_;
};

GgufCheckpoint::GgufCheckpoint(const std::filesystem::path& path) : path_(path) {
    Parser(parts_.emplace_back(path)).run();
    if (splitKey(parts_[0].config, "split.count") > 1) openSiblings();
    indexTensors();
}

void GgufCheckpoint::openSiblings() {
    const std::int64_t count = splitKey(parts_[0].config, "split.count");
    const std::int64_t number = splitKey(parts_[0].config, "split.no");
    const std::string what = "part " + std::to_string(number + 1) + " of " + std::to_string(count);
    std::string name = path_.filename().string();
    if (number < 0 || number >= count || !name.ends_with(partSuffix(number, count)))
        throw Error(path_.string() + ": is " + what +
                        " of a split file, but its name does not end in " +
                        partSuffix(number, count),
                    "the other parts are found by their names: give them those they had");
    name.resize(name.size() - partSuffix(number, count).size());
    std::vector<Part> parts;
    for (std::int64_t i = 0; i < count; ++i) {
        if (i == number) {
            parts.push_back(std::move(parts_[0]));
            continue;
        }
        const auto sibling = path_.parent_path() / (name + partSuffix(i, count));
        if (!std::filesystem::exists(sibling))
            throw Error(sibling.string() + ": missing (" + path_.filename().string() + " is " +
                        what + ")");
        Part& part = parts.emplace_back(sibling);
        Parser(part).run();
        if (splitKey(part.config, "split.count") != count || splitKey(part.config, "split.no") != i)
            throw Error(sibling.string() + ": does not say that it is part " +
                        std::to_string(i + 1) + " of " + std::to_string(count));
    }
    parts_ = std::move(parts);
    std::int64_t found = 0;
    for (const Part& part : parts_) found += static_cast<std::int64_t>(part.tensors.size());
    const std::int64_t expected = splitKey(parts_[0].config, "split.tensors.count");
    if (expected != found)
        throw Error(path_.string() + ": the " + std::to_string(count) + " parts hold " +
                    std::to_string(found) + " tensors, split.tensors.count says " +
                    std::to_string(expected));
}

void GgufCheckpoint::indexTensors() {
    for (Part& part : parts_) {
        std::move(part.tensors.begin(), part.tensors.end(), std::back_inserter(tensors_));
        part.tensors.clear();
    }
    byName_.reserve(tensors_.size());
    for (std::size_t i = 0; i < tensors_.size(); ++i)
        if (!byName_.emplace(tensors_[i].name, i).second)
            throw Error(path_.string() + ": tensor " + inQuotes(tensors_[i].name) +
                        " appears twice");
}

std::vector<std::filesystem::path> GgufCheckpoint::files() const {
    std::vector<std::filesystem::path> out;
    for (const Part& part : parts_) out.push_back(part.file.path());
    return out;
}

std::uint64_t GgufCheckpoint::fileBytes() const noexcept {
    std::uint64_t sum = 0;
    for (const Part& part : parts_) sum += part.file.size();
    return sum;
}

std::vector<std::string_view> GgufCheckpoint::stringArray(std::string_view key) const {
    std::vector<std::string_view> out;
    const Part& keys = parts_[0];
    const auto found = keys.arrays.find(key);
    if (found == keys.arrays.end() || found->second.type != ValueType::String) return out;
    ByteCursor in(keys.file.bytes(), keys.file.path().string(), found->second.offset);
    out.reserve(found->second.count);
    for (std::uint64_t i = 0; i < found->second.count; ++i) out.push_back(in.readString(key));
    return out;
}

std::vector<double> GgufCheckpoint::numberArray(std::string_view key) const {
    std::vector<double> out;
    const Part& keys = parts_[0];
    const auto found = keys.arrays.find(key);
    if (found == keys.arrays.end() || gguf::valueBytes(found->second.type) == 0) return out;
    const ValueType type = found->second.type;
    ByteCursor in(keys.file.bytes(), keys.file.path().string(), found->second.offset);
    out.reserve(found->second.count);
    for (std::uint64_t i = 0; i < found->second.count; ++i) {
        const nlohmann::json value = readNumber(in, type, key);
        out.push_back(value.is_boolean() ? (value.get<bool>() ? 1.0 : 0.0) : value.get<double>());
    }
    return out;
}

const TensorView* GgufCheckpoint::find(std::string_view name) const noexcept {
    const auto found = byName_.find(name);
    return found == byName_.end() ? nullptr : &tensors_[found->second];
}

std::string GgufCheckpoint::identity() const {
    // Header, metadata and tensor table lie together at the start and hold all that identifies.
    Sha256 hash;
    for (const Part& part : parts_)
        hash.update({reinterpret_cast<const char*>(part.file.data()),
                     static_cast<std::size_t>(part.tableEnd)});
    return hash.hex();
}

void GgufCheckpoint::release(const TensorView& t) const noexcept {
    for (const Part& part : parts_) {
        if (!part.file.contains(t.data)) continue;
        const auto offset = static_cast<std::uint64_t>(t.data - part.file.data());
        part.file.release(offset, static_cast<std::uint64_t>(t.stackStride * (t.stack() - 1) +
                                                             t.rowStride * t.rows()));
    }
}

}  // namespace moescope
