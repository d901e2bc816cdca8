// SPDX-License-Identifier: Apache-2.0
#include "profiler/import/stored_zip.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "engine/core/byte_cursor.h"
#include "engine/core/error.h"

namespace moescope {
namespace {

constexpr std::uint32_t kLocal = 0x04034B50, kCentral = 0x02014B50, kEnd = 0x06054B50;
constexpr std::uint32_t kEnd64 = 0x06064B50, kLocator64 = 0x07064B50;
constexpr std::uint32_t kInExtra = 0xFFFFFFFF;  ///< the field has its value in the zip64 extra
constexpr std::uint16_t kExtra64 = 1;
constexpr std::size_t kEndBytes = 22, kLocator64Bytes = 20;
constexpr std::size_t kMaxComment = 65535;
constexpr std::size_t kMaxEntries = 100'000;

/// Where the list of entries is.
struct Directory {
    std::uint64_t entries = 0, offset = 0;
};

class ZipReader {
public:
    explicit ZipReader(const MappedFile& file)
        : bytes_(file.bytes()), origin_(file.path().string()) {}

    std::vector<StoredZip::Entry> read() {
        const Directory directory = findDirectory();
        if (directory.entries > kMaxEntries)
            fail("lists " + std::to_string(directory.entries) + " entries");
        ByteCursor in = at(directory.offset, "the list of entries");
        std::vector<StoredZip::Entry> entries;
        for (std::uint64_t i = 0; i < directory.entries; ++i) entries.push_back(readEntry(in));
        return entries;
    }

private:
    [[noreturn]] void fail(const std::string& cause) const {
        throw Error(origin_ + ": damaged zip archive: " + cause);
    }

    ByteCursor at(std::uint64_t offset, const char* what) const {
        if (offset > bytes_.size()) fail(std::string(what) + " would be behind its end");
        return ByteCursor(bytes_, origin_, offset);
    }

    Directory findDirectory() const {
        const std::size_t end = findEnd();
        ByteCursor in = at(end + 8, "its end");
        in.skip(2, "its end");
        Directory out;
        out.entries = in.read<std::uint16_t>("its end");
        in.skip(4, "its end");
        out.offset = in.read<std::uint32_t>("its end");
        if (end < kLocator64Bytes) return out;
        ByteCursor locator = at(end - kLocator64Bytes, "the zip64 locator");
        if (locator.read<std::uint32_t>("the zip64 locator") != kLocator64) return out;
        locator.skip(4, "the zip64 locator");
        ByteCursor end64 = at(locator.read<std::uint64_t>("the zip64 locator"), "the zip64 end");
        if (end64.read<std::uint32_t>("the zip64 end") != kEnd64) fail("it has no zip64 end");
        end64.skip(28, "the zip64 end");
        out.entries = end64.read<std::uint64_t>("the zip64 end");
        end64.skip(8, "the zip64 end");
        out.offset = end64.read<std::uint64_t>("the zip64 end");
        return out;
    }

    /// The last 22 bytes, or before them where a comment follows.
    std::size_t findEnd() const {
        if (bytes_.size() >= kEndBytes) {
            const std::size_t last = bytes_.size() - kEndBytes;
            const std::size_t first = last - std::min(last, kMaxComment);
            for (std::size_t at = last + 1; at-- > first;) {
                std::uint32_t signature = 0;
                std::memcpy(&signature, bytes_.data() + at, sizeof signature);
                std::uint16_t comment = 0;
                std::memcpy(&comment, bytes_.data() + at + kEndBytes - 2, sizeof comment);
                if (signature == kEnd && at + kEndBytes + comment == bytes_.size()) return at;
            }
        }
        throw Error(origin_ + ": no zip archive, or a truncated one");
    }

    StoredZip::Entry readEntry(ByteCursor& in) const {
        constexpr const char* kWhat = "the list of entries";
        if (in.read<std::uint32_t>(kWhat) != kCentral) fail("an entry of its list is none");
        in.skip(4, kWhat);
        const auto flags = in.read<std::uint16_t>(kWhat);
        const auto method = in.read<std::uint16_t>(kWhat);
        in.skip(8, kWhat);
        std::uint64_t packed = in.read<std::uint32_t>(kWhat);
        std::uint64_t size = in.read<std::uint32_t>(kWhat);
        const auto nameBytes = in.read<std::uint16_t>(kWhat);
        const auto extraBytes = in.read<std::uint16_t>(kWhat);
        const auto commentBytes = in.read<std::uint16_t>(kWhat);
        in.skip(8, kWhat);
        std::uint64_t offset = in.read<std::uint32_t>(kWhat);
        const std::string_view name = text(in, nameBytes, kWhat);
        const std::uint64_t extra = in.position();
        in.skip(extraBytes, kWhat);
        readExtra64(extra, in.position(), {&size, &packed, &offset});
        in.skip(commentBytes, kWhat);
        const std::string entry = "entry '" + std::string(name) + "'";
        if ((flags & 1U) != 0) fail(entry + " is encrypted");
        if (method != 0 || packed != size)
            throw Error(origin_ + ": " + entry + " is compressed, which torch.save does not do");
        return {name, bytesOf(offset, size, entry)};
    }

    std::string_view text(ByteCursor& in, std::uint64_t length, const char* what) const {
        const std::uint64_t begin = in.position();
        in.skip(length, what);
        return {reinterpret_cast<const char*>(bytes_.data() + begin),
                static_cast<std::size_t>(length)};
    }

    /// Replaces those of the fields that say so, in the order of the format.
    void readExtra64(std::uint64_t begin, std::uint64_t end,
                     std::initializer_list<std::uint64_t*> fields) const {
        ByteCursor in(bytes_.first(static_cast<std::size_t>(end)), origin_, begin);
        while (in.remaining() >= 4) {
            const auto kind = in.read<std::uint16_t>("an extra field");
            const auto length = in.read<std::uint16_t>("an extra field");
            const std::uint64_t next = in.position() + length;
            if (kind == kExtra64) {
                for (std::uint64_t* field : fields)
                    if (*field == kInExtra) *field = in.read<std::uint64_t>("the zip64 field");
                return;
            }
            if (next > end) return;
            in.skip(length, "an extra field");
        }
    }

    std::span<const std::byte> bytesOf(std::uint64_t offset, std::uint64_t size,
                                       const std::string& entry) const {
        ByteCursor in = at(offset, "an entry");
        if (in.read<std::uint32_t>(entry) != kLocal) fail(entry + " is not where its list says");
        in.skip(22, entry);
        const auto nameBytes = in.read<std::uint16_t>(entry);
        const auto extraBytes = in.read<std::uint16_t>(entry);
        in.skip(std::uint64_t{nameBytes} + extraBytes, entry);
        const std::uint64_t begin = in.position();
        if (size > in.remaining())
            fail(entry + " has " + std::to_string(size) + " bytes, the file behind it " +
                 std::to_string(in.remaining()));
        return bytes_.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(size));
    }

    std::span<const std::byte> bytes_;
    std::string origin_;
};

}  // namespace

StoredZip::StoredZip(const MappedFile& file) : entries_(ZipReader(file).read()) {
    std::sort(entries_.begin(), entries_.end(),
              [](const Entry& a, const Entry& b) { return a.name < b.name; });
    const auto twice =
        std::adjacent_find(entries_.begin(), entries_.end(),
                           [](const Entry& a, const Entry& b) { return a.name == b.name; });
    if (twice != entries_.end())
        throw Error(file.path().string() + ": damaged zip archive: two entries are named '" +
                    std::string(twice->name) + "'");
}

const StoredZip::Entry* StoredZip::find(std::string_view name) const noexcept {
    const auto found =
        std::lower_bound(entries_.begin(), entries_.end(), name,
                         [](const Entry& entry, std::string_view key) { return entry.name < key; });
    return found != entries_.end() && found->name == name ? &*found : nullptr;
}

}  // namespace moescope
