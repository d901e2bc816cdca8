// SPDX-License-Identifier: Apache-2.0
// The expert cache in words, for every format that people read, the terminal and the window.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "profiler/simulation/offload_cost.h"

namespace moescope {

struct CachePolicyName {
    CachePolicy policy;
    const char* title;
    const char* key;   ///< in JSON and CSV
    const char* note;  ///< what it does, a sentence without its point
};
/// In the order of the tables.
std::span<const CachePolicyName> cachePolicies();

/// Sizes that tables show: the least, and eighths of the experts up to all.
std::vector<int> shownSizes(const ExpertCache& of);

/// Every size, of more than 128 as many that lie evenly, the shown ones among them: a run file must
/// not make a report endless.
std::vector<int> curveSizes(const ExpertCache& of);

/// A quarter of the experts, or the least size: what sentences speak of.
int spokenSize(const ExpertCache& of);

/// What was simulated, reuse, hits and, where bytes are known, what misses cost. Plain text.
std::vector<std::string> cacheSentences(const ExpertCache& of, const ExpertBytes& bytes,
                                        std::span<const Link> links = usualLinks());

/// "2 texts and 310 tokens were left out" and why; empty where none was.
std::string cacheLeftOut(const ExpertCache& of);

/// "0.661 [0.640, 0.682]", without what is not known.
std::string hitsText(const CacheLayer& layer, CachePolicy policy, std::size_t index);

inline constexpr char kNoExpertBytes[] =
    "What misses cost is not told, since this run does not say how many bytes an expert has "
    "(moescope cache RUN --expert-bytes N).";
inline constexpr char kNoBound[] = "no bound";  ///< of tokens a second, where nothing is loaded
inline constexpr char kOffloadModelNote[] =
    "A model: every load is waited for, none overlaps with computing or is begun ahead; latency is "
    "left out, and what a text uses for the first time is loaded, so that short texts load more.";

}  // namespace moescope
