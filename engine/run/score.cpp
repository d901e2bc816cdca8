// SPDX-License-Identifier: Apache-2.0
#include "engine/run/score.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "engine/core/error.h"

namespace moescope {
namespace {

/// Fewer tokens are evaluated again rather than marked.
constexpr std::size_t kWorthMarking = 8;

std::size_t commonLength(std::span<const TokenId> a, std::span<const TokenId> b) {
    const auto differs = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    return static_cast<std::size_t>(differs.first - a.begin());
}

std::vector<TokenId> likeliest(std::span<const float> logits, std::size_t n) {
    std::vector<TokenId> ids(logits.size());
    std::iota(ids.begin(), ids.end(), 0);
    const auto before = [&](TokenId a, TokenId b) {
        const float x = logits[static_cast<std::size_t>(a)];
        const float y = logits[static_cast<std::size_t>(b)];
        return x > y || (x == y && a < b);
    };
    const auto middle = ids.begin() + static_cast<std::ptrdiff_t>(n);
    std::partial_sort(ids.begin(), middle, ids.end(), before);
    ids.erase(middle, ids.end());
    return ids;
}

std::int32_t rankOf(std::span<const float> logits, std::size_t token) {
    const float own = logits[token];
    std::int32_t rank = 1;
    for (std::size_t i = 0; i < token; ++i) rank += logits[i] >= own;
    for (std::size_t i = token + 1; i < logits.size(); ++i) rank += logits[i] > own;
    return rank;
}

}  // namespace

TokenFinding examine(std::span<const float> logits, TokenId token, int top) {
    const auto own = static_cast<std::size_t>(token);
    if (token < 0 || own >= logits.size()) {
        throw Error("token id " + std::to_string(token) + " is outside the vocabulary of " +
                    std::to_string(logits.size()));
    }
    TokenFinding finding;
    finding.logProbability = logProbability(logits, token);
    finding.likeliest = mostLikely(logits);
    finding.rank = rankOf(logits, own);
    finding.logitsHash = logitsHash(logits);
    if (top <= 0) return finding;
    // log softmax of two tokens differs as their logits do.
    const double base = finding.logProbability - static_cast<double>(logits[own]);
    const std::size_t wanted = std::min(static_cast<std::size_t>(top), logits.size());
    for (const TokenId id : likeliest(logits, wanted))
        finding.top.push_back(
            {id, base + static_cast<double>(logits[static_cast<std::size_t>(id)])});
    return finding;
}

std::uint64_t combinedHash(std::span<const TokenFinding> findings) noexcept {
    std::uint64_t hash = logitsHash({});
    for (const TokenFinding& f : findings) hash = (hash ^ f.logitsHash) * 0x100000001B3ULL;
    return hash;
}

SequenceScorer::SequenceScorer(Session& session, std::vector<ScoreSequence> sequences,
                               Options options)
    : session_(session),
      sequences_(std::move(sequences)),
      options_(options),
      order_(sequences_.size()),
      place_(sequences_.size()),
      common_(sequences_.size(), 0),
      lessCommon_(sequences_.size(), sequences_.size()) {
    for (const ScoreSequence& s : sequences_)
        if (s.reportFrom < 1 || s.reportFrom >= s.tokens.size())
            throw Error("there are no tokens to score");
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::stable_sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
        return sequences_[a].tokens < sequences_[b].tokens;
    });
    for (std::size_t k = order_.size(); k > 0;) {
        --k;
        place_[order_[k]] = k;
        if (k + 1 < order_.size())
            common_[k] =
                commonLength(sequences_[order_[k]].tokens, sequences_[order_[k + 1]].tokens);
        std::size_t next = k + 1;
        while (next < order_.size() && common_[next] >= common_[k]) next = lessCommon_[next];
        lessCommon_[k] = next;
    }
}

/// The first token whose logits are asked for and not known yet; the sequence's length: none is.
std::size_t SequenceScorer::firstNeeded(const ScoreSequence& sequence, std::size_t common,
                                        bool visited) const {
    for (std::size_t i = sequence.reportFrom; i < sequence.tokens.size(); ++i)
        if (visited || i >= common || !known_[i].found) return i;
    return sequence.tokens.size();
}

/// Where the sequences behind `index` in the order will part from it.
std::vector<std::size_t> SequenceScorer::cuts(std::size_t index, std::size_t begin) const {
    std::vector<std::size_t> cuts;
    if (!options_.share) return cuts;
    for (std::size_t k = place_[index]; k < order_.size(); k = lessCommon_[k])
        if (common_[k] >= begin + kWorthMarking && common_[k] < sequences_[index].tokens.size())
            cuts.push_back(common_[k]);
    std::reverse(cuts.begin(), cuts.end());
    return cuts;
}

/// `logits` predict tokens[index].
void SequenceScorer::report(const ScoreSequence& sequence, std::size_t index,
                            std::span<const float> logits, const LogitsVisitor& visit) {
    if (index < sequence.reportFrom) return;
    Known& known = known_[index];
    if (!known.found) known = {true, examine(logits, sequence.tokens[index], options_.top)};
    if (visit) visit(index, logits);
}

void SequenceScorer::evaluate(const ScoreSequence& sequence, std::size_t begin, std::size_t end,
                              const LogitsVisitor& visit) {
    const std::span<const TokenId> tokens(sequence.tokens);
    // Logits after token i predict token i + 1; those that nobody asked for cost a head each.
    const std::size_t quiet = std::clamp(sequence.reportFrom - 1, begin, end);
    if (quiet > begin) {
        const auto logits =
            session_.append(tokens.subspan(begin, quiet - begin), StepKind::Prefill);
        latest_.assign(logits.begin(), logits.end());
    }
    if (end == quiet) return;
    session_.append(tokens.subspan(quiet, end - quiet), [&](int i, std::span<const float> logits) {
        const std::size_t predicted = quiet + static_cast<std::size_t>(i) + 1;
        report(sequence, predicted, logits, visit);
        if (predicted == end) latest_.assign(logits.begin(), logits.end());
    });
}

std::vector<TokenFinding> SequenceScorer::score(std::size_t index, const LogitsVisitor& visit) {
    const ScoreSequence& sequence = sequences_[index];
    const std::size_t last = sequence.tokens.size() - 1;  // predicted, never evaluated
    // What is held is good to go on from only when all goes well.
    std::vector<Held> held = std::exchange(held_, {});
    const std::size_t common =
        options_.share ? commonLength(std::exchange(path_, {}), sequence.tokens) : 0;
    known_.resize(common);
    known_.resize(sequence.tokens.size());
    const std::size_t needed = firstNeeded(sequence, common, static_cast<bool>(visit));
    std::size_t at = last;
    if (needed <= last) {
        const std::size_t reuse = std::min(common, needed);
        while (!held.empty() && static_cast<std::size_t>(held.back().mark.position()) > reuse)
            held.pop_back();
        if (held.empty()) {
            session_.beginSequence(static_cast<std::int64_t>(index));
            at = 0;
        } else {
            session_.beginSequence(static_cast<std::int64_t>(index), held.back().mark);
            at = static_cast<std::size_t>(held.back().mark.position());
            if (at == needed) report(sequence, at, held.back().logits, visit);
        }
        evaluated_ += last - at;
        const std::size_t begin = at;
        for (const std::size_t cut : cuts(index, begin)) {
            evaluate(sequence, at, std::min(cut, last), visit);
            at = std::min(cut, last);
            if (at == cut) held.push_back({session_.mark(), latest_});
        }
        evaluate(sequence, at, last, visit);
        at = begin;
    }
    shared_ += at;
    path_ = sequence.tokens;
    held_ = std::move(held);
    std::vector<TokenFinding> findings;
    for (std::size_t i = sequence.reportFrom; i <= last; ++i) findings.push_back(known_[i].finding);
    return findings;
}

}  // namespace moescope
