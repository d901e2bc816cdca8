// SPDX-License-Identifier: Apache-2.0
#include "engine/run/generate_many.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "engine/core/error.h"
#include "engine/run/cache_memory.h"
#include "engine/run/logits.h"
#include "engine/run/sequence_error.h"

namespace moescope {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t nanosecondsSince(Clock::time_point start) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
}

}  // namespace

/// One call of run().
class BatchGenerator::Call final : public RoutingSink {
public:
    Call(BatchGenerator& owner, const Source& next, const Done& done)
        : owner_(owner), next_(next), done_(done) {}

    ~Call() override { owner_.pass_.setRouting(nullptr); }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    void run() {
        owner_.pass_.setRouting(owner_.routing_ != nullptr ? this : nullptr);
        for (;;) {
            const bool stopped = owner_.stop_ != nullptr && *owner_.stop_;
            if (stopped && !(active_.empty() && exhausted_)) interrupt();
            if (!admit()) return;
            fillStep();
            const Clock::time_point start = Clock::now();
            const Active& first = *active_[pieces_.front().active];
            const StepInfo info{first.request.label, kindOf(first), first.position,
                                static_cast<std::int32_t>(tokens_.size())};
            owner_.pass_.step(info, tokens_, runs_, [this] { choose(); });
            account(nanosecondsSince(start));
        }
    }

    void onRouting(const StepInfo&, int layer, int topK, std::span<const std::int32_t> experts,
                   std::span<const float> weights) override {
        const auto k = static_cast<std::size_t>(topK);
        std::size_t at = 0;
        for (const Piece& piece : pieces_) {
            const Active& a = *active_[piece.active];
            const auto count = static_cast<std::size_t>(piece.tokens) * k;
            const StepInfo info{a.request.label,
                                a.decoding() ? StepKind::Decode : StepKind::Prefill, a.position,
                                piece.tokens};
            owner_.routing_->onRouting(info, layer, topK, experts.subspan(at, count),
                                       weights.subspan(at, count));
            at += count;
        }
    }

private:
    struct Active {
        std::size_t index;
        GenerateRequest request;
        Sampler sampler;
        std::shared_ptr<KvCache> cache;
        int position = 0;  ///< tokens in the cache
        Clock::time_point start = Clock::now();
        Generation result{};
        bool ended = false;

        bool decoding() const { return position >= result.promptTokens; }
    };
    struct Piece {
        std::size_t active;
        std::int32_t tokens;
    };
    /// Sequences whose next token is chosen, and the rows of their logits.
    struct Choosing {
        std::vector<std::int32_t> rows;
        std::vector<Active*> active;  // (rows)

        void clear() {
            rows.clear();
            active.clear();
        }
        void add(std::int32_t row, Active& a) {
            rows.push_back(row);
            active.push_back(&a);
        }
    };

    /// Fills the free places; false when nothing is left to do.
    bool admit() {
        while (!exhausted_ && active_.size() < static_cast<std::size_t>(owner_.options_.parallel)) {
            std::optional<GenerateRequest> request = next_();
            if (!request) {
                exhausted_ = true;
                break;
            }
            try {
                active_.push_back(begin(std::move(*request)));
            } catch (const UsageError&) {
                throw;  // of the options, which all have in common
            } catch (const Error& e) {
                throw SequenceError(index_, e);
            }
            ++index_;
        }
        return !active_.empty();
    }

    std::unique_ptr<Active> begin(GenerateRequest request) {
        const ForwardPass& pass = owner_.pass_;
        if (request.options.maxTokens < 1)
            throw UsageError("the number of tokens to generate must be at least 1");
        const auto length = static_cast<std::int64_t>(request.prompt.size());
        if (length == 0) throw Error("there are no tokens to evaluate");
        if (length > pass.maxContext())
            throw Error("the context of " + std::to_string(pass.maxContext()) +
                            " tokens is too short for a prompt of " + std::to_string(length),
                        "use a larger --context");
        pass.checkTokens(request.prompt);
        // The last token is chosen and not evaluated.
        const auto needed = static_cast<int>(
            std::min<std::int64_t>(length + request.options.maxTokens - 1, pass.maxContext()));
        auto cache = pass.backend().newCache({needed, std::min(pass.maxBatch(), needed)});
        Sampler sampler(request.options.sampling);
        auto active = std::make_unique<Active>(
            Active{index_, std::move(request), std::move(sampler), std::move(cache)});
        active->result.promptTokens = static_cast<int>(length);
        active->result.logitsHash = logitsHash({});
        return active;
    }

    /// The next token of every sequence that has one, then as much of prompts as there is room for.
    /// Where there is none for all, each gets its turn, prompts among the others.
    void fillStep() {
        pieces_.clear();
        tokens_.clear();
        runs_.clear();
        const auto most = static_cast<std::size_t>(owner_.pass_.backend().maxRuns());
        const auto batch = static_cast<std::size_t>(owner_.pass_.maxBatch());
        const bool all = active_.size() <= std::min(most, batch);
        if (!all) std::rotate(active_.begin(), active_.begin() + 1, active_.end());
        for (const bool decoding : {true, false}) {
            for (std::size_t i = 0; i < active_.size(); ++i) {
                Active& a = *active_[i];
                const std::size_t room = batch - tokens_.size();
                if (room == 0 || runs_.size() >= most) break;
                if (all ? a.decoding() != decoding : !decoding) continue;
                std::span<const TokenId> next(a.request.prompt);
                next = a.decoding() ? std::span<const TokenId>(a.result.tokens).last(1)
                                    : next.subspan(static_cast<std::size_t>(a.position));
                next = next.first(std::min(room, next.size()));
                const auto count = static_cast<std::int32_t>(next.size());
                if (a.position == 0) a.start = Clock::now();
                pieces_.push_back({i, count});
                runs_.push_back({a.cache.get(), a.position, count});
                tokens_.insert(tokens_.end(), next.begin(), next.end());
            }
        }
    }

    StepKind kindOf(const Active& first) const {
        return first.decoding() && tokens_.size() == pieces_.size() ? StepKind::Decode
                                                                    : StepKind::Prefill;
    }

    /// Positions move on; sequences whose prompt is complete get their next token, each by the way
    /// it would by itself, since the draws of one are not those of the other.
    void choose() {
        choosing_.clear();
        there_.clear();
        here_.clear();
        const bool keeps = owner_.pass_.keepsLogits();
        std::int32_t end = 0;
        for (const Piece& piece : pieces_) {
            Active& a = *active_[piece.active];
            end += piece.tokens;
            a.position += piece.tokens;
            if (!a.decoding()) continue;
            choosing_.push_back(&a);
            (keeps && a.sampler.ruled() ? there_ : here_).add(end - 1, a);
        }
        chooseThere();
        sampleHere();
    }

    void chooseThere() {
        rules_.clear();
        for (Active* a : there_.active) rules_.push_back(a->sampler.rule());
        choices_.resize(rules_.size());
        owner_.pass_.choose(there_.rows, rules_, choices_);
        for (std::size_t i = 0; i < choices_.size(); ++i) {
            Active& a = *there_.active[i];
            if (choices_[i].token < 0) throw SequenceError(a.index, notFinite());
            a.result.tokens.push_back(choices_[i].token);
            a.result.logitsHash = addHash(a.result.logitsHash, choices_[i].logitsHash);
        }
    }

    void sampleHere() {
        const auto vocab = static_cast<std::size_t>(owner_.pass_.spec().vocab);
        owner_.pass_.head(here_.rows, [&](std::size_t first, std::span<const float> logits) {
            owner_.pass_.backend().parallelFor(static_cast<int>(logits.size() / vocab), [&](int i) {
                const auto row = static_cast<std::size_t>(i);
                const auto own = logits.subspan(row * vocab, vocab);
                Active& a = *here_.active[first + row];
                Generation& result = a.result;
                try {
                    result.tokens.push_back(a.sampler.sample(own));
                } catch (const Error& e) {
                    throw SequenceError(a.index, e);
                }
                result.logitsHash = addHash(result.logitsHash, logitsHash(own));
            });
        });
    }

    void account(std::int64_t stepNs) {
        for (const Piece& piece : pieces_)
            active_[piece.active]->result.shareNs +=
                stepNs * piece.tokens / static_cast<std::int64_t>(tokens_.size());
        for (Active* a : choosing_) {
            if (a->result.tokens.size() == 1)
                a->result.firstTokenNs = nanosecondsSince(a->start);
            else
                a->result.tokenNs.push_back(stepNs);
            if (const auto reason =
                    endOf(a->result, a->request.options, a->position, owner_.pass_.maxContext())) {
                a->result.reason = *reason;
                done_(a->index, std::move(a->result));
                a->ended = true;
            }
        }
        std::erase_if(active_, [](const auto& a) { return a->ended; });
    }

    [[noreturn]] void interrupt() {
        for (const auto& a : active_) {
            a->result.reason = FinishReason::Interrupted;
            done_(a->index, std::move(a->result));
        }
        throw Interrupted("interrupted");
    }

    BatchGenerator& owner_;
    const Source& next_;
    const Done& done_;
    std::vector<std::unique_ptr<Active>> active_;
    std::size_t index_ = 0;
    bool exhausted_ = false;
    // Of the current step
    std::vector<Piece> pieces_;
    std::vector<TokenId> tokens_;
    std::vector<StepRun> runs_;
    std::vector<Active*> choosing_;  ///< all whose next token is chosen
    Choosing there_, here_;          ///< by the back end, and from its logits
    std::vector<TokenRule> rules_;   // (there_)
    std::vector<TokenChoice> choices_;
};

BatchGenerator::BatchGenerator(const Backend& backend, const Options& options)
    : pass_(backend, options.maxContext, options.maxBatch), options_(options) {
    if (options.parallel < 1) throw UsageError("at least one sequence is generated at a time");
    const int batch = std::min(pass_.maxBatch(), pass_.maxContext());
    requireCacheMemory(backend, {pass_.maxContext(), batch}, options.parallel);
}

BatchGenerator::~BatchGenerator() = default;

void BatchGenerator::run(const Source& next, const Done& done) {
    Call(*this, next, done).run();
}

}  // namespace moescope
