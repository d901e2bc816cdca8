// SPDX-License-Identifier: Apache-2.0
#include "evals/compare_numerics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>

#include "engine/core/count_text.h"
#include "engine/core/error.h"

namespace moescope {
namespace {

constexpr int kStep = 64;  ///< tokens evaluated together: bounds the logits that are held
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr std::uint64_t kSeed = 1;

struct LayerSums {
    double difference = 0, reference = 0;  ///< squares
    double sameExperts = 0;                ///< tokens
};

/// What is kept of one block; everything but the percentile is a ratio of sums over blocks.
struct Block {
    double tokens = 0;     ///< scored
    double evaluated = 0;  ///< of which the layers saw all
    double natsA = 0, natsB = 0, kl = 0, sameTop1 = 0, sameEverywhere = 0;
    std::vector<double> divergences;  ///< one a scored token
    std::vector<LayerSums> layers;
};

/// Keeps what leaves every layer, and which experts were chosen, of the latest step.
class Tap final : public TraceSink, public RoutingSink {
public:
    Tap(Session& session, const ModelSpec& spec)
        : session_(session),
          states(static_cast<std::size_t>(spec.nLayer)),
          experts(static_cast<std::size_t>(spec.nLayer)) {
        for (auto& s : states) s.reserve(static_cast<std::size_t>(kStep) * spec.dModel);
        for (auto& e : experts) e.reserve(static_cast<std::size_t>(kStep) * spec.topK);
        session.setTrace(this);
        session.setRouting(this);
    }
    void stepBegin(const StepInfo&) override {}
    void stepEnd() override {}
    void opBegin(Op op, int layer) override {
        leaving_ = op == Op::Experts || op == Op::Mlp ? layer : -1;
    }
    void opEnd(const OpWork&) override {
        if (leaving_ < 0) return;
        const auto hidden = session_.hidden();
        states[static_cast<std::size_t>(leaving_)].assign(hidden.begin(), hidden.end());
    }
    void onRouting(const StepInfo&, int layer, int topK, std::span<const std::int32_t> chosen,
                   std::span<const float>) override {
        auto& sets = experts[static_cast<std::size_t>(layer)];
        sets.assign(chosen.begin(), chosen.end());
        for (auto at = sets.begin(); at != sets.end(); at += topK) std::sort(at, at + topK);
    }

private:
    Session& session_;
    int leaving_ = -1;

public:
    std::vector<std::vector<float>> states;          // per layer: (n_tokens, d_model)
    std::vector<std::vector<std::int32_t>> experts;  // per layer: (n_tokens, top_k), sorted
};

/// log softmax in double. out: (vocab)
void logSoftmax(std::span<const float> logits, std::vector<double>& out) {
    const double largest = logits[static_cast<std::size_t>(mostLikely(logits))];
    double sum = 0;
    out.resize(logits.size());
    for (std::size_t i = 0; i < logits.size(); ++i) {
        out[i] = logits[i] - largest;
        sum += std::exp(out[i]);
    }
    const double norm = std::log(sum);
    for (double& x : out) x -= norm;
}

double divergence(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += std::exp(a[i]) * (a[i] - b[i]);
    return std::max(0.0, sum);  // rounding may leave a little below zero
}

class Comparison {
public:
    Comparison(const Model& a, const Model& b, int context)
        : spec_(a.spec()),
          a_(a, context, kStep),
          b_(b, context, kStep),
          tapA_(a_, spec_),
          tapB_(b_, spec_) {}

    Block block(std::span<const TokenId> tokens, const StopFlag* stop) {
        a_.beginSequence(0);
        b_.beginSequence(0);
        Block out;
        out.layers.resize(static_cast<std::size_t>(spec_.nLayer));
        for (std::size_t at = 0; at < tokens.size(); at += kStep) {
            throwIfStopped(stop);
            const auto part = tokens.subspan(at, std::min<std::size_t>(kStep, tokens.size() - at));
            step(part, tokens.subspan(at + 1, std::min(part.size(), tokens.size() - at - 1)),
                 at == 0, out);
        }
        return out;
    }

private:
    /// targets: the tokens that follow each of `part`; one less at the end of the block. start:
    /// `part` begins the block.
    void step(std::span<const TokenId> part, std::span<const TokenId> targets, bool start,
              Block& out) {
        const auto vocab = static_cast<std::size_t>(spec_.vocab);
        logitsA_.resize(part.size() * vocab);
        a_.append(part, [&](int i, std::span<const float> row) {
            std::copy(row.begin(), row.end(),
                      logitsA_.begin() + static_cast<std::ptrdiff_t>(vocab) * i);
        });
        b_.append(part, [&](int i, std::span<const float> row) {
            const auto index = static_cast<std::size_t>(i);
            if (index >= targets.size()) return;
            score(std::span(logitsA_).subspan(index * vocab, vocab), row, targets[index], out);
        });
        layers(start ? 1 : 0, part.size(), out);
    }

    void score(std::span<const float> a, std::span<const float> b, TokenId target, Block& out) {
        logSoftmax(a, logA_);
        logSoftmax(b, logB_);
        const auto t = static_cast<std::size_t>(target);
        out.natsA -= logA_[t];
        out.natsB -= logB_[t];
        out.divergences.push_back(divergence(logA_, logB_));
        out.kl += out.divergences.back();
        out.sameTop1 += mostLikely(a) == mostLikely(b) ? 1 : 0;
        out.tokens += 1;
    }

    /// Of the tokens [first, tokens): what begins a block is given, and the state of a first token
    /// is that large in many models (attention sinks) that it would hide what the others differ by.
    void layers(std::size_t first, std::size_t tokens, Block& out) {
        const auto topK = static_cast<std::size_t>(spec_.topK);
        const std::size_t begin = first * static_cast<std::size_t>(spec_.dModel);
        std::vector<char> everywhere(tokens, 1);
        for (std::size_t l = 0; l < out.layers.size(); ++l) {
            const auto& before = tapA_.states[l];
            const auto& after = tapB_.states[l];
            for (std::size_t i = begin; i < before.size(); ++i) {
                const double d = static_cast<double>(after[i]) - before[i];
                out.layers[l].difference += d * d;
                out.layers[l].reference += static_cast<double>(before[i]) * before[i];
            }
            if (tapA_.experts[l].empty()) continue;
            for (std::size_t t = first; t < tokens; ++t) {
                const auto* x = tapA_.experts[l].data() + t * topK;
                const bool same = std::equal(x, x + topK, tapB_.experts[l].data() + t * topK);
                out.layers[l].sameExperts += same ? 1 : 0;
                if (!same) everywhere[t] = 0;
            }
        }
        out.evaluated += static_cast<double>(tokens - first);
        out.sameEverywhere += std::accumulate(
            everywhere.begin() + static_cast<std::ptrdiff_t>(first), everywhere.end(), 0.0);
    }

    const ModelSpec& spec_;
    Session a_, b_;
    Tap tapA_, tapB_;
    std::vector<float> logitsA_;  // (n_tokens, vocab)
    std::vector<double> logA_, logB_;
};

void requireAlike(const Model& a, const Model& b) {
    const ModelSpec& x = a.spec();
    const ModelSpec& y = b.spec();
    const auto check = [&](const char* what, std::int64_t left, std::int64_t right) {
        if (left == right) return;
        throw Error("the models cannot be compared token by token: " + std::string(what) + " " +
                    std::to_string(left) + " and " + std::to_string(right));
    };
    check("layers", x.nLayer, y.nLayer);
    check("width", x.dModel, y.dModel);
    check("vocabulary", x.vocab, y.vocab);
    check("experts", x.nExpert, y.nExpert);
    check("experts a token", x.topK, y.topK);
}

std::vector<std::vector<TokenId>> splitBlocks(const Model& a, const Model& b,
                                              const std::vector<std::string>& texts,
                                              const NumericsOptions& options) {
    const Tokenizer& tokenizer = a.tokenizer();
    std::vector<std::vector<TokenId>> blocks;
    std::int64_t left =
        options.maxTokens > 0 ? options.maxTokens : std::numeric_limits<std::int64_t>::max();
    for (const std::string& text : texts) {
        const auto tokens = tokenizer.encode(text, SpecialTokens::AsText);
        if (b.hasTokenizer() && b.tokenizer().encode(text, SpecialTokens::AsText) != tokens)
            throw Error("the models' tokenizers split the text differently");
        const std::size_t start = tokenizer.addBos() && tokenizer.bos() ? 1 : 0;
        const std::size_t length = static_cast<std::size_t>(options.context) - start;
        for (std::size_t at = 0; at < tokens.size() && left > 0; at += length) {
            const std::size_t count =
                std::min({length, tokens.size() - at, static_cast<std::size_t>(left)});
            std::vector<TokenId> block;
            if (start > 0) block.push_back(*tokenizer.bos());
            block.insert(block.end(), tokens.begin() + static_cast<std::ptrdiff_t>(at),
                         tokens.begin() + static_cast<std::ptrdiff_t>(at + count));
            left -= static_cast<std::int64_t>(count);
            if (block.size() > 1) blocks.push_back(std::move(block));
        }
    }
    if (blocks.empty()) throw Error("the texts have no two tokens to compare");
    return blocks;
}

std::vector<std::vector<TokenId>> comparableBlocks(const Model& a, const Model& b,
                                                   const std::vector<std::string>& texts,
                                                   const NumericsOptions& options) {
    requireAlike(a, b);
    if (options.context < 2) throw Error("a block needs at least two tokens");
    return splitBlocks(a, b, texts, options);
}

class Summary {
public:
    Summary(const std::vector<Block>& blocks, int resamples)
        : blocks_(blocks), resamples_(resamples), all_(blocks.size()) {
        std::iota(all_.begin(), all_.end(), std::size_t{0});
    }

    Estimate of(const stats::Statistic& statistic) const {
        Estimate out{statistic(all_), {kNan, kNan}};
        if (!std::isnan(out.value))
            out.interval = stats::clusterBootstrap(all_, resamples_, kSeed, statistic);
        return out;
    }

    /// sum of f over the chosen blocks / sum of g.
    template <typename F, typename G>
    double ratio(std::span<const std::size_t> chosen, const F& f, const G& g) const {
        double up = 0;
        double down = 0;
        for (const std::size_t i : chosen) {
            up += f(blocks_[i]);
            down += g(blocks_[i]);
        }
        return down > 0 ? up / down : kNan;
    }
    template <typename F>
    Estimate mean(const F& f) const {
        return of([&](std::span<const std::size_t> chosen) { return perToken(chosen, f); });
    }
    template <typename F>
    Estimate perplexity(const F& nats) const {
        return of(
            [&](std::span<const std::size_t> chosen) { return std::exp(perToken(chosen, nats)); });
    }

    /// Nearest rank: the smallest value that at least 99 % do not exceed.
    Estimate percentile99() const {
        return of([&](std::span<const std::size_t> chosen) {
            std::vector<double> values;
            for (const std::size_t i : chosen)
                values.insert(values.end(), blocks_[i].divergences.begin(),
                              blocks_[i].divergences.end());
            const auto rank = (values.size() * 99 + 99) / 100 - 1;
            const auto at = values.begin() + static_cast<std::ptrdiff_t>(rank);
            std::nth_element(values.begin(), at, values.end());
            return *at;
        });
    }

    LayerNumerics layer(std::size_t l, bool experts) const {
        LayerNumerics out;
        out.error = of([&](std::span<const std::size_t> chosen) {
            return std::sqrt(ratio(
                chosen, [&](const Block& b) { return b.layers[l].difference; },
                [&](const Block& b) { return b.layers[l].reference; }));
        });
        out.routing = experts ? of([&](std::span<const std::size_t> chosen) {
            return ratio(
                chosen, [&](const Block& b) { return b.layers[l].sameExperts; }, evaluated);
        })
                              : Estimate{kNan, {kNan, kNan}};
        return out;
    }

    static double evaluated(const Block& b) { return b.evaluated; }

private:
    template <typename F>
    double perToken(std::span<const std::size_t> chosen, const F& f) const {
        return ratio(chosen, f, [](const Block& b) { return b.tokens; });
    }

    const std::vector<Block>& blocks_;
    int resamples_;
    std::vector<std::size_t> all_;  ///< each block is a cluster of its own
};

NumericsReport summarize(const std::vector<Block>& blocks, const ModelSpec& spec, int resamples) {
    const Summary summary(blocks, resamples);
    NumericsReport out;
    out.blocks = static_cast<std::int64_t>(blocks.size());
    for (const Block& b : blocks) out.tokens += static_cast<std::int64_t>(b.tokens);
    out.perplexityA = summary.perplexity([](const Block& b) { return b.natsA; });
    out.perplexityB = summary.perplexity([](const Block& b) { return b.natsB; });
    out.nats = summary.mean([](const Block& b) { return b.natsB - b.natsA; });
    out.klMean = summary.mean([](const Block& b) { return b.kl; });
    out.klP99 = summary.percentile99();
    out.sameTop1 = summary.mean([](const Block& b) { return b.sameTop1; });
    std::vector<std::size_t> routed;
    for (std::size_t l = 0; l < spec.layers.size(); ++l) {
        const bool experts = spec.layers[l].mlp == MlpKind::Experts;
        if (experts) routed.push_back(l);
        out.layers.push_back(summary.layer(l, experts));
    }
    out.routing = out.routingEverywhere = {kNan, {kNan, kNan}};
    if (routed.empty()) return out;
    const auto same = [&](const Block& b) {
        double sum = 0;
        for (const std::size_t l : routed) sum += b.layers[l].sameExperts;
        return sum / static_cast<double>(routed.size());
    };
    out.routing = summary.of([&](std::span<const std::size_t> chosen) {
        return summary.ratio(chosen, same, Summary::evaluated);
    });
    out.routingEverywhere = summary.of([&](std::span<const std::size_t> chosen) {
        return summary.ratio(
            chosen, [](const Block& b) { return b.sameEverywhere; }, Summary::evaluated);
    });
    return out;
}

}  // namespace

void requireComparable(const Model& a, const Model& b, const std::vector<std::string>& texts,
                       const NumericsOptions& options) {
    comparableBlocks(a, b, texts, options);
}

NumericsReport compareNumerics(const Model& a, const Model& b,
                               const std::vector<std::string>& texts,
                               const NumericsOptions& options) {
    const auto tokens = comparableBlocks(a, b, texts, options);
    Comparison comparison(a, b, options.context);
    std::vector<Block> blocks;
    for (const auto& block : tokens) {
        blocks.push_back(comparison.block(block, options.stop));
        if (options.progress)
            options.progress(static_cast<std::int64_t>(blocks.size()),
                             static_cast<std::int64_t>(tokens.size()));
    }
    return summarize(blocks, a.spec(), options.resamples);
}

std::vector<MetricRow> numericsMetrics(const NumericsReport& report, std::int64_t suite,
                                       int resamples) {
    std::vector<MetricRow> rows;
    const std::string method = "percentile bootstrap over " + countText(report.blocks, "block") +
                               ", " + std::to_string(resamples) + " resamples, seed " +
                               std::to_string(kSeed);
    const auto add = [&](const char* name, const Estimate& e, const std::string& group = {}) {
        if (std::isnan(e.value)) return;
        MetricRow row;
        row.suite = suite;
        row.name = name;
        row.group = group;
        row.value = e.value;
        if (!std::isnan(e.interval.low)) {
            row.low = e.interval.low;
            row.high = e.interval.high;
        }
        row.method =
            row.low ? method : countText(report.blocks, "block") + ": too few for an interval";
        row.n = report.tokens;
        rows.push_back(std::move(row));
    };
    add("perplexity_a", report.perplexityA);
    add("perplexity_b", report.perplexityB);
    add("nats_difference", report.nats);
    add("kl_mean", report.klMean);
    add("kl_p99", report.klP99);
    add("same_top1", report.sameTop1);
    add("routing_agreement", report.routing);
    add("routing_agreement_all_layers", report.routingEverywhere);
    for (std::size_t l = 0; l < report.layers.size(); ++l) {
        const std::string digits = std::to_string(l);
        // Padded, so that groups sort as layers do.
        const std::string group =
            "layer=" + std::string(3 - std::min<std::size_t>(3, digits.size()), '0') + digits;
        add("relative_error", report.layers[l].error, group);
        add("routing_agreement", report.layers[l].routing, group);
    }
    return rows;
}

}  // namespace moescope
