// SPDX-License-Identifier: Apache-2.0
#include "engine/run/score.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

#include "engine/run/cache_memory.h"
#include "engine/run/logits.h"
#include "engine/run/memory.h"

namespace moescope {
namespace {

using Clock = std::chrono::steady_clock;

/// Caches that a step may begin, where there is memory for them.
constexpr std::size_t kMostRuns = 128;
constexpr std::uint64_t kNoBound = std::numeric_limits<std::uint64_t>::max();

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

TokenFinding briefly(const LogitsSummary& summary, std::span<const float> logits, TokenId token) {
    TokenFinding finding;
    finding.logProbability = logProbability(summary, logits[static_cast<std::size_t>(token)]);
    finding.likeliest = summary.likeliest;
    return finding;
}

TokenFinding findingOf(const TokenAnswer& answer) {
    if (answer.likeliest < 0) throw notFinite();
    TokenFinding finding;
    finding.logProbability =
        logProbability({answer.largest, answer.logSum, answer.likeliest}, answer.own);
    finding.likeliest = answer.likeliest;
    finding.rank = answer.rank;
    finding.logitsHash = answer.logitsHash;
    return finding;
}

void checkSequence(const ScoreSequence& s, int maxContext) {
    if (s.reportFrom < 1 || s.reportFrom >= s.tokens.size())
        throw Error("there are no tokens to score");
    if (s.tokens.size() - 1 > static_cast<std::size_t>(maxContext))
        throw Error("the context of " + std::to_string(maxContext) + " tokens is too short for " +
                        std::to_string(s.tokens.size() - 1),
                    "use a larger --context");
}

}  // namespace

TokenFinding examine(std::span<const float> logits, TokenId token, int top) {
    const auto own = static_cast<std::size_t>(token);
    if (token < 0 || own >= logits.size()) {
        throw Error("token id " + std::to_string(token) + " is outside the vocabulary of " +
                    std::to_string(logits.size()));
    }
    TokenFinding finding = briefly(summarize(logits), logits, token);
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
    for (const TokenFinding& f : findings) hash = addHash(hash, f.logitsHash);
    return hash;
}

/// One call of score(): fills steps with the plan's nodes, one behind the other.
class BatchScorer::Call final : public RoutingSink {
public:
    Call(BatchScorer& owner, std::span<const ScoreSequence> sequences, const Done& done,
         const LogitsVisitor& visit)
        : owner_(owner),
          sequences_(sequences),
          done_(done),
          visit_(visit),
          findings_(sequences.size()),
          durations_(sequences.size(), 0.0) {
        std::vector<int> lineage;
        for (const Evaluated& e : owner.held_) lineage.resize(e.end, e.lineage);
        plan_ = planScoring(sequences, {owner.options_.share, owner.pass_.backend().maxLineage(),
                                        owner.heldTokens_, lineage});
        nodes_.resize(plan_.nodes.size());
        // What nobody goes on from is in the way of what is to come; hold() would let go of it.
        const auto goesOn = [](const ScorePlan::Node& n) { return n.parent == ScorePlan::kHeld; };
        if (!plan_.nodes.empty() && std::ranges::none_of(plan_.nodes, goesOn)) owner_.forget();
    }

    ~Call() override { owner_.pass_.setRouting(nullptr); }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    void run() {
        owner_.pass_.setRouting(owner_.routing_ != nullptr ? this : nullptr);
        while (next_ < nodes_.size()) {
            throwIfStopped(owner_.stop_);
            const Clock::time_point start = Clock::now();
            fillStep();
            const Piece& first = pieces_.front();
            const StepInfo info{sequence(plan_.nodes[first.node].first).label, StepKind::Prefill,
                                static_cast<std::int32_t>(first.begin),
                                static_cast<std::int32_t>(tokens_.size())};
            owner_.pass_.step(info, tokens_, runs_, [this] { examineRows(); });
            owner_.evaluated_ += tokens_.size();
            shareOut(Clock::now() - start);
            deliver();
            release();
        }
        hold();
    }

    void onRouting(const StepInfo&, int layer, int topK, std::span<const std::int32_t> experts,
                   std::span<const float> weights) override {
        const auto k = static_cast<std::size_t>(topK);
        for (const Piece& piece : pieces_) {
            const std::size_t count = (piece.end - piece.begin) * k;
            const auto e = experts.subspan(piece.offset * k, count);
            const auto w = weights.subspan(piece.offset * k, count);
            tell(piece.node, layer, topK, piece.begin, e, w);
            if (!owner_.options_.share) continue;
            auto& routed = nodes_[piece.node].routed;
            routed.resize(static_cast<std::size_t>(owner_.pass_.spec().nLayer));
            RoutedLayer& kept = routed[static_cast<std::size_t>(layer)];
            kept.experts.insert(kept.experts.end(), e.begin(), e.end());
            kept.weights.insert(kept.weights.end(), w.begin(), w.end());
        }
    }

private:
    /// Tokens [begin, end) of a node, at `offset` within the step.
    struct Piece {
        std::size_t node, begin, end, offset;
    };
    /// A position of a piece whose logits are asked for.
    struct Row {
        std::size_t node, position;
    };

    const ScoreSequence& sequence(std::size_t k) const { return sequences_[plan_.order[k]]; }

    void fillStep() {
        pieces_.clear();
        tokens_.clear();
        runs_.clear();
        const auto room = static_cast<std::size_t>(owner_.pass_.maxBatch());
        const auto most =
            std::min(kMostRuns, static_cast<std::size_t>(owner_.pass_.backend().maxRuns()));
        const Backend& backend = owner_.pass_.backend();
        std::uint64_t device = deviceRoomForCaches(backend);
        // A device's caches take none of the host's.
        std::uint64_t host = device == kNoBound ? hostRoom() : kNoBound;
        while (next_ < nodes_.size() && tokens_.size() < room && runs_.size() < most) {
            const ScorePlan::Node& node = plan_.nodes[next_];
            if (nodes_[next_].cache == nullptr) {
                const CacheShape shape = shapeOf(next_);
                const std::uint64_t there = backend.deviceCacheBytes(shape);
                const std::uint64_t here = backend.cacheBytes(shape);
                // The caches of this step are freed first.
                if ((there > device || here > host) && !runs_.empty()) break;
                if (here > host) requireCacheMemory(backend, shape, 1);
                device -= std::min(device, there);
                host -= std::min(host, here);
                begin(next_, shape);
            }
            Evaluated& own = nodes_[next_];
            const std::size_t count = std::min(room - tokens_.size(), node.end - own.end);
            const auto source = std::span(sequence(node.first).tokens).subspan(own.end, count);
            pieces_.push_back({next_, own.end, own.end + count, tokens_.size()});
            runs_.push_back({own.cache.get(), static_cast<int>(own.end), static_cast<int>(count)});
            tokens_.insert(tokens_.end(), source.begin(), source.end());
            own.end += count;
            if (own.end == node.end) ++next_;
        }
    }

    /// Bytes that new caches may take. Pages of a cache count as taken when they are written, so
    /// what is still to be written of the one that is begun is taken off.
    std::uint64_t hostRoom() const {
        const std::uint64_t room = availableMemory();
        if (nodes_[next_].cache == nullptr) return room;
        const ScorePlan::Node& node = plan_.nodes[next_];
        const double open = static_cast<double>(node.end - nodes_[next_].end) /
                            static_cast<double>(node.end - node.begin);
        const double bytes =
            static_cast<double>(owner_.pass_.backend().cacheBytes(shapeOf(next_))) * open;
        return room - std::min(room, static_cast<std::uint64_t>(bytes));
    }

    const Evaluated* parentOf(const ScorePlan::Node& node) const {
        if (node.parent >= 0) return &nodes_[static_cast<std::size_t>(node.parent)];
        if (node.parent != ScorePlan::kHeld) return nullptr;
        return &*std::find_if(owner_.held_.begin(), owner_.held_.end(),
                              [&](const Evaluated& e) { return e.end >= node.begin; });
    }

    /// Of the node's cache, behind its parent's. Whole where sequences share: another call may go
    /// on from anywhere in it.
    CacheShape shapeOf(std::size_t index) const {
        const ScorePlan::Node& node = plan_.nodes[index];
        const auto end = static_cast<int>(node.end);
        const int run = owner_.options_.share ? end : std::min(end, owner_.pass_.maxBatch());
        CacheShape shape{end, run, {}, 0};
        if (const Evaluated* parent = parentOf(node)) {
            shape.prefix = parent->cache;
            shape.prefixTokens = static_cast<int>(node.begin);
        }
        return shape;
    }

    void begin(std::size_t index, const CacheShape& shape) {
        const ScorePlan::Node& node = plan_.nodes[index];
        Evaluated& own = nodes_[index];
        const Evaluated* parent = parentOf(node);
        if (node.parent == ScorePlan::kHeld) tellHeld(index);
        own.cache = owner_.pass_.backend().newCache(shape);
        own.begin = own.end = node.begin;
        own.lineage = parent == nullptr ? 1 : parent->lineage + 1;
        live_.push_back(index);
    }

    /// To each sequence of the node what concerns it of the routing of tokens from `begin` on.
    void tell(std::size_t index, int layer, int topK, std::size_t begin,
              std::span<const std::int32_t> experts, std::span<const float> weights) const {
        const ScorePlan::Node& node = plan_.nodes[index];
        const auto k = static_cast<std::size_t>(topK);
        const std::size_t end = begin + experts.size() / k;
        for (std::size_t i = node.first; i < node.last; ++i) {
            const std::size_t from = std::max(begin, sequence(i).routedFrom);
            if (from >= end) continue;
            const StepInfo info{sequence(i).label, StepKind::Prefill,
                                static_cast<std::int32_t>(from),
                                static_cast<std::int32_t>(end - from)};
            const std::size_t skipped = (from - begin) * k;
            owner_.routing_->onRouting(info, layer, topK, experts.subspan(skipped),
                                       weights.subspan(skipped));
        }
    }

    void tellHeld(std::size_t index) const {
        if (owner_.routing_ == nullptr) return;
        const int topK = owner_.pass_.spec().topK;
        for (const Evaluated& e : owner_.held_) {
            const std::size_t end = std::min(e.end, plan_.nodes[index].begin);
            if (end <= e.begin) break;
            const std::size_t count = (end - e.begin) * static_cast<std::size_t>(topK);
            for (std::size_t layer = 0; layer < e.routed.size(); ++layer) {
                const RoutedLayer& r = e.routed[layer];
                if (r.experts.empty()) continue;
                tell(index, static_cast<int>(layer), topK, e.begin,
                     std::span(r.experts).first(count), std::span(r.weights).first(count));
            }
        }
    }

    /// Positions from which some sequence's score is read, and the findings they will fill.
    void chooseRows() {
        rows_.clear();
        wanted_.clear();
        for (const Piece& piece : pieces_) {
            const ScorePlan::Node& node = plan_.nodes[piece.node];
            std::size_t from = piece.end;
            for (std::size_t k = node.first; k < node.last; ++k) {
                const ScoreSequence& s = sequence(k);
                if (s.reportFrom > piece.end) continue;
                // No further than this: what many share must not be held for each of them whole.
                auto& findings = findings_[plan_.order[k]];
                const std::size_t known = std::min(s.tokens.size(), piece.end + 1) - s.reportFrom;
                findings.resize(std::max(findings.size(), known));
                from = std::min(from, s.reportFrom - 1);
            }
            for (std::size_t p = std::max(from, piece.begin); p < piece.end; ++p) {
                rows_.push_back({piece.node, p});
                wanted_.push_back(static_cast<std::int32_t>(piece.offset + p - piece.begin));
            }
        }
    }

    void examineRows() {
        chooseRows();
        if (owner_.pass_.keepsLogits() && owner_.options_.top == 0 && !visit_)
            askOfRows();
        else
            examineLogits();
    }

    /// Of the logits that the back end keeps.
    void askOfRows() {
        questions_.clear();
        asked_.clear();
        for (std::size_t row = 0; row < rows_.size(); ++row) {
            const auto first = static_cast<std::ptrdiff_t>(questions_.size());
            eachReported(rows_[row], [&](std::size_t sequence, std::size_t index) {
                const TokenId token = sequences_[sequence].tokens[index];
                const auto isThis = [&](const TokenQuestion& q) { return q.token == token; };
                const auto found =
                    std::find_if(questions_.begin() + first, questions_.end(), isThis);
                asked_.push_back(
                    {sequence, index, static_cast<std::size_t>(found - questions_.begin())});
                if (found == questions_.end())
                    questions_.push_back({static_cast<std::int32_t>(row), token});
            });
        }
        answers_.resize(questions_.size());
        owner_.pass_.examine(wanted_, questions_, answers_);
        for (const Asked& a : asked_) {
            try {
                findings_[a.sequence][a.index - sequences_[a.sequence].reportFrom] =
                    findingOf(answers_[a.question]);
            } catch (const Error& e) {
                throw SequenceError(a.sequence, e);
            }
        }
    }

    void examineLogits() {
        const auto vocab = static_cast<std::size_t>(owner_.pass_.spec().vocab);
        owner_.pass_.head(wanted_, [&](std::size_t first, std::span<const float> logits) {
            const std::size_t count = logits.size() / vocab;
            owner_.pass_.backend().parallelFor(static_cast<int>(count), [&](int i) {
                const auto row = static_cast<std::size_t>(i);
                examineRow(rows_[first + row], logits.subspan(row * vocab, vocab));
            });
            for (std::size_t row = 0; visit_ && row < count; ++row)
                eachReported(rows_[first + row], [&](std::size_t sequence, std::size_t index) {
                    visit_(sequence, index, logits.subspan(row * vocab, vocab));
                });
        });
    }

    /// f(sequence, index) for every sequence whose tokens[index] is predicted there and reported.
    template <typename F>
    void eachReported(const Row& row, const F& f) const {
        const ScorePlan::Node& node = plan_.nodes[row.node];
        for (std::size_t k = node.first; k < node.last; ++k)
            if (sequence(k).reportFrom <= row.position + 1) f(plan_.order[k], row.position + 1);
    }

    void examineRow(const Row& row, std::span<const float> logits) {
        const Options& options = owner_.options_;
        std::optional<LogitsSummary> summary;
        // Of the token before: what several sequences share has the same one for all.
        std::optional<std::pair<TokenId, TokenFinding>> latest;
        eachReported(row, [&](std::size_t sequence, std::size_t index) {
            const ScoreSequence& s = sequences_[sequence];
            const TokenId token = s.tokens[index];
            try {
                if (!latest || latest->first != token) {
                    if (options.brief && !summary) summary = summarize(logits);
                    latest.emplace(token, options.brief ? briefly(*summary, logits, token)
                                                        : examine(logits, token, options.top));
                }
                findings_[sequence][index - s.reportFrom] = latest->second;
            } catch (const Error& e) {
                throw SequenceError(sequence, e);
            }
        });
    }

    void shareOut(Clock::duration duration) {
        const auto total = static_cast<double>(
            std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count());
        for (const Piece& piece : pieces_) {
            const ScorePlan::Node& node = plan_.nodes[piece.node];
            const double each = total * static_cast<double>(piece.end - piece.begin) /
                                static_cast<double>(tokens_.size()) /
                                static_cast<double>(node.last - node.first);
            for (std::size_t k = node.first; k < node.last; ++k) durations_[plan_.order[k]] += each;
        }
    }

    void deliver() {
        for (const Piece& piece : pieces_) {
            const ScorePlan::Node& node = plan_.nodes[piece.node];
            if (piece.end < node.end) continue;
            for (std::size_t k = node.first; k < node.last; ++k) {
                if (sequence(k).tokens.size() - 1 != node.end) continue;
                const std::size_t i = plan_.order[k];
                wholeTokens_ += node.end;
                done_(
                    {i, std::exchange(findings_[i], {}), static_cast<std::int64_t>(durations_[i])});
            }
        }
    }

    /// Nodes that nothing more begins with; those of the last path are kept for hold().
    void release() {
        std::erase_if(live_, [&](std::size_t index) {
            const std::size_t end = plan_.nodes[index].subtreeEnd;
            if (end > next_ || end == nodes_.size()) return false;
            nodes_[index] = {};
            return true;
        });
    }

    void hold() {
        owner_.shared_ += wholeTokens_;
        for (const ScorePlan::Node& node : plan_.nodes) owner_.shared_ -= node.end - node.begin;
        if (!owner_.options_.share || nodes_.empty()) return;
        std::vector<Evaluated> path;
        std::ptrdiff_t at = static_cast<std::ptrdiff_t>(nodes_.size()) - 1;
        const ScorePlan::Node& last = plan_.nodes.back();
        for (; at >= 0; at = plan_.nodes[static_cast<std::size_t>(at)].parent)
            path.push_back(std::move(nodes_[static_cast<std::size_t>(at)]));
        if (at == ScorePlan::kHeld) {
            const std::size_t cut = path.back().begin;
            while (owner_.held_.back().begin >= cut) owner_.held_.pop_back();
            owner_.held_.back().end = cut;
        } else {
            owner_.held_.clear();
        }
        std::move(path.rbegin(), path.rend(), std::back_inserter(owner_.held_));
        const auto tokens = std::span(sequence(last.first).tokens).first(last.end);
        owner_.heldTokens_.assign(tokens.begin(), tokens.end());
    }

    BatchScorer& owner_;
    std::span<const ScoreSequence> sequences_;
    const Done& done_;
    const LogitsVisitor& visit_;
    ScorePlan plan_;
    std::vector<Evaluated> nodes_;
    std::vector<std::size_t> live_;  ///< nodes that have a cache
    std::size_t next_ = 0;           ///< node that is not scheduled, or not to its end
    std::vector<std::vector<TokenFinding>> findings_;  // (sequences)
    std::vector<double> durations_;                    // (sequences), ns
    std::uint64_t wholeTokens_ = 0;
    // Of the current step
    std::vector<Piece> pieces_;
    std::vector<TokenId> tokens_;
    std::vector<StepRun> runs_;
    std::vector<Row> rows_;
    std::vector<std::int32_t> wanted_;  ///< (rows_) their index within the step
    /// tokens[index] of a sequence, which `question` is about.
    struct Asked {
        std::size_t sequence, index, question;
    };
    std::vector<Asked> asked_;
    std::vector<TokenQuestion> questions_;  ///< of logits that the back end keeps
    std::vector<TokenAnswer> answers_;      ///< (questions_)
};

BatchScorer::BatchScorer(const Backend& backend, int maxContext, Options options)
    : pass_(backend, maxContext, options.maxBatch, options.share), options_(options) {}

BatchScorer::~BatchScorer() = default;

void BatchScorer::setRouting(RoutingSink* sink) {
    routing_ = sink;
    forget();
}

void BatchScorer::forget() noexcept {
    held_.clear();
    heldTokens_.clear();
}

void BatchScorer::score(std::span<const ScoreSequence> sequences, const Done& done,
                        const LogitsVisitor& visit) {
    for (std::size_t i = 0; i < sequences.size(); ++i) {
        try {
            checkSequence(sequences[i], maxContext());
            pass_.checkTokens(sequences[i].tokens);
        } catch (const Error& e) {
            throw SequenceError(i, e);
        }
    }
    Call(*this, sequences, done, visit).run();
}

}  // namespace moescope
