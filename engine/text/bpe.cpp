// SPDX-License-Identifier: Apache-2.0
// Merging: a linear scan for the short pieces that make up text, a heap over a linked list for long
// ones, so that a megabyte of one letter does not take quadratic time.
#include "engine/text/bpe.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <queue>

#include "engine/core/error.h"

namespace moescope::text {
namespace {

constexpr std::size_t kShortPiece = 48;  // bytes; above this the heap wins
constexpr std::size_t kLongestPiece = 1ULL << 30;
constexpr std::uint32_t kNoRank = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
enum WholeState : std::uint8_t { kUnknown, kWhole, kSplit };

std::uint64_t pairKey(TokenId left, TokenId right) {
    return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) |
           static_cast<std::uint32_t>(right);
}

unsigned char byteOf(char c) {
    return static_cast<unsigned char>(c);
}

}  // namespace

Bpe::Bpe(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
    assert(vocabulary.tokens.size() == vocabulary.kinds.size());
    const std::size_t count = vocabulary.tokens.size();
    byteTokens_.fill(-1);
    byBytes_.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        const std::string& bytes = vocabulary.tokens[i];
        if (vocabulary.kinds[i] != TokenKind::Normal || bytes.empty()) continue;
        byBytes_.emplace(bytes, static_cast<TokenId>(i));  // of two equal tokens the first counts
        if (bytes.size() == 1 && byteTokens_[byteOf(bytes[0])] < 0)
            byteTokens_[byteOf(bytes[0])] = static_cast<TokenId>(i);
    }
    if (!vocabulary.ranksAreIds) byPair_.reserve(vocabulary.merges.size());
    for (std::size_t rank = 0; !vocabulary.ranksAreIds && rank < vocabulary.merges.size(); ++rank) {
        const Merge& m = vocabulary.merges[rank];
        // A merge list must not be able to make special tokens out of ordinary text.
        if (vocabulary.kinds[static_cast<std::size_t>(m.result)] != TokenKind::Normal) continue;
        const Joined joined{static_cast<std::uint32_t>(rank), m.result};
        const auto [place, added] = byPair_.emplace(pairKey(m.left, m.right), joined);
        if (!added && vocabulary.lastMergeCounts) place->second = joined;
    }
    wholeState_ = std::make_unique<std::atomic<std::uint8_t>[]>(count);
}

std::optional<TokenId> Bpe::find(std::string_view bytes) const {
    const auto found = byBytes_.find(bytes);
    if (found == byBytes_.end()) return std::nullopt;
    return found->second;
}

/// The symbol that a byte begins as; -1: none.
TokenId Bpe::initial(char byte) const {
    const TokenId id = byteTokens_[byteOf(byte)];
    return id < 0 ? vocabulary_.unknown.value_or(-1) : id;
}

/// Whether the byte at `at` belongs to the unknown symbol of the one before it.
bool Bpe::fuses(std::string_view piece, std::size_t at) const {
    return at > 0 && vocabulary_.unknown && vocabulary_.fuseUnknown &&
           byteTokens_[byteOf(piece[at])] < 0 && byteTokens_[byteOf(piece[at - 1])] < 0;
}

Bpe::Joined Bpe::join(TokenId left, TokenId right, std::string_view bytes) const {
    if (left < 0 || right < 0) return {kNoRank, -1};
    if (vocabulary_.ranksAreIds) {
        const auto found = byBytes_.find(bytes);
        if (found == byBytes_.end()) return {kNoRank, -1};
        return {static_cast<std::uint32_t>(found->second), found->second};
    }
    const auto found = byPair_.find(pairKey(left, right));
    return found == byPair_.end() ? Joined{kNoRank, -1} : found->second;
}

bool Bpe::mergesToItself(TokenId id) const {
    auto& state = wholeState_[static_cast<std::size_t>(id)];
    std::uint8_t known = state.load(std::memory_order_relaxed);
    if (known == kUnknown) {
        std::vector<TokenId> merged;
        merge(vocabulary_.tokens[static_cast<std::size_t>(id)], merged);
        known = merged.size() == 1 && merged[0] == id ? kWhole : kSplit;
        state.store(known, std::memory_order_relaxed);  // every thread computes the same
    }
    return known == kWhole;
}

void Bpe::encode(std::string_view piece, std::vector<TokenId>& out) const {
    if (piece.empty()) return;
    const auto whole = byBytes_.find(piece);
    if (whole != byBytes_.end() && (vocabulary_.ignoreMerges || mergesToItself(whole->second))) {
        out.push_back(whole->second);
        return;
    }
    merge(piece, out);
}

void Bpe::merge(std::string_view piece, std::vector<TokenId>& out) const {
    if (piece.size() <= kShortPiece) return mergeShort(piece, out);
    if (piece.size() > kLongestPiece)
        throw Error("text: one word of more than 1 GiB", "split the text into documents");
    mergeLong(piece, out);
}

void Bpe::mergeShort(std::string_view piece, std::vector<TokenId>& out) const {
    struct Symbol {
        std::uint32_t start;
        TokenId id;
        Joined next;  // with the symbol to the right
    };
    std::array<Symbol, kShortPiece + 1> symbols;
    std::size_t count = 0;
    const auto joinAt = [&](std::size_t i) {
        if (i + 1 >= count) return Joined{kNoRank, -1};
        const std::size_t end = i + 2 < count ? symbols[i + 2].start : piece.size();
        return join(symbols[i].id, symbols[i + 1].id,
                    piece.substr(symbols[i].start, end - symbols[i].start));
    };
    for (std::size_t i = 0; i < piece.size(); ++i)
        if (!fuses(piece, i))
            symbols[count++] = {static_cast<std::uint32_t>(i), initial(piece[i]), {kNoRank, -1}};
    for (std::size_t i = 0; i < count; ++i) symbols[i].next = joinAt(i);
    while (count > 1) {
        std::size_t best = 0;
        for (std::size_t i = 1; i + 1 < count; ++i)
            if (symbols[i].next.rank < symbols[best].next.rank) best = i;
        if (symbols[best].next.id < 0) break;
        symbols[best].id = symbols[best].next.id;
        std::copy(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 2,
                  symbols.begin() + static_cast<std::ptrdiff_t>(count),
                  symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
        --count;
        symbols[best].next = joinAt(best);
        if (best > 0) symbols[best - 1].next = joinAt(best - 1);
    }
    for (std::size_t i = 0; i < count; ++i)
        if (symbols[i].id >= 0) out.push_back(symbols[i].id);
}

void Bpe::mergeLong(std::string_view piece, std::vector<TokenId>& out) const {
    struct Node {
        TokenId id;
        std::uint32_t length;  // bytes; 0 once merged into its left neighbour
        std::uint32_t previous, next;
    };
    struct Candidate {
        std::uint32_t rank, left, right, length;
        TokenId id;
        // For a min-heap; of equal ranks the leftmost goes first.
        bool operator<(const Candidate& other) const {
            return rank != other.rank ? rank > other.rank : left > other.left;
        }
    };
    const auto size = static_cast<std::uint32_t>(piece.size());
    std::vector<Node> nodes(size);  // indexed by the byte a symbol starts at
    std::uint32_t last = kNone;
    for (std::uint32_t i = 0; i < size; ++i) {
        if (fuses(piece, i)) {
            ++nodes[last].length;
            continue;
        }
        nodes[i] = {initial(piece[i]), 1, last, kNone};
        if (last != kNone) nodes[last].next = i;
        last = i;
    }
    std::priority_queue<Candidate> queue;
    const auto consider = [&](std::uint32_t left) {
        if (left == kNone || nodes[left].next == kNone) return;
        const std::uint32_t right = nodes[left].next;
        const std::uint32_t length = nodes[left].length + nodes[right].length;
        const Joined joined = join(nodes[left].id, nodes[right].id, piece.substr(left, length));
        if (joined.id >= 0) queue.push({joined.rank, left, right, length, joined.id});
    };
    for (std::uint32_t i = 0; i != kNone; i = nodes[i].next) consider(i);
    while (!queue.empty()) {
        const Candidate c = queue.top();
        queue.pop();
        Node& left = nodes[c.left];
        Node& right = nodes[c.right];
        // Symbols only grow, so equal neighbours and equal length mean nothing has changed.
        const bool current = left.length > 0 && right.length > 0 && left.next == c.right &&
                             left.length + right.length == c.length;
        if (!current) continue;
        left.id = c.id;
        left.length = c.length;
        left.next = right.next;
        right.length = 0;
        if (left.next != kNone) nodes[left.next].previous = c.left;
        consider(left.previous);
        consider(c.left);
    }
    for (std::uint32_t i = 0; i != kNone; i = nodes[i].next)
        if (nodes[i].id >= 0) out.push_back(nodes[i].id);
}

}  // namespace moescope::text
