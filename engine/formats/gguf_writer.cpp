// SPDX-License-Identifier: Apache-2.0
#include "engine/formats/gguf_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "engine/core/error.h"
#include "engine/formats/dtypes.h"

namespace moescope {
namespace {

using gguf::ValueType;

std::uint64_t aligned(std::uint64_t bytes) {
    constexpr std::uint64_t kAlign = gguf::kDefaultAlignment;
    return (bytes + kAlign - 1) / kAlign * kAlign;
}

template <typename T>
void append(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void appendString(std::string& out, std::string_view text) {
    append<std::uint64_t>(out, text.size());
    out.append(text);
}

}  // namespace

GgufWriter::GgufWriter(std::filesystem::path path) : path_(std::move(path)) {}

GgufWriter::~GgufWriter() {
    if (file_ < 0) return;
    ::close(file_);
    ::unlink(temporary_.c_str());
}

void GgufWriter::fail(const std::string& cause) const {
    throw Error(path_.string() + ": cannot write: " + cause);
}

template <typename T>
void GgufWriter::put(T value) {
    append(metadata_, value);
}

void GgufWriter::putString(std::string_view text) {
    appendString(metadata_, text);
}

void GgufWriter::beginKey(std::string_view key, ValueType type) {
    assert(file_ < 0);
    putString(key);
    put(type);
    ++keys_;
}

void GgufWriter::add(std::string_view key, std::uint32_t value) {
    beginKey(key, ValueType::U32);
    put(value);
}

void GgufWriter::add(std::string_view key, float value) {
    beginKey(key, ValueType::F32);
    put(value);
}

void GgufWriter::add(std::string_view key, bool value) {
    beginKey(key, ValueType::Bool);
    put<std::uint8_t>(value ? 1 : 0);
}

void GgufWriter::add(std::string_view key, std::string_view value) {
    beginKey(key, ValueType::String);
    putString(value);
}

void GgufWriter::add(std::string_view key, std::span<const std::string> values) {
    beginKey(key, ValueType::Array);
    put(ValueType::String);
    put<std::uint64_t>(values.size());
    for (const std::string& value : values) putString(value);
}

void GgufWriter::add(std::string_view key, std::span<const std::int32_t> values) {
    beginKey(key, ValueType::Array);
    put(ValueType::I32);
    put<std::uint64_t>(values.size());
    for (const std::int32_t value : values) put(value);
}

void GgufWriter::add(std::string_view key, std::span<const float> values) {
    beginKey(key, ValueType::Array);
    put(ValueType::F32);
    put<std::uint64_t>(values.size());
    for (const float value : values) put(value);
}

void GgufWriter::addRecord(std::span<const std::byte> record) {
    assert(file_ < 0);
    metadata_.append(reinterpret_cast<const char*>(record.data()), record.size());
    ++keys_;
}

void GgufWriter::addTensor(std::string name, DType type, std::span<const std::int64_t> shape) {
    assert(file_ < 0 && !shape.empty() && shape.size() <= gguf::kMaxRank && gguf::typeId(type));
    const auto row = rowBytes(type, shape.back());
    assert(row.has_value());
    std::uint64_t bytes = static_cast<std::uint64_t>(row.value_or(0));
    for (const std::int64_t extent : shape.first(shape.size() - 1)) {
        bytes *= static_cast<std::uint64_t>(extent);
    }
    tensors_.push_back({std::move(name), type, {shape.begin(), shape.end()}, bytes});
}

std::string GgufWriter::tables() const {
    std::string out;
    append(out, gguf::kMagic);
    append(out, gguf::kVersion);
    append<std::uint64_t>(out, tensors_.size());
    append<std::uint64_t>(out, keys_);
    out += metadata_;
    std::uint64_t offset = 0;
    for (const Pending& t : tensors_) {
        appendString(out, t.name);
        append(out, static_cast<std::uint32_t>(t.shape.size()));
        for (auto extent = t.shape.rbegin(); extent != t.shape.rend(); ++extent) {
            append(out, static_cast<std::uint64_t>(*extent));  // innermost first
        }
        append(out, gguf::typeId(t.type).value_or(0));
        append(out, offset);
        offset += aligned(t.bytes);
    }
    out.resize(aligned(out.size()), '\0');
    return out;
}

std::uint64_t GgufWriter::fileBytes() const {
    std::uint64_t bytes = tables().size();
    for (const Pending& t : tensors_) bytes += aligned(t.bytes);
    return bytes;
}

void GgufWriter::checkSpace() const {
    std::error_code code;
    const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
    const auto space = std::filesystem::space(folder, code);
    const std::uint64_t needed = fileBytes();
    if (code || space.available >= needed) return;
    throw Error(path_.string() + ": needs " + std::to_string(needed) + " bytes, " +
                folder.string() + " has " + std::to_string(space.available) + " free");
}

void GgufWriter::begin() {
    assert(file_ < 0);
    if (path_.has_parent_path()) {
        std::error_code code;
        std::filesystem::create_directories(path_.parent_path(), code);
        if (code) {
            throw Error(path_.parent_path().string() + ": cannot create folder: " + code.message());
        }
    }
    // The rename would replace a device or a pipe by a regular file.
    if (std::filesystem::exists(path_) && !std::filesystem::is_regular_file(path_))
        fail("not a regular file");
    checkSpace();
    temporary_ = path_.string() + ".XXXXXX";
    file_ = ::mkstemp(temporary_.data());
    if (file_ < 0) fail(std::strerror(errno));
    const std::string start = tables();
    writeAll(start.data(), start.size());
}

void GgufWriter::writeAll(const void* data, std::size_t bytes) {
    const char* next = static_cast<const char*>(data);
    written_ += bytes;
    while (bytes > 0) {
        const ssize_t put = ::write(file_, next, bytes);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) fail(std::strerror(errno));
        next += put;
        bytes -= static_cast<std::size_t>(put);
    }
}

void GgufWriter::pad() {
    static constexpr std::array<char, gguf::kDefaultAlignment> kZeros{};
    writeAll(kZeros.data(), aligned(written_) - written_);
}

void GgufWriter::write(std::span<const std::byte> bytes) {
    assert(file_ >= 0 && current_ < tensors_.size());
    assert(bytes.size() <= tensors_[current_].bytes - inTensor_);
    writeAll(bytes.data(), bytes.size());
    inTensor_ += bytes.size();
    if (inTensor_ < tensors_[current_].bytes) return;
    pad();
    ++current_;
    inTensor_ = 0;
}

void GgufWriter::finish() {
    assert(file_ >= 0 && current_ == tensors_.size());
    const mode_t mask = ::umask(0);
    ::umask(mask);
    if (::fchmod(file_, 0666 & ~mask) != 0) fail(std::strerror(errno));
    if (::fsync(file_) != 0 && errno != EINVAL) fail(std::strerror(errno));
    // Renamed while still open: should the rename fail, the destructor removes the temporary file.
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail(std::strerror(errno));
    ::close(std::exchange(file_, -1));
}

}  // namespace moescope
