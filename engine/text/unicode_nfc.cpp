// SPDX-License-Identifier: Apache-2.0
// Normalization Form C: decompose, order marks, compose (Unicode Standard Annex 15, and
// chapter 3.12 for Hangul syllables, which are arithmetic).
#include <algorithm>
#include <unordered_map>
#include <vector>

#include "engine/text/unicode.h"
#include "engine/text/unicode_tables.h"

namespace moescope::unicode {
namespace {

constexpr char32_t kSBase = 0xAC00, kLBase = 0x1100, kVBase = 0x1161, kTBase = 0x11A7;
constexpr char32_t kLCount = 19, kVCount = 21, kTCount = 28, kNCount = kVCount * kTCount;
constexpr char32_t kSCount = kLCount * kNCount;

// U+0300 is the lowest code point that is not its own NFC; it is written CC 80.
constexpr unsigned char kFirstUnstableByte = 0xCC;

struct Mark {
    char32_t codePoint;
    std::uint8_t combining;
};

class Tables {
public:
    Tables() {
        char32_t codePoint = 0;
        for (std::size_t i = 0; i < kCombiningCount; ++i) {
            const ValueRun& run = kCombiningTable[i];
            for (std::uint32_t k = 0; run.value != 0 && k < run.length; ++k)
                combining_.emplace(codePoint + k, run.value);
            codePoint += run.length;
        }
        for (std::size_t i = 0; i < kDecompositionCount; ++i) {
            const Decomposition& d = kDecompositionTable[i];
            if (d.composes != 0) composed_.emplace(pairKey(d.first, d.second), d.codePoint);
        }
    }

    std::uint8_t combining(char32_t c) const {
        if (c < 0x300) return 0;
        const auto found = combining_.find(c);
        return found == combining_.end() ? std::uint8_t{0} : found->second;
    }

    /// 0 when the two do not compose.
    char32_t compose(char32_t a, char32_t b) const {
        if (a >= kLBase && a < kLBase + kLCount && b >= kVBase && b < kVBase + kVCount)
            return kSBase + ((a - kLBase) * kVCount + (b - kVBase)) * kTCount;
        if (a >= kSBase && a < kSBase + kSCount && (a - kSBase) % kTCount == 0 && b > kTBase &&
            b < kTBase + kTCount)
            return a + (b - kTBase);
        const auto found = composed_.find(pairKey(a, b));
        return found == composed_.end() ? U'\0' : found->second;
    }

private:
    static std::uint64_t pairKey(char32_t a, char32_t b) {
        return (static_cast<std::uint64_t>(a) << 32) | b;
    }
    std::unordered_map<char32_t, std::uint8_t> combining_;
    std::unordered_map<std::uint64_t, char32_t> composed_;
};

const Tables& tables() {
    static const Tables instance;
    return instance;
}

const Decomposition* findDecomposition(char32_t c) {
    const auto* end = kDecompositionTable + kDecompositionCount;
    const auto* found = std::lower_bound(
        kDecompositionTable, end, c,
        [](const Decomposition& d, char32_t value) { return d.codePoint < value; });
    return found != end && found->codePoint == c ? found : nullptr;
}

void decompose(char32_t c, std::vector<Mark>& out) {
    if (c >= kSBase && c < kSBase + kSCount) {
        const char32_t s = c - kSBase;
        out.push_back({kLBase + s / kNCount, 0});
        out.push_back({kVBase + s % kNCount / kTCount, 0});
        if (s % kTCount != 0) out.push_back({kTBase + s % kTCount, 0});
        return;
    }
    const Decomposition* d = c < 0xC0 ? nullptr : findDecomposition(c);
    if (d == nullptr) {
        out.push_back({c, tables().combining(c)});
        return;
    }
    decompose(d->first, out);  // the tables nest at most four deep
    if (d->second != 0) decompose(d->second, out);
}

/// Sorts every run of combining marks by class; equal classes keep their order.
void orderMarks(std::vector<Mark>& chars) {
    for (auto run = chars.begin(); run != chars.end();) {
        if (run->combining == 0) {
            ++run;
            continue;
        }
        const auto end =
            std::find_if(run, chars.end(), [](const Mark& m) { return m.combining == 0; });
        std::stable_sort(run, end,
                         [](const Mark& a, const Mark& b) { return a.combining < b.combining; });
        run = end;
    }
}

/// In place; returns the new length.
std::size_t compose(std::vector<Mark>& chars) {
    constexpr std::size_t kNone = static_cast<std::size_t>(-1);
    std::size_t starter = kNone;
    std::size_t out = 0;
    for (std::size_t i = 0; i < chars.size(); ++i) {
        const Mark current = chars[i];
        if (starter != kNone) {
            // Blocked when a character kept since the starter has an equal or higher class, or is
            // itself a starter.
            const bool adjacent = out == starter + 1;
            const std::uint8_t last = chars[out - 1].combining;
            const bool open = adjacent || (last != 0 && last < current.combining);
            const char32_t joined =
                open ? tables().compose(chars[starter].codePoint, current.codePoint) : U'\0';
            if (joined != 0) {
                chars[starter].codePoint = joined;
                continue;
            }
        }
        if (current.combining == 0) starter = out;
        chars[out++] = current;
    }
    return out;
}

}  // namespace

std::string toNfc(std::string_view text) {
    const bool stable = std::all_of(text.begin(), text.end(), [](char c) {
        return static_cast<unsigned char>(c) < kFirstUnstableByte;
    });
    if (stable) return std::string(text);
    std::vector<Mark> chars;
    chars.reserve(text.size());
    for (std::size_t pos = 0; pos < text.size();) {
        const Decoded next = decodeUtf8(text, pos);
        decompose(next.codePoint, chars);
        pos += next.length;
    }
    orderMarks(chars);
    chars.resize(compose(chars));
    std::string out;
    out.reserve(text.size());
    for (const Mark& c : chars) appendUtf8(out, c.codePoint);
    return out;
}

}  // namespace moescope::unicode
