// SPDX-License-Identifier: Apache-2.0
#include "profiler/import/torch_file.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "engine/core/error.h"
#include "profiler/import/pickle_reader.h"
#include "profiler/import/stored_zip.h"

namespace moescope {
namespace {

using Kind = PickleValue::Kind;

struct StorageType {
    std::string_view global;
    IntegerType type;
};
constexpr std::array kIntegers{
    StorageType{"torch\nByteStorage", {1, false}}, StorageType{"torch\nCharStorage", {1, true}},
    StorageType{"torch\nShortStorage", {2, true}}, StorageType{"torch\nIntStorage", {4, true}},
    StorageType{"torch\nLongStorage", {8, true}},
};

class TorchReader {
public:
    explicit TorchReader(const MappedFile& file)
        : origin_(file.path().string()), zip_(file), folder_(folderOf(zip_)) {
        if (folder_.empty())
            throw Error(origin_ + ": no file of torch.save: the archive holds no data.pkl");
        const StoredZip::Entry* order = zip_.find(folder_ + "byteorder");
        if (order != nullptr && textOf(order->bytes) != "little")
            throw Error(origin_ + ": its tensors are of the other byte order");
        pickle_ = readPickle(zip_.find(folder_ + "data.pkl")->bytes, origin_);
    }

    std::map<std::string, TorchTensor> read() const {
        const PickleValue& root = pickle_.at(pickle_.root);
        if (root.kind != Kind::Dictionary) throw Error(origin_ + ": holds no dictionary");
        std::map<std::string, TorchTensor> out;
        for (std::size_t i = 0; i + 1 < root.items.size(); i += 2) {
            const PickleValue& key = pickle_.at(root.items[i]);
            const PickleValue& value = pickle_.at(root.items[i + 1]);
            if (key.kind != Kind::Text)
                throw Error(origin_ + ": a key of its dictionary is no text");
            const std::string name(key.text);
            out[name] = value.kind == Kind::Tensor ? tensor(name, value) : TorchTensor();
        }
        return out;
    }

private:
    static std::string_view textOf(std::span<const std::byte> bytes) {
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }

    /// The one that data.pkl is in, with the slash: torch names it after the file.
    static std::string folderOf(const StoredZip& zip) {
        constexpr std::string_view kPickle = "data.pkl";
        for (const StoredZip::Entry& entry : zip.entries()) {
            const std::size_t slash = entry.name.find('/');
            if (slash != std::string_view::npos && entry.name.substr(slash + 1) == kPickle)
                return std::string(entry.name.substr(0, slash + 1));
        }
        return {};
    }

    TorchTensor tensor(const std::string& name, const PickleValue& value) const {
        const std::string what = origin_ + ": tensor '" + name + "'";
        const PickleValue& described = pickle_.at(value.items[0]);
        const PickleValue& stored = pickle_.at(described.items[0]);
        // ('storage', type, key, location, elements)
        const PickleValue* which =
            stored.kind == Kind::Stored ? &pickle_.at(stored.items[0]) : nullptr;
        if (which == nullptr || which->kind != Kind::Tuple || which->items.size() != 5 ||
            pickle_.at(which->items[1]).kind != Kind::Global ||
            pickle_.at(which->items[2]).kind != Kind::Text)
            throw Error(what + " has no storage");
        TorchTensor out;
        const std::string_view global = pickle_.at(which->items[1]).text;
        out.typeName = global.substr(global.find('\n') + 1);
        const auto type = std::find_if(kIntegers.begin(), kIntegers.end(),
                                       [&](const StorageType& t) { return t.global == global; });
        if (type == kIntegers.end()) return out;
        out.type = type->type;
        const std::string entry = folder_ + "data/" + std::string(pickle_.at(which->items[2]).text);
        const StoredZip::Entry* data = zip_.find(entry);
        if (data == nullptr) throw Error(what + ": the archive has no '" + entry + "'");
        const std::int64_t offset = integer(described.items[1], what);
        out.shape = integers(described.items[2], what);
        const std::vector<std::int64_t> stride = integers(described.items[3], what);
        if (stride.size() != out.shape.size()) throw Error(what + " has not a stride each extent");
        const auto bytes = static_cast<std::uint64_t>(out.type.bytes);
        const std::uint64_t stores = data->bytes.size() / bytes;
        std::uint64_t elements = 1;
        for (std::size_t i = out.shape.size(); i-- > 0;) {
            const auto extent = static_cast<std::uint64_t>(out.shape[i]);
            if (extent > 1 && static_cast<std::uint64_t>(stride[i]) != elements)
                throw Error(what + " is not in C order");
            if (extent > 0 && elements > stores / extent)
                elements = stores + 1;
            else
                elements *= extent;
            if (elements > stores) break;
        }
        if (elements > stores || static_cast<std::uint64_t>(offset) > stores - elements)
            throw Error(what + " does not fit its storage of " + std::to_string(stores) +
                        " elements");
        out.bytes = data->bytes.subspan(static_cast<std::size_t>(offset) * bytes,
                                        static_cast<std::size_t>(elements * bytes));
        return out;
    }

    std::int64_t integer(std::uint32_t index, const std::string& what) const {
        const PickleValue& value = pickle_.at(index);
        if (value.kind != Kind::Integer || value.integer < 0)
            throw Error(what + ": its place or shape is no number");
        return value.integer;
    }

    std::vector<std::int64_t> integers(std::uint32_t index, const std::string& what) const {
        const PickleValue& value = pickle_.at(index);
        if (value.kind != Kind::Tuple) throw Error(what + ": its shape is no tuple");
        constexpr std::size_t kMaxDimensions = 64;  // as in torch
        if (value.items.size() > kMaxDimensions)
            throw Error(what + " is of " + std::to_string(value.items.size()) + " dimensions");
        std::vector<std::int64_t> out;
        for (const std::uint32_t item : value.items) out.push_back(integer(item, what));
        return out;
    }

    std::string origin_;
    StoredZip zip_;
    std::string folder_;
    Pickle pickle_;
};

}  // namespace

TorchFile::TorchFile(const std::filesystem::path& path)
    : file_(path), entries_(TorchReader(file_).read()) {}

}  // namespace moescope
