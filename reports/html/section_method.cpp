// SPDX-License-Identifier: Apache-2.0
// Formulas, sources, and which file the numbers come from.
#include <array>

#include "reports/html/escape.h"
#include "reports/html/sections.h"
#include "reports/html/table.h"
#include "reports/numbers.h"

namespace moescope {
namespace {

struct Formula {
    const char* quantity;
    const char* formula;
    const char* source;
};

constexpr std::array kFormulas = {
    Formula{"prefill, decode tok/s",
            "prefill: tokens / wall time of its steps; decode: tokens / time from one token to the "
            "next",
            "steps of the run file"},
    Formula{"time to first token",
            "start of prefill to the choice of the first token, median over sequences", "steps"},
    Formula{"time per output token",
            "median and 95th percentile of the time between tokens, sampling included", "steps"},
    Formula{"bandwidth",
            "weights and cache that must be read / time; an expert that several tokens share "
            "counts once",
            "operations; ceiling: stream read measured on the same machine"},
    Formula{"arithmetic", "floating-point operations / time; a multiply-add counts two",
            "operations"},
    Formula{"fair share", "m = T k / E: tokens x experts per token / experts", "routing counts"},
    Formula{"max/mean", "max x / m; 1 is even, E / k the worst",
            "MaxVio + 1 (Wang et al. 2024, loss-free balancing); inverse of EPLB balancedness"},
    Formula{"by chance",
            "mean and 95th percentile of max/mean over seeded simulations of a uniform router: k "
            "of E experts without "
            "replacement, tokens independent; normal approximation above 8,192 tokens",
            "profiler/analysis/balance.h"},
    Formula{"excess", "max/mean observed / mean max/mean by chance", "profiler/analysis/balance.h"},
    Formula{"normalised entropy", "H / log2 E with H = - sum p log2 p, p = x / sum x",
            "Shannon 1948"},
    Formula{"effective experts", "2^H", "Hill 1973, order 1"},
    Formula{"dead experts", "number of experts with x = 0; by chance E (1 - k/E)^T",
            "routing counts"},
    Formula{"lift",
            "P(e|g) / mean over groups of P(e|g): share of group g's assignments over the mean "
            "share; every group weighs the same",
            "routing counts by text"},
    Formula{"divergence",
            "Jensen-Shannon: mean over groups of sum_e P(e|g) log2 lift; tested by shuffling "
            "groups over whole texts, p = (reached + 1) / (shuffles + 1)",
            "Lin 1991; Benjamini and Hochberg 1995 for q"},
    Formula{
        "imbalance of GPUs",
        "assignments of the busiest GPU / mean over the GPUs, in one layer of a simulated step; "
        "mean over steps and layers, placements judged on texts that they were not decided on",
        "routing by token; EPLB's global policy (github.com/deepseek-ai/EPLB)"},
    Formula{"hits of an expert cache",
            "uses whose expert is one of the C of its layer in fast memory / uses; every C from "
            "one pass over a stack; tokens one at a time, their experts together",
            "Mattson et al. 1970; Belady 1966 for the optimum"},
    Formula{"numerics",
            "KL: mean over tokens of sum_t p_A(t) ln(p_A(t) / p_B(t)); relative error of a layer: "
            "|h_B - h_A| / |h_A| of what leaves it; same experts: the chosen set is unchanged",
            "evals/compare_numerics.h"},
    Formula{"intervals", "95 %, by the method named in each row", "metrics of the run file"},
};

}  // namespace

std::string renderMethod(const ReportRun& run, const SectionContext& at) {
    HtmlTable formulas("Formulas", {{"quantity"}, {"formula"}, {"source"}});
    for (const Formula& row : kFormulas) formulas.row({row.quantity, row.formula, row.source});
    std::string out = paragraph(
        "x is the number of assignments of one expert in one layer, T the tokens, k the experts "
        "per token, E the "
        "experts per layer. Sizes are decimal: 1 GB = 1,000,000,000 bytes. n/a: not measured.");
    out += formulas.html();
    out += at.heading(1, "Source");
    HtmlTable source("Where the numbers come from", {{"fact"}, {"value"}});
    source.row({"run file", run.source});
    source.row({"SHA-256", run.sha256.empty() ? std::string(kNoData) : run.sha256});
    source.row({"report made by", "moescope " + toolVersion()});
    return out + source.html();
}

}  // namespace moescope
