// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/balance.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <mutex>
#include <numeric>
#include <random>
#include <tuple>

#include "engine/core/error.h"

namespace moescope {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr std::int64_t kExactTokens = 8192;  ///< above, drawing token by token costs too much
constexpr std::int64_t kExactAssignments = 1 << 19;
constexpr std::uint64_t kSeed = 20260208;

Balance emptyBalance(std::int64_t experts) {
    Balance b;
    b.maxOverMean = b.minOverMax = b.cv = b.gini = kNan;
    b.entropyBits = b.normalizedEntropy = b.effectiveExperts = b.jain = kNan;
    b.deadExperts = experts;
    return b;
}

double entropyOf(std::span<const std::int64_t> counts, double sum) {
    double entropy = 0;
    for (const std::int64_t count : counts) {
        if (count > 0) entropy -= double(count) / sum * std::log2(double(count) / sum);
    }
    return entropy;
}

double giniOf(std::span<const std::int64_t> counts, double sum) {
    std::vector<std::int64_t> sorted(counts.begin(), counts.end());
    std::sort(sorted.begin(), sorted.end());
    const double experts = double(sorted.size());
    double weighted = 0;
    for (std::size_t i = 0; i < sorted.size(); ++i) {
        weighted += (2.0 * double(i + 1) - experts - 1.0) * double(sorted[i]);
    }
    return weighted / (experts * sum);
}

/// log2 E, and 1 for a single expert so that the ratio stays defined.
double maxEntropy(std::size_t experts) {
    return experts > 1 ? std::log2(double(experts)) : 1.0;
}

/// Assignments drawn one by one at most per histogram; more come from the normal approximation.
bool drawnByToken(std::int64_t tokens, int topK) {
    return tokens <= kExactTokens && tokens * topK <= kExactAssignments;
}

/// One histogram of `tokens` tokens that each take k of E experts without replacement.
class UniformRouter {
public:
    UniformRouter(int experts, int topK, std::uint64_t seed)
        : topK_(topK), order_(std::size_t(experts)), counts_(std::size_t(experts)), random_(seed) {
        std::iota(order_.begin(), order_.end(), 0);
    }

    std::span<const std::int64_t> draw(std::int64_t tokens) {
        std::fill(counts_.begin(), counts_.end(), 0);
        if (drawnByToken(tokens, topK_)) {
            drawTokens(tokens);
        } else {
            drawNormal(tokens);
        }
        return counts_;
    }

private:
    /// Partial Fisher-Yates shuffle of the experts; the order left by one token serves the next.
    void drawTokens(std::int64_t tokens) {
        const std::size_t experts = order_.size();
        for (std::int64_t t = 0; t < tokens; ++t) {
            for (std::size_t i = 0; i < std::size_t(topK_); ++i) {
                const std::size_t j = i + below(experts - i);
                std::swap(order_[i], order_[j]);
                ++counts_[std::size_t(order_[i])];
            }
        }
    }

    /// Multivariate normal with the exact mean T k/E, variance T q (1-q) (q = k/E) and the
    /// covariance -variance/(E-1) that the fixed sum forces: independent normals minus their mean,
    /// scaled by sqrt(E/(E-1)), have just that. Rounding is below the precision that matters here.
    void drawNormal(std::int64_t tokens) {
        const double experts = double(counts_.size());
        const double q = double(topK_) / experts;
        const double deviation = std::sqrt(double(tokens) * q * (1 - q) * experts / (experts - 1));
        normals_.resize(counts_.size());
        double mean = 0;
        for (double& value : normals_) {
            value = normal_(random_);
            mean += value / experts;
        }
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            const double value = double(tokens) * q + deviation * (normals_[i] - mean);
            counts_[i] = std::max<std::int64_t>(0, std::llround(value));
        }
    }

    /// Uniform in [0, bound): Lemire's multiplication, whose bias of bound/2^32 is irrelevant here.
    std::size_t below(std::size_t bound) {
        return std::size_t(((random_() >> 32U) * std::uint64_t(bound)) >> 32U);
    }

    int topK_;
    std::vector<int> order_;            // (n_expert)
    std::vector<std::int64_t> counts_;  // (n_expert)
    std::vector<double> normals_;       // (n_expert)
    std::mt19937_64 random_;
    std::normal_distribution<double> normal_;
};

/// Fewer simulations where each is dear. 300 keep the relative standard error of the mean below
/// 0.5 %; where even they would take above some tenths of a second, as hundreds of experts with
/// dozens a token do, precision gives way.
int simulations(std::int64_t tokens, int experts, int topK) {
    const double cost =
        drawnByToken(tokens, topK) ? double(tokens) * topK + experts : 8.0 * experts;
    return int(std::clamp(8e6 / cost, std::clamp(3e7 / cost, 20.0, 300.0), 4000.0));
}

BalanceNull simulateNull(std::int64_t tokens, int experts, int topK) {
    UniformRouter router(experts, topK, kSeed);
    const int n = simulations(tokens, experts, topK);
    std::vector<double> maxima;
    maxima.reserve(std::size_t(n));
    BalanceNull result;
    for (int i = 0; i < n; ++i) {
        const std::span<const std::int64_t> counts = router.draw(tokens);
        double sum = 0;
        std::int64_t top = 0;
        for (const std::int64_t count : counts) {
            sum += double(count);
            top = std::max(top, count);
        }
        maxima.push_back(double(top) * experts / sum);
        result.maxOverMean += maxima.back() / n;
        result.normalizedEntropy += entropyOf(counts, sum) / maxEntropy(counts.size()) / n;
    }
    std::sort(maxima.begin(), maxima.end());
    result.maxOverMean95 = maxima[std::size_t(std::ceil(0.95 * n)) - 1];
    result.deadExperts = experts * std::pow(1.0 - double(topK) / experts, double(tokens));
    return result;
}

}  // namespace

Balance balance(std::span<const std::int64_t> counts, int topK) {
    double sum = 0, squares = 0;
    std::int64_t top = 0, bottom = std::numeric_limits<std::int64_t>::max(), total = 0;
    for (const std::int64_t count : counts) {
        if (count < 0) throw Error("an expert histogram has a negative count");
        if (__builtin_add_overflow(total, count, &total))
            throw Error("an expert histogram adds up to more than 2^63");
        sum += double(count);
        squares += double(count) * double(count);
        top = std::max(top, count);
        bottom = std::min(bottom, count);
    }
    if (total == 0) return emptyBalance(std::int64_t(counts.size()));
    const double experts = double(counts.size());
    const double mean = sum / experts;
    double deviations = 0;
    for (const std::int64_t count : counts) {
        deviations += (double(count) - mean) * (double(count) - mean);
    }
    Balance b;
    b.assignments = total;
    b.tokens = topK > 0 ? total / topK : 0;
    b.maxOverMean = double(top) / mean;
    b.minOverMax = double(bottom) / double(top);
    b.cv = std::sqrt(deviations / experts) / mean;
    b.gini = giniOf(counts, sum);
    b.entropyBits = entropyOf(counts, sum);
    b.normalizedEntropy = b.entropyBits / maxEntropy(counts.size());
    b.effectiveExperts = std::exp2(b.entropyBits);
    b.jain = sum * sum / (experts * squares);
    b.deadExperts = std::count(counts.begin(), counts.end(), 0);
    return b;
}

BalanceNull balanceNull(std::int64_t tokens, int experts, int topK) {
    if (tokens <= 0 || experts <= 0 || topK <= 0 || topK > experts) {
        return {kNan, kNan, kNan, double(std::max(experts, 0))};
    }
    if (topK == experts) return {1, 1, 1, 0};
    static std::mutex mutex;
    static std::map<std::tuple<std::int64_t, int, int>, BalanceNull> cache;
    const std::tuple key{tokens, experts, topK};
    {
        const std::lock_guard guard(mutex);
        if (const auto found = cache.find(key); found != cache.end()) return found->second;
    }
    const BalanceNull result = simulateNull(tokens, experts, topK);
    const std::lock_guard guard(mutex);
    if (cache.size() > 4096) cache.clear();  // bounded: the window may ask for any range of tokens
    cache[key] = result;
    return result;
}

}  // namespace moescope
