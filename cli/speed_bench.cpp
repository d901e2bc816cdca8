// SPDX-License-Identifier: Apache-2.0
#include "cli/speed_bench.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <numeric>

#include "engine/core/error.h"
#include "engine/run/cache_memory.h"
#include "engine/run/forward_pass.h"
#include "profiler/record/machine.h"

namespace moescope::cli {
namespace {

/// Sums the bytes that the operations must read; the plain run and the traced run both use it, the
/// plain one in a pass of its own that is not timed.
class ByteCounter final : public TraceSink {
public:
    void stepBegin(const StepInfo&) override {}
    void stepEnd() override {}
    void opBegin(Op op, int) override { sampling_ = op == Op::Sample; }
    void opEnd(const OpWork& work) override {
        if (sampling_) return;  // logits are none of what the model must read
        bytes_ += work.bytes;
        flops_ += work.flops;
    }
    std::uint64_t bytes() const { return bytes_; }
    std::uint64_t flops() const { return flops_; }

private:
    bool sampling_ = false;
    std::uint64_t bytes_ = 0, flops_ = 0;
};

/// Token ids that spread over the vocabulary, the same in every run.
std::vector<TokenId> someTokens(int count, int vocab) {
    std::vector<TokenId> tokens;
    std::uint32_t state = 12345;
    for (int i = 0; i < count; ++i) {
        state = state * 1664525U + 1013904223U;
        tokens.push_back(static_cast<TokenId>((state >> 8U) % static_cast<std::uint32_t>(vocab)));
    }
    return tokens;
}

double secondsOf(const std::function<void()>& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

constexpr char kPrefill[] = "prefill";
/// Most tokens of a prompt in a step of decodeMany, so that a longer one asks for no more memory.
constexpr int kPromptStep = 512;

void chooseThere(ForwardPass& pass, std::span<const std::int32_t> rows, std::span<TokenId> tokens) {
    const std::vector<TokenRule> largest(rows.size());
    std::vector<TokenChoice> choices(rows.size());
    pass.choose(rows, largest, choices);
    for (std::size_t i = 0; i < choices.size(); ++i) {
        if (choices[i].token < 0) throw notFinite();
        tokens[i] = choices[i].token;
    }
}

}  // namespace

double SpeedRow::best() const {
    return *std::min_element(seconds.begin(), seconds.end());
}

double SpeedRow::median() const {
    std::vector<double> sorted = seconds;
    std::sort(sorted.begin(), sorted.end());
    const std::size_t middle = sorted.size() / 2;
    return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

SpeedRow SpeedBench::prefill(int tokens, int repeat) {
    SpeedRow row;
    row.phase = kPrefill;
    row.tokens = tokens;
    return repeated(std::move(row), repeat);
}

SpeedRow SpeedBench::decode(int depth, int tokens, int repeat) {
    SpeedRow row;
    row.phase = "decode";
    row.tokens = tokens;
    row.depth = depth;
    return repeated(std::move(row), repeat);
}

SpeedRow SpeedBench::repeated(SpeedRow row, int repeat) {
    pass(row, Pass::Counted);
    for (int i = 0; i < repeat; ++i) pass(row, Pass::Timed);
    return row;
}

/// Of one sequence. (Decoding looks at the logits of every token; prefill in the counted pass.)
void SpeedBench::pass(SpeedRow& row, Pass kind) {
    const bool timed = kind == Pass::Timed;
    throwIfStopped(stop_);
    session_.beginSequence(nextSequence_++);
    session_.setTrace(nullptr);
    session_.setRouting(nullptr);
    const bool prefills = row.phase == kPrefill;
    const int vocab = model_.spec().vocab;
    const std::vector<TokenId> prompt = someTokens(prefills ? row.tokens : row.depth, vocab);
    const TokenId first = someTokens(1, vocab).front();
    if (!prefills && !prompt.empty()) session_.append(prompt, StepKind::Prefill);
    ByteCounter counter;
    session_.setTrace(timed ? trace_ : &counter);
    session_.setRouting(timed ? routing_ : nullptr);
    if (timed) row.bandwidth = std::max(row.bandwidth, readBandwidth());
    std::span<const float> logits;
    const double seconds = secondsOf([&] {
        if (prefills)
            logits = session_.append(prompt, StepKind::Prefill);
        else
            session_.appendGreedy(first, row.tokens);
    });
    if (timed) {
        row.seconds.push_back(seconds);
        return;
    }
    session_.setTrace(nullptr);
    if (prefills) mostLikely(logits);
    row.bytes = counter.bytes();
    row.flops = counter.flops();
}

SpeedRow SpeedBench::decodeMany(int sequences, int depth, int tokens, int repeat) {
    SpeedRow row;
    row.phase = "decode";
    row.tokens = tokens;
    row.sequences = sequences;
    row.depth = depth;
    const Backend& backend = model_.backend();
    const int step = std::clamp(depth, 1, kPromptStep);
    const CacheShape shape{depth + tokens, step};
    requireCacheMemory(backend, shape, sequences);
    const std::vector<TokenId> ids = someTokens(sequences, model_.spec().vocab);
    ForwardPass pass(backend, depth + tokens, std::max(sequences, step));
    const std::vector<TokenId> prompt = someTokens(depth, model_.spec().vocab);
    ByteCounter counter;
    std::vector<std::int32_t> rows(ids.size());
    std::iota(rows.begin(), rows.end(), 0);
    for (int i = 0; i <= repeat; ++i) {
        const bool timed = i > 0;  // the first pass is Pass::Counted
        std::vector<std::shared_ptr<KvCache>> caches;
        for (int s = 0; s < sequences; ++s) {
            throwIfStopped(stop_);
            caches.push_back(backend.newCache(shape));
            for (int at = 0; at < depth; at += step) {
                const int count = std::min(step, depth - at);
                const StepRun run{caches.back().get(), at, count};
                pass.step({s, StepKind::Prefill, at, count},
                          std::span(prompt).subspan(static_cast<std::size_t>(at),
                                                    static_cast<std::size_t>(count)),
                          {&run, 1}, [] {});
            }
        }
        pass.setTrace(timed ? trace_ : &counter);
        pass.setRouting(timed ? routing_ : nullptr);
        if (timed) row.bandwidth = std::max(row.bandwidth, readBandwidth());
        const double seconds = secondsOf([&] {
            std::vector<TokenId> next = ids;
            for (int position = depth; position < depth + tokens; ++position) {
                throwIfStopped(stop_);
                decodeStep(pass, caches, next, rows, position);
            }
        });
        pass.setTrace(nullptr);
        pass.setRouting(nullptr);
        if (timed) row.seconds.push_back(seconds);
    }
    row.bytes = counter.bytes();
    row.flops = counter.flops();
    return row;
}

/// One token of every sequence: in one step, or in as few as the back end takes.
void SpeedBench::decodeStep(ForwardPass& pass, const std::vector<std::shared_ptr<KvCache>>& caches,
                            std::vector<TokenId>& next, std::span<const std::int32_t> rows,
                            int position) const {
    const auto most = static_cast<std::size_t>(model_.backend().maxRuns());
    for (std::size_t first = 0; first < next.size(); first += most) {
        const std::size_t count = std::min(most, next.size() - first);
        std::vector<StepRun> runs;
        for (std::size_t s = 0; s < count; ++s)
            runs.push_back({caches[first + s].get(), position, 1});
        const StepInfo info{static_cast<std::int64_t>(first), StepKind::Decode, position,
                            static_cast<std::int32_t>(count)};
        const std::span<TokenId> tokens = std::span(next).subspan(first, count);
        pass.step(info, tokens, runs, [&] {
            if (pass.keepsLogits()) {
                chooseThere(pass, rows.first(count), tokens);
            } else {
                chooseHere(pass, rows.first(count), tokens);
            }
        });
    }
}

void SpeedBench::chooseHere(ForwardPass& pass, std::span<const std::int32_t> rows,
                            std::span<TokenId> tokens) const {
    const auto vocab = static_cast<std::size_t>(model_.spec().vocab);
    pass.head(rows, [&](std::size_t at, std::span<const float> logits) {
        const auto found = static_cast<int>(logits.size() / vocab);
        model_.backend().parallelFor(found, [&](int i) {
            const auto row = static_cast<std::size_t>(i);
            tokens[at + row] = mostLikely(logits.subspan(row * vocab, vocab));
        });
    });
}

double SpeedBench::readBandwidth() const {
    const double device = model_.backend().readBandwidth();
    return device > 0 ? device : streamBandwidth(model_.backend().threads());
}

}  // namespace moescope::cli
