// SPDX-License-Identifier: Apache-2.0
// Turns one activity buffer into records. A function of the bytes and the table of names: it runs
// the same on a live buffer, on a replayed capture and on a synthetic one.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "profiler/cupti/cupti_abi.h"
#include "profiler/cupti/record.h"

namespace moescope::cupti {

/// What cuptiActivityGetNextRecord does; *record is null to ask for the first.
using NextRecord = std::uint32_t (*)(std::uint8_t* buffer, std::size_t validBytes, void** record);

struct DecodeStatistics {
    std::uint64_t records = 0;
    std::uint64_t unknownKinds = 0;    ///< records of kinds that nobody asked for
    std::uint64_t undecodedBytes = 0;  ///< behind what made sense: no record, or a cut one
};

/// Bytes of a record by kind, for walking a buffer without CUPTI. 0: unknown.
constexpr std::size_t kKinds = 64;
using RecordSizes = std::array<std::uint16_t, kKinds>;
RecordSizes defaultRecordSizes() noexcept;

/// Memory is bounded by the number of distinct kernel names. Not thread-safe.
class Decoder {
public:
    /// Walks with the sizes of CUPTI 13.0, or those of the capture.
    explicit Decoder(const RecordSizes& sizes = defaultRecordSizes()) : sizes_(sizes) {}
    /// Walks with the library, which knows the sizes of its own version, and learns them.
    explicit Decoder(NextRecord next) : sizes_(defaultRecordSizes()), next_(next) {}

    /// Calls the sink once for each record, in the order of the buffer, which is no order of time.
    void decode(std::span<std::uint8_t> buffer, RecordSink& sink);

    /// In a capture, name pointers are indices into its table of strings: these. Must outlive the
    /// decoder or the next call; null: pointers are pointers.
    void setNameTable(const std::vector<std::string>* table) noexcept { table_ = table; }
    /// After a module was unloaded its names' addresses may come to hold others.
    void forgetAddresses() { byAddress_.clear(); }

    const std::string& name(std::uint32_t id) const { return names_[id]; }  ///< mangled
    std::size_t nameCount() const noexcept { return names_.size(); }
    const RecordSizes& sizes() const noexcept { return sizes_; }
    void setSizes(const RecordSizes& sizes) noexcept { sizes_ = sizes; }
    const DecodeStatistics& statistics() const noexcept { return statistics_; }

private:
    std::uint32_t step(std::span<std::uint8_t> buffer, void** record) const;
    void learnSize(const void* record, const void* following);
    bool convert(const void* record, Record& out);
    std::uint32_t intern(const char* address);
    std::uint32_t internText(std::string_view text);

    RecordSizes sizes_;
    NextRecord next_ = nullptr;
    const std::vector<std::string>* table_ = nullptr;
    std::unordered_map<const void*, std::uint32_t> byAddress_;
    std::unordered_map<std::string, std::uint32_t> byText_;
    std::vector<std::string> names_;
    DecodeStatistics statistics_;
};

/// "void moe<4>(float*)" of "_Z3moeILi4EEvPf"; the name itself when it is not mangled.
std::string demangled(const std::string& name);

}  // namespace moescope::cupti
