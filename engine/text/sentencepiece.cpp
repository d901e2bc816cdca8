// SPDX-License-Identifier: Apache-2.0
// A heap of mergeable neighbours over a linked list of characters: the text is one piece, so there
// is no short case worth a path of its own.
#include "engine/text/sentencepiece.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <limits>
#include <queue>

#include "engine/core/error.h"
#include "engine/text/unicode.h"

namespace moescope::text {
namespace {

constexpr std::string_view kBlock = "\xe2\x96\x81";  // U+2581
constexpr std::size_t kLongestText = 1ULL << 30;
constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

std::uint64_t pairKey(TokenId left, TokenId right) {
    return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) |
           static_cast<std::uint32_t>(right);
}

}  // namespace

std::string spacesFromBlocks(std::string_view piece) {
    std::string out;
    out.reserve(piece.size());
    for (std::size_t pos = 0; pos < piece.size();) {
        const std::size_t block = std::min(piece.find(kBlock, pos), piece.size());
        out.append(piece.substr(pos, block - pos));
        if (block == piece.size()) break;
        out.push_back(' ');
        pos = block + kBlock.size();
    }
    return out;
}

std::optional<std::uint8_t> byteOfPiece(std::string_view piece) {
    if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return std::nullopt;
    std::uint8_t value = 0;
    const auto [end, error] = std::from_chars(piece.data() + 3, piece.data() + 5, value, 16);
    if (error != std::errc() || end != piece.data() + 5) return std::nullopt;
    return value;
}

SentencePiece::SentencePiece(const Vocabulary& vocabulary, const SentencePieceRules& rules)
    : vocabulary_(vocabulary), rules_(rules) {
    assert(rules.scores.empty() || rules.scores.size() == vocabulary.tokens.size());
    byteTokens_.fill(-1);
    byText_.reserve(vocabulary.tokens.size());
    for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
        const std::string& bytes = vocabulary.tokens[i];
        if (bytes.empty()) continue;
        if (vocabulary.kinds[i] == TokenKind::Normal)
            byText_.emplace(bytes, static_cast<TokenId>(i));
        else if (vocabulary.kinds[i] == TokenKind::Byte)
            byteTokens_[static_cast<unsigned char>(bytes[0])] = static_cast<TokenId>(i);
    }
    if (!rules.scores.empty()) return;
    byPair_.reserve(vocabulary.merges.size());
    for (std::size_t rank = 0; rank < vocabulary.merges.size(); ++rank) {
        const Merge& m = vocabulary.merges[rank];
        // A merge list must not be able to make special tokens out of ordinary text.
        if (vocabulary.kinds[static_cast<std::size_t>(m.result)] != TokenKind::Normal) continue;
        const Joined joined{-static_cast<double>(rank), m.result};
        const auto [place, added] = byPair_.emplace(pairKey(m.left, m.right), joined);
        if (!added && vocabulary.lastMergeCounts) place->second = joined;
    }
}

TokenId SentencePiece::find(std::string_view text) const {
    const auto found = byText_.find(text);
    return found == byText_.end() ? -1 : found->second;
}

SentencePiece::Joined SentencePiece::join(TokenId left, TokenId right,
                                          std::string_view text) const {
    if (!rules_.scores.empty()) {
        const TokenId id = find(text);
        return {id < 0 ? 0.0 : double{rules_.scores[static_cast<std::size_t>(id)]}, id};
    }
    if (left < 0 || right < 0) return {0, -1};
    const auto found = byPair_.find(pairKey(left, right));
    return found == byPair_.end() ? Joined{0, -1} : found->second;
}

bool SentencePiece::complete() const noexcept {
    return rules_.unknown ||
           std::none_of(byteTokens_.begin(), byteTokens_.end(), [](TokenId id) { return id < 0; });
}

void SentencePiece::fallBack(std::string_view character, std::vector<TokenId>& out) const {
    bool known = true;
    for (const char c : character) known &= byteTokens_[static_cast<unsigned char>(c)] >= 0;
    if (known)
        for (const char c : character) out.push_back(byteTokens_[static_cast<unsigned char>(c)]);
    else if (rules_.unknown)
        out.push_back(*rules_.unknown);
}

std::string SentencePiece::normalise(std::string_view text) const {
    if (rules_.metaspace) return std::string(text);
    std::string out(rules_.prefix == SpacePrefix::Always ? kBlock : "");
    out.reserve(out.size() + text.size() + text.size() / 2);
    for (const char c : text) {
        if (c == ' ')
            out.append(kBlock);
        else
            out.push_back(c);
    }
    return out;
}

void SentencePiece::encode(std::string_view normalised, bool atStart,
                           std::vector<TokenId>& out) const {
    std::string text = spacesFromBlocks(normalised);
    if (text.size() > kLongestText)
        throw Error("text: more than 1 GiB in one piece", "split the text into documents");
    const bool wanted = rules_.prefix == SpacePrefix::IfNone ||
                        (rules_.prefix == SpacePrefix::AtStartIfNone && atStart);
    if (wanted && !text.empty() && text[0] != ' ') text.insert(text.begin(), ' ');
    merge(text, out);
}

void SentencePiece::merge(std::string_view text, std::vector<TokenId>& out) const {
    struct Node {
        TokenId id;
        std::uint32_t start, length;  // bytes; length 0 once merged into the left neighbour
        std::uint32_t previous, next;
    };
    struct Candidate {
        double score;
        std::uint32_t left, right, length;
        TokenId id;
        // For a max-heap; of equal scores the leftmost goes first.
        bool operator<(const Candidate& other) const {
            return score != other.score ? score < other.score : left > other.left;
        }
    };
    std::vector<Node> nodes;
    nodes.reserve(text.size());
    for (std::size_t pos = 0; pos < text.size();) {
        const std::uint32_t length = unicode::decodeUtf8(text, pos).length;
        const auto index = static_cast<std::uint32_t>(nodes.size());
        nodes.push_back({find(text.substr(pos, length)), static_cast<std::uint32_t>(pos), length,
                         index == 0 ? kNone : index - 1, index + 1});
        pos += length;
    }
    if (nodes.empty()) return;
    nodes.back().next = kNone;
    std::priority_queue<Candidate> queue;
    const auto consider = [&](std::uint32_t left) {
        if (left == kNone || nodes[left].next == kNone) return;
        const Node& a = nodes[left];
        const Node& b = nodes[a.next];
        const std::uint32_t length = a.length + b.length;
        const Joined joined = join(a.id, b.id, text.substr(a.start, length));
        if (joined.id >= 0) queue.push({joined.score, left, a.next, length, joined.id});
    };
    for (std::uint32_t i = 0; i + 1 < nodes.size(); ++i) consider(i);
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
    for (std::uint32_t i = 0; i != kNone; i = nodes[i].next) {
        if (nodes[i].id >= 0)
            out.push_back(nodes[i].id);
        else
            fallBack(text.substr(nodes[i].start, nodes[i].length), out);
    }
}

}  // namespace moescope::text
