// SPDX-License-Identifier: Apache-2.0
#include "engine/model/binding.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>

#include "engine/core/error.h"

namespace moescope {
namespace {

using Shape = std::initializer_list<std::int64_t>;

template <typename Numbers>
std::string shapeText(const Numbers& shape) {
    std::string text = "[";
    for (const std::int64_t n : shape) {
        if (text.size() > 1) text += ", ";
        text += std::to_string(n);
    }
    return text + "]";
}

std::span<const std::int64_t> shapeOf(const TensorView& t) {
    return {t.shape.data(), static_cast<std::size_t>(t.rank)};
}

/// Row strides of a packed tensor; `cols` is a multiple of the block.
void setPackedStrides(TensorView& t) {
    const DTypeInfo& info = dtypeInfo(t.type);
    t.rowStride = t.cols() / info.blockWeights * info.blockBytes;
    t.stackStride = t.rows() * t.rowStride;
}

bool isPlainFloat32(const TensorView& t) {
    const bool aligned = reinterpret_cast<std::uintptr_t>(t.data) % alignof(float) == 0;
    const std::int64_t packed = t.cols() * static_cast<std::int64_t>(sizeof(float));
    return t.type == DType::F32 && aligned && (t.rows() == 1 || t.rowStride == packed);
}

std::string numberText(double value) {
    const bool whole = value == std::floor(value) && std::abs(value) < 1e15;
    return whole ? std::to_string(static_cast<std::int64_t>(value)) : nlohmann::json(value).dump();
}

/// " by the configuration (hidden_size 32, ..)": every key there is that a shape follows from.
std::string statedDimensions(const nlohmann::json& whole) {
    const auto text = whole.find("text_config");  // of models that see images too
    const nlohmann::json& config = text != whole.end() && text->is_object() ? *text : whole;
    constexpr std::string_view kKeys[] = {"hidden_size",
                                          "intermediate_size",
                                          "moe_intermediate_size",
                                          "num_attention_heads",
                                          "num_key_value_heads",
                                          "head_dim",
                                          "num_experts",
                                          "num_local_experts",
                                          "n_embd",
                                          "n_inner",
                                          "n_positions",
                                          "embedding_length",
                                          "feed_forward_length",
                                          "expert_feed_forward_length",
                                          "attention.head_count",
                                          "attention.head_count_kv",
                                          "attention.key_length",
                                          "expert_count",
                                          "context_length"};
    std::string prefix;
    if (const auto name = config.find("general.architecture");
        name != config.end() && name->is_string())
        prefix = name->get<std::string>() + ".";
    std::string stated;
    for (const std::string_view key : kKeys) {
        const auto found = config.find(prefix + std::string(key));
        if (found == config.end() || !found->is_number()) continue;
        stated += (stated.empty() ? " by the configuration (" : ", ") + prefix + std::string(key) +
                  " " + found->dump();
    }
    return stated.empty() ? stated : stated + ")";
}

}  // namespace

ConfigReader::ConfigReader(const nlohmann::json& object, std::string origin, std::string prefix)
    : object_(object), origin_(std::move(origin)), prefix_(std::move(prefix)) {}

void ConfigReader::fail(const std::string& cause) const {
    throw Error(origin_ + ": " + cause);
}

const nlohmann::json* ConfigReader::find(std::string_view key) const {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(prefix_ + std::string(key));
    return found == object_.end() || found->is_null() ? nullptr : &*found;
}

bool ConfigReader::has(std::string_view key) const {
    return find(key) != nullptr;
}

const nlohmann::json& ConfigReader::at(std::string_view key) const {
    const nlohmann::json* value = find(key);
    if (value == nullptr) fail("configuration key '" + prefix_ + std::string(key) + "' is missing");
    return *value;
}

double ConfigReader::number(std::string_view key, double low, double high) const {
    const nlohmann::json& value = at(key);
    const double number = value.is_number() ? value.get<double>() : std::nan("");
    if (!(number >= low && number <= high)) {
        fail("configuration key '" + prefix_ + std::string(key) + "' must be a number from " +
             numberText(low) + " to " + numberText(high));
    }
    return number;
}

double ConfigReader::numberOr(std::string_view key, double fallback, double low,
                              double high) const {
    return has(key) ? number(key, low, high) : fallback;
}

std::int32_t ConfigReader::integer(std::string_view key, std::int64_t low,
                                   std::int64_t high) const {
    const double value = number(key, static_cast<double>(low), static_cast<double>(high));
    if (value != std::floor(value)) {
        fail("configuration key '" + prefix_ + std::string(key) + "' must be a whole number");
    }
    return static_cast<std::int32_t>(value);
}

std::int32_t ConfigReader::integerOr(std::string_view key, std::int32_t fallback, std::int64_t low,
                                     std::int64_t high) const {
    return has(key) ? integer(key, low, high) : fallback;
}

bool ConfigReader::flagOr(std::string_view key, bool fallback) const {
    const nlohmann::json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) {
        fail("configuration key '" + prefix_ + std::string(key) + "' must be true or false");
    }
    return value->get<bool>();
}

std::string ConfigReader::textOr(std::string_view key, std::string_view fallback) const {
    const nlohmann::json* value = find(key);
    if (value == nullptr) return std::string(fallback);
    if (!value->is_string()) {
        fail("configuration key '" + prefix_ + std::string(key) + "' must be a string");
    }
    return value->get<std::string>();
}

ConfigReader ConfigReader::group(std::string_view key) const {
    static const nlohmann::json kEmpty = nlohmann::json::object();
    const nlohmann::json* value = find(key);
    if (value != nullptr && !value->is_object()) {
        fail("configuration key '" + prefix_ + std::string(key) + "' must be an object");
    }
    return ConfigReader(value != nullptr ? *value : kEmpty, origin_);
}

TensorBinder::TensorBinder(const Checkpoint& checkpoint, ModelWeights& weights)
    : checkpoint_(checkpoint), weights_(weights) {}

const TensorView& TensorBinder::require(const std::string& name) {
    const TensorView* t = checkpoint_.find(name);
    if (t == nullptr) {
        throw Error(checkpoint_.path().string() + ": tensor '" + name + "' is missing");
    }
    read_.insert(name);
    return *t;
}

void TensorBinder::checkShape(const TensorView& t, Shape shape) const {
    const auto found = shapeOf(t);
    if (std::equal(found.begin(), found.end(), shape.begin(), shape.end())) return;
    throw Error(checkpoint_.path().string() + ": tensor '" + t.name + "' has shape " +
                shapeText(found) + ", expected " + shapeText(shape) +
                statedDimensions(checkpoint_.config()));
}

TensorView TensorBinder::matrix(const std::string& name, Shape shape) {
    const TensorView& t = require(name);
    checkShape(t, shape);
    const DTypeInfo& info = dtypeInfo(t.type);
    if (!info.isWeight) {
        throw Error(checkpoint_.path().string() + ": tensor '" + name + "' has type " +
                    std::string(info.name) + ", which is no weight format");
    }
    if (t.cols() % info.blockWeights != 0) {
        throw Error(checkpoint_.path().string() + ": tensor '" + name + "' has rows of " +
                    std::to_string(t.cols()) + " weights, not a multiple of " +
                    std::string(info.name) + "'s block of " + std::to_string(info.blockWeights));
    }
    return t;
}

TensorView TensorBinder::stacked(const std::vector<std::string>& names, std::int64_t rows,
                                 std::int64_t cols) {
    TensorView stack = matrix(names.front(), {rows, cols});
    std::vector<const std::byte*> places;
    for (const std::string& name : names) {
        const TensorView t = matrix(name, {rows, cols});
        if (t.type != stack.type) {
            throw Error(checkpoint_.path().string() + ": tensor '" + name + "' has type " +
                        std::string(dtypeInfo(t.type).name) + ", expected " +
                        std::string(dtypeInfo(stack.type).name) + " as '" + names.front() + "'");
        }
        places.push_back(t.data);
    }
    const auto* bytes = reinterpret_cast<const std::byte*>(places.data());
    auto table = std::make_shared<std::vector<std::byte>>(
        bytes, bytes + places.size() * sizeof(const std::byte*));
    stack.rank = 3;
    stack.shape = {static_cast<std::int64_t>(names.size()), rows, cols, 1};
    stack.matrices = reinterpret_cast<const std::byte* const*>(table->data());
    weights_.owned.push_back(std::move(table));
    return stack;
}

TensorView TensorBinder::vector(const std::string& name, Shape shape) {
    TensorView t = matrix(name, shape);
    if (isPlainFloat32(t)) return t;
    std::byte* data = nullptr;
    TensorView copy = own(name, DType::F32, shape, &data);
    const auto cols = static_cast<std::size_t>(t.cols());
    std::vector<float> row(cols);
    for (std::int64_t r = 0; r < t.rows(); ++r) {
        dequantizeRow(t, 0, r, row);
        std::memcpy(data + r * copy.rowStride, row.data(), cols * sizeof(float));
    }
    return copy;
}

TensorView TensorBinder::vectorIfPresent(const std::string& name, Shape shape) {
    return has(name) ? vector(name, shape) : TensorView{};
}

const TensorView& TensorBinder::raw(const std::string& name, DType type, Shape shape) {
    const TensorView& t = require(name);
    checkShape(t, shape);
    if (t.type != type) {
        throw Error(checkpoint_.path().string() + ": tensor '" + name + "' has type " +
                    std::string(dtypeInfo(t.type).name) + ", expected " +
                    std::string(dtypeInfo(type).name));
    }
    return t;
}

TensorView TensorBinder::own(const std::string& name, DType type, Shape shape, std::byte** data) {
    TensorView t;
    t.name = name;
    t.type = type;
    t.rank = static_cast<std::int32_t>(shape.size());
    std::copy(shape.begin(), shape.end(), t.shape.begin());
    setPackedStrides(t);
    auto buffer = std::make_shared<std::vector<std::byte>>(
        static_cast<std::size_t>(t.stack() * t.stackStride));
    *data = buffer->data();
    t.data = buffer->data();
    weights_.owned.push_back(std::move(buffer));
    return t;
}

TensorView TensorBinder::transposed(const TensorView& stored, std::int64_t first, std::int64_t step,
                                    std::int64_t rows, std::int64_t cols) {
    const DTypeInfo& info = dtypeInfo(stored.type);
    if (info.blockWeights != 1) {
        throw Error(checkpoint_.path().string() + ": tensor '" + stored.name +
                    "' is stored transposed, which needs a plain type, not " +
                    std::string(info.name));
    }
    std::byte* out = nullptr;
    const std::int64_t n = stored.stack();
    TensorView copy = own(stored.name, stored.type, {n, rows, cols}, &out);
    const std::int64_t size = info.blockBytes;
    for (std::int64_t e = 0; e < n; ++e) {
        for (std::int64_t c = 0; c < cols; ++c) {
            const std::byte* row = stored.matrixData(e) + c * stored.rowStride;
            for (std::int64_t r = 0; r < rows; ++r) {
                std::memcpy(out + e * copy.stackStride + r * copy.rowStride + c * size,
                            row + (first + step * r) * size, static_cast<std::size_t>(size));
            }
        }
    }
    return stored.rank > 2 ? copy : copy.matrix(0);
}

void TensorBinder::refuseUnread(const std::string& root, std::int32_t layers) const {
    // Buffers that older exporters saved beside the weights: nothing is computed from them.
    constexpr std::string_view kBuffers[] = {".rotary_emb.inv_freq", ".attn.bias",
                                             ".attn.masked_bias", ".attn_rot_embd.weight"};
    for (const TensorView& t : checkpoint_.tensors()) {
        const std::string_view name = t.name;
        if (!name.starts_with(root) || read_.contains(name)) continue;
        if (std::any_of(std::begin(kBuffers), std::end(kBuffers),
                        [&](std::string_view end) { return name.ends_with(end); })) {
            continue;
        }
        std::int64_t layer = -1;
        std::from_chars(name.data() + root.size(), name.data() + name.size(), layer);
        throw Error(checkpoint_.path().string() + ": tensor '" + t.name + "' " +
                    (layer >= layers ? "belongs to a layer beyond the " + std::to_string(layers) +
                                           " of the configuration"
                                     : "has no place in the configured architecture"));
    }
}

TensorView rowsOf(const TensorView& t, std::int64_t begin, std::int64_t count) {
    TensorView part = t;
    if (t.rank == 1) {
        assert(dtypeInfo(t.type).blockWeights == 1);
        part.data += begin * dtypeInfo(t.type).blockBytes;
        part.shape[0] = count;
    } else {
        part.data += begin * t.rowStride;
        part.shape[static_cast<std::size_t>(t.rank - 2)] = count;
    }
    return part;
}

}  // namespace moescope
