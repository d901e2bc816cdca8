// SPDX-License-Identifier: Apache-2.0
// A large file that is written front to back and survives being interrupted at any moment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "engine/core/sha256.h"

namespace moescope {

/// The files that a PartialFile of that name writes first.
struct PartialNames {
    std::filesystem::path part, journal;
    explicit PartialNames(const std::filesystem::path& path)
        : part(path.string() + ".part"), journal(part.string() + ".journal") {}
};

/// Bytes go to PATH.part. Every 64 MiB they are synced, and then a line "<bytes> <SHA-256 of the
/// bytes since the line before>" is synced to PATH.part.journal, whose first line says what is
/// being written. Opening again with the same description continues behind the last line whose
/// bytes are what they were. PATH appears, whole, only at `finish`.
class PartialFile {
public:
    /// Opens or continues. `description`: one line; everything the content depends on. Throws Error
    /// when the folder cannot be written to, lacks the space for `totalBytes`, when another process
    /// is writing the same file, or when PATH.part is not empty and of something else, or has no
    /// journal (unless `startOver`, which empties it).
    PartialFile(std::filesystem::path path, std::string_view description, std::uint64_t totalBytes,
                bool startOver);
    /// Removes part and journal again where nothing was written.
    ~PartialFile();
    PartialFile(const PartialFile&) = delete;
    PartialFile& operator=(const PartialFile&) = delete;

    std::uint64_t written() const noexcept { return written_; }
    const std::filesystem::path& partPath() const noexcept { return names_.part; }

    void write(std::span<const std::byte> bytes);
    /// Syncs and records what is written so far.
    void record();
    /// Records, renames into place, removes the journal.
    void finish();

private:
    std::uint64_t verified(std::string_view description);
    bool intact(std::uint64_t begin, std::uint64_t end, std::string_view digest) const;
    void checkSpace(std::uint64_t totalBytes) const;
    void begin(std::string_view description);
    void salvage() noexcept;
    [[noreturn]] void fail(const std::filesystem::path& path, const std::string& cause) const;

    std::filesystem::path path_;
    PartialNames names_;
    int file_ = -1;
    int log_ = -1;
    std::uint64_t written_ = 0;
    std::uint64_t recorded_ = 0;
    std::uint64_t journalBytes_ = 0;  ///< of the journal that are kept when continuing
    Sha256 hash_;                     ///< of [recorded_, written_)
};

}  // namespace moescope
