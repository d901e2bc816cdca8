// SPDX-License-Identifier: Apache-2.0
// Prefill kernels at the shapes of gpt-oss-20b: speed, and a sample of results against plain loops.
//
//   nvcc -std=c++20 -O3 --expt-relaxed-constexpr -gencode=arch=compute_90a,code=sm_90a -I.
//        -o cuda_prefill bench/cuda_prefill.cu engine/backend/cuda/prefill_*.cu
//        engine/backend/cuda/tensor_map.cu engine/backend/cuda/device_limits.cu   (one line)
//
// Weights are random bits and larger than the second-level cache, by copies where one is not.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "bench/cuda_data.h"
#include "engine/backend/cuda/prefill_product.h"
#include "engine/backend/cuda/tensor_core.h"

using namespace moescope;
using namespace moescope::cuda;
using namespace moescope::cuda::bench;

namespace {

int stepTokens = 2048;
constexpr int kModel = 2880, kFfn = 2880, kExperts = 32, kTopK = 4;
constexpr int kHeads = 64, kKvHeads = 8, kHeadDim = 64;
constexpr int kSamples = 2048;

/// Padding is not zero here: weights are zero where it meets them. The low part is as large as the
/// high one, so that a mistake in either shows.
OperandRows randomRows(WeightFormat format, int rows, int cols, bool low, unsigned seed) {
    OperandRows r;
    const int chunk = chunkColumns(format);
    r.format = format;
    r.stride = (cols + chunk - 1) / chunk * chunk;
    const std::size_t count = static_cast<std::size_t>(rows) * r.stride;
    r.high = allocate<std::uint16_t>(count);
    fill(r.high, count * 2, Fill::Bf16, seed);
    if (low) {
        r.low = allocate<std::uint16_t>(count);
        fill(r.low, count * 2, Fill::Bf16, seed + 1);
    }
    return r;
}

// ---- Plain loops -------------------------------------------------------------------------------

struct Sample {
    int stack, row, x;
};

/// One warp for each sample: the product in double.
__global__ void sampleKernel(DeviceMatrix m, OperandRows x, const Sample* samples, double* out) {
    const Sample s = samples[blockIdx.x];
    double sum = 0.0;
    for (int p = static_cast<int>(threadIdx.x); p < m.paddedCols(); p += kWarp) {
        const std::size_t at = static_cast<std::size_t>(s.x) * x.stride + p;
        double value = fromBf16(x.high[at]);
        if (x.low != nullptr) value += fromBf16(x.low[at]);
        sum += value * weightAt(m, s.stack, s.row, operandColumn(m.format, p));
    }
    for (int offset = 16; offset > 0; offset /= 2) {
        sum += __shfl_xor_sync(kAllLanes, sum, offset);
    }
    if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

std::vector<double> sample(const DeviceMatrix& m, const OperandRows& x,
                           const std::vector<Sample>& samples) {
    auto* const device = allocate<Sample>(samples.size());
    auto* const sums = allocate<double>(samples.size());
    check(
        cudaMemcpy(device, samples.data(), samples.size() * sizeof(Sample), cudaMemcpyHostToDevice),
        "cudaMemcpy");
    sampleKernel<<<static_cast<unsigned>(samples.size()), kWarp>>>(m, x, device, sums);
    check(cudaGetLastError(), "sampling");
    auto result = read(sums, samples.size());
    cudaFree(device);
    cudaFree(sums);
    return result;
}

double errorNorm(const std::vector<double>& a, const std::vector<double>& b) {
    double difference = 0.0, norm = 0.0;
    for (std::size_t i = 0; i < b.size(); ++i) {
        difference += (a[i] - b[i]) * (a[i] - b[i]);
        norm += b[i] * b[i];
    }
    return std::sqrt(difference / norm);
}

// ---- Measuring ---------------------------------------------------------------------------------

std::string json;

/// Mean of `repeats` launches in milliseconds, after two that do not count. A launch gets its
/// number, to choose a copy of its weights by.
double measure(const std::function<void(int)>& run, int repeats = 12) {
    cudaEvent_t from = nullptr, to = nullptr;
    check(cudaEventCreate(&from), "event");
    check(cudaEventCreate(&to), "event");
    run(0);
    run(1);
    check(cudaEventRecord(from, nullptr), "event");
    for (int i = 0; i < repeats; ++i) run(i);
    check(cudaEventRecord(to, nullptr), "event");
    check(cudaEventSynchronize(to), "the kernels");
    float milliseconds = 0.0F;
    check(cudaEventElapsedTime(&milliseconds, from, to), "event");
    cudaEventDestroy(from);
    cudaEventDestroy(to);
    return milliseconds / repeats;
}

/// `error` below 0: not checked.
void report(const std::string& name, double flop, double milliseconds, double error) {
    const double teraflops = flop / milliseconds / 1e9;
    std::printf("%-44s %9.1f us %8.1f TFLOP/s", name.c_str(), milliseconds * 1e3, teraflops);
    if (error >= 0.0) std::printf("   error %.2e%s", error, error < 1e-3 ? "" : "  WRONG");
    std::printf("\n");
    std::fflush(stdout);
    char entry[256];
    std::snprintf(entry, sizeof entry,
                  "%s{\"name\":\"%s\",\"us\":%.2f,\"tflops\":%.2f,\"error\":%.3g}",
                  json.empty() ? "" : ",", name.c_str(), milliseconds * 1e3, teraflops, error);
    json += entry;
}

/// Nothing but the tensor cores: four warps of two blocks on each multiprocessor, operands in
/// registers and shared memory.
__global__ void __launch_bounds__(kProductThreads, 2) peakKernel(float* out, int rounds) {
    auto* const shared = dynamicShared<std::uint32_t>();
    for (int i = static_cast<int>(threadIdx.x); i < 128 * kPanelBytes / 4; i += kProductThreads) {
        shared[i] = packBf16(randomFloat(2 * i), randomFloat(2 * i + 1));
    }
    showToEngines();
    __syncthreads();
    float acc[2][16][4] = {};
    const SwizzledRows rows(shared);
    std::uint32_t a[4];
    for (int i = 0; i < 4; ++i) a[i] = packBf16(randomFloat(threadIdx.x * 4 + i), 0.5F);
    for (int r = 0; r < rounds; ++r) {
        warpgroupFence();
        MOESCOPE_UNROLL
        for (int k = 0; k < 4; ++k) {
            multiplyWarpgroup(acc[0], a, rows.from(32 * k));
            multiplyWarpgroup(acc[1], a, rows.from(32 * k));
        }
        warpgroupCommit();
        warpgroupWait<0>();
    }
    float sum = 0.0F;
    MOESCOPE_UNROLL
    for (int j = 0; j < 16; ++j) sum += acc[0][j][0] + acc[1][j][3];
    out[blockIdx.x * kProductThreads + threadIdx.x] = sum;
}

void benchPeak(int multiprocessors) {
    const int blocks = 2 * multiprocessors;
    auto* const out = allocate<float>(static_cast<std::size_t>(blocks) * kProductThreads);
    const int rounds = 2000;
    Launch l;
    l.grid = dim3(static_cast<unsigned>(blocks));
    l.block = dim3(kProductThreads);
    l.sharedBytes = 128 * kPanelBytes;
    const double time = measure([&](int) { launch(l, peakKernel, out, rounds); }, 4);
    report("wgmma alone", 2.0 * blocks * rounds * 128 * 128 * 64, time, -1);
    cudaFree(out);
}

/// A kernel and its tile.
struct Choice {
    const char* name;
    bool warpgroups;
    int tile;  ///< 0: as the kernel chooses it
};

constexpr Choice kChoices[] = {
    {"mma", false, 128},    {"wgmma 160", true, 160}, {"wgmma 128", true, 128},
    {"wgmma 64", true, 64}, {"wgmma 32", true, 32},   {"wgmma chosen", true, 0},
};
std::string only;  ///< what a choice's name must contain

std::vector<Choice> choices(WeightFormat format, bool low) {
    std::vector<Choice> all;
    for (const Choice& c : kChoices) {
        if (c.warpgroups && !(hasWarpgroups() && warpgroupsTake(format, low))) continue;
        if (std::string(c.name).find(only) != std::string::npos) all.push_back(c);
    }
    return all;
}

void multiply(const Product& p, const Choice& c) {
    if (!c.warpgroups) {
        multiplyMma(p, c.tile, nullptr);
    } else if (c.tile == 0) {
        multiplyWarpgroups(p, nullptr);
    } else {
        multiplyWarpgroups(p, c.tile, nullptr);
    }
}

std::string title(const char* what, const Choice& c, bool low) {
    return std::string(what) + ", " + c.name + (low ? ", exact" : "");
}

/// Best time over the choices without low parts.
double benchDense(const char* name, WeightFormat format, int rows, int cols) {
    constexpr int kCopies = 4;
    const DeviceMatrix w = randomMatrix(format, rows, cols, kCopies, 1);
    auto* const out = allocate<float>(static_cast<std::size_t>(stepTokens) * rows);
    double best = 1e9;
    for (const bool low : {false, true}) {
        const OperandRows x = randomRows(format, stepTokens, cols, low, 3);
        for (const Choice& c : choices(format, low)) {
            Projection p;
            p.weights = w;
            p.x = x;
            p.tokens = stepTokens;
            p.out = out;
            p.outStride = rows;
            const double time = measure([&](int i) {
                p.weights.codes = w.tileCodes(i % kCopies, 0);
                if (w.scales != nullptr) p.weights.scales = w.tileScaleWords(i % kCopies, 0);
                multiply(productOf(p), c);
            });
            p.weights = w;
            check(cudaMemset(out, 0xFF, std::size_t{4} * stepTokens * rows), "cudaMemset");
            multiply(productOf(p), c);
            std::mt19937 random(1);
            std::vector<Sample> samples;
            std::vector<double> got;
            const auto all = read(out, static_cast<std::size_t>(stepTokens) * rows);
            for (int i = 0; i < kSamples; ++i) {
                const Sample s{0, static_cast<int>(random() % rows),
                               static_cast<int>(random() % stepTokens)};
                samples.push_back(s);
                got.push_back(all[static_cast<std::size_t>(s.x) * rows + s.row]);
            }
            if (!low) best = std::min(best, time);
            // Scales folded into bf16 weights round them: that much error is expected.
            const bool folded = format == WeightFormat::Q8_0 && c.warpgroups;
            report(title(name, c, low), 2.0 * stepTokens * rows * cols, time,
                   errorNorm(got, sample(w, x, samples)) * (folded ? 0.1 : 1.0));
        }
        cudaFree(x.high);
        cudaFree(x.low);
    }
    cudaFree(out);
    cudaFree(const_cast<uint4*>(w.codes));
    cudaFree(const_cast<std::uint32_t*>(w.scales));
    return best;
}

double activated(double gate, double up) {
    const double g = std::min(gate, 7.0);
    return g / (1 + std::exp(-1.702 * g)) * (std::clamp(up, -7.0, 7.0) + 1);
}

double benchExperts() {
    const int n = stepTokens * kTopK;
    std::mt19937 random(2);
    std::vector<std::int32_t> chosen;
    for (int t = 0; t < stepTokens; ++t) {
        std::vector<std::int32_t> some;
        while (some.size() < kTopK) {
            const auto e = static_cast<std::int32_t>(random() % kExperts);
            if (std::find(some.begin(), some.end(), e) == some.end()) some.push_back(e);
        }
        chosen.insert(chosen.end(), some.begin(), some.end());
    }
    auto* const experts = allocate<std::int32_t>(chosen.size());
    check(cudaMemcpy(experts, chosen.data(), chosen.size() * 4, cudaMemcpyHostToDevice), "copy");
    const ExpertGroups groups{allocate<std::int32_t>(kExperts + 1),
                              allocate<std::int32_t>(chosen.size())};
    const double sorting =
        measure([&](int) { groupByExpert(experts, stepTokens, kTopK, kExperts, groups, nullptr); });
    const auto order = read(groups.slots, chosen.size());
    std::vector<std::int32_t> expected(chosen.size());
    for (int i = 0; i < n; ++i) expected[i] = i;
    std::stable_sort(expected.begin(), expected.end(),
                     [&](int a, int b) { return chosen[a] < chosen[b]; });
    report("sorting slots", 0, sorting, order == expected ? 0 : 1);

    const WeightFormat format = WeightFormat::Mxfp4;
    const DeviceMatrix gateUp = randomMatrix(format, 2 * kFfn, kModel, kExperts, 4);
    const DeviceMatrix down = randomMatrix(format, kModel, kFfn, kExperts, 6);
    auto* const products = allocate<float>(static_cast<std::size_t>(n) * kModel);
    double bestUp = 1e9, bestDown = 1e9;
    for (const bool low : {false, true}) {
        const OperandRows x = randomRows(format, stepTokens, kModel, low, 8);
        const OperandRows hidden = randomRows(format, n, kFfn, low, 10);
        const OperandRows sorted = randomRows(format, n, kModel, low, 12);
        for (const Choice& c : choices(format, low)) {
            ExpertsUp e;
            e.gateUp = gateUp;
            e.x = x;
            e.groups = groups;
            e.tokens = stepTokens;
            e.topK = kTopK;
            e.nExpert = kExperts;
            e.activation = Activation::GptOssSwiGlu;
            e.swigluAlpha = 1.702F;
            e.swigluLimit = 7.0F;
            e.hidden = hidden;
            e.sorted = sorted;
            const double flop = 2.0 * n * kFfn * kModel;
            const double timeUp = measure([&](int) { multiply(productOf(e), c); });
            std::vector<Sample> gates, ups;
            std::vector<double> got, want;
            const std::size_t size = static_cast<std::size_t>(n) * hidden.stride;
            const auto high = read(hidden.high, size);
            const auto rest = low ? read(hidden.low, size) : std::vector<std::uint16_t>();
            for (int i = 0; i < kSamples; ++i) {
                const int at = static_cast<int>(random() % n);
                const int column = static_cast<int>(random() % kFfn);
                const int slot = order[at];
                gates.push_back({chosen[slot], 2 * column, slot / kTopK});
                ups.push_back({chosen[slot], 2 * column + 1, slot / kTopK});
                const std::size_t where =
                    static_cast<std::size_t>(at) * hidden.stride + operandPosition(format, column);
                got.push_back(fromBf16(high[where]) + (low ? fromBf16(rest[where]) : 0.0F));
            }
            const auto g = sample(gateUp, x, gates);
            const auto u = sample(gateUp, x, ups);
            for (int i = 0; i < kSamples; ++i) want.push_back(activated(g[i], u[i]));
            // Stored as bf16 without low parts: that much error is expected.
            const double error = errorNorm(got, want) * (low ? 1.0 : 0.1);
            report(title("experts up", c, low), 2 * flop, timeUp, error);

            ExpertsDown d;
            d.down = down;
            d.hidden = hidden;
            d.groups = groups;
            d.tokens = stepTokens;
            d.topK = kTopK;
            d.nExpert = kExperts;
            d.products = products;
            const double timeDown = measure([&](int) { multiply(productOf(d), c); });
            const auto all = read(products, static_cast<std::size_t>(n) * kModel);
            std::vector<Sample> samples;
            got.clear();
            for (int i = 0; i < kSamples; ++i) {
                const int at = static_cast<int>(random() % n);
                const int row = static_cast<int>(random() % kModel);
                samples.push_back({chosen[order[at]], row, at});
                got.push_back(all[static_cast<std::size_t>(order[at]) * kModel + row]);
            }
            report(title("experts down", c, low), flop, timeDown,
                   errorNorm(got, sample(down, hidden, samples)));
            if (!low) {
                bestUp = std::min(bestUp, timeUp);
                bestDown = std::min(bestDown, timeDown);
            }
        }
        for (void* at : {x.high, x.low, hidden.high, hidden.low, sorted.high, sorted.low})
            cudaFree(at);
    }
    return sorting + bestUp + bestDown;
}

/// Sampled rows of attention on the host; a few, they are slow.
double attentionError(const PrefillAttention& a) {
    const std::size_t width = static_cast<std::size_t>(kKvHeads) * kHeadDim;
    const PrefillRun& run = a.runs[0];
    const auto keys = read(run.keys, run.rows * width);
    const auto values = read(run.values, run.rows * width);
    const auto queries = read(a.queries, static_cast<std::size_t>(run.tokens) * a.queryStride);
    const std::size_t size = static_cast<std::size_t>(run.tokens) * a.out.stride;
    const auto high = read(a.out.high, size);
    const auto low =
        a.out.low != nullptr ? read(a.out.low, size) : std::vector<std::uint16_t>(size);
    std::vector<double> got, want;
    std::mt19937 random(3);
    for (int s = 0; s < 64; ++s) {
        const int t = static_cast<int>(random() % run.tokens);
        const int h = static_cast<int>(random() % kHeads);
        const std::size_t offset = static_cast<std::size_t>(h / (kHeads / kKvHeads)) * kHeadDim;
        double sum = 0.0;
        double total[kHeadDim] = {};
        for (int p = a.window > 0 ? std::max(0, t - a.window + 1) : 0; p <= t; ++p) {
            double score = 0.0;
            for (int i = 0; i < kHeadDim; ++i) {
                score += double{queries[t * a.queryStride + h * kHeadDim + i]} *
                         fromHalf(keys[p * width + offset + i]);
            }
            const double weight = std::exp(score * a.scale);
            sum += weight;
            for (int i = 0; i < kHeadDim; ++i) {
                total[i] += weight * fromHalf(values[p * width + offset + i]);
            }
        }
        for (int i = 0; i < kHeadDim; ++i) {
            const std::size_t at = static_cast<std::size_t>(t) * a.out.stride +
                                   operandPosition(a.out.format, h * kHeadDim + i);
            got.push_back(fromBf16(high[at]) + fromBf16(low[at]));
            want.push_back(total[i] / sum);
        }
    }
    return errorNorm(got, want);
}

/// Time without low parts.
double benchAttention(int window) {
    const std::size_t width = static_cast<std::size_t>(kKvHeads) * kHeadDim;
    auto* const keys = allocate<std::uint16_t>(stepTokens * width);
    auto* const values = allocate<std::uint16_t>(stepTokens * width);
    fill(keys, stepTokens * width * 2, Fill::Half, 20);
    fill(values, stepTokens * width * 2, Fill::Half, 21);
    auto* const queries = allocate<float>(std::size_t(stepTokens) * kHeads * kHeadDim);
    fill(queries, std::size_t{4} * stepTokens * kHeads * kHeadDim, Fill::Float, 22);
    double fast = 0.0;
    for (const bool low : {false, true}) {
        PrefillAttention a;
        a.queries = queries;
        a.queryStride = kHeads * kHeadDim;
        a.window = window;
        a.runCount = 1;
        a.runs[0] = {keys, values, stepTokens, 0, stepTokens, 0};
        a.nHead = kHeads;
        a.nKvHead = kKvHeads;
        a.headDim = kHeadDim;
        a.scale = 0.125F;
        a.out = randomRows(WeightFormat::Bf16, stepTokens, kHeads * kHeadDim, low, 23);
        const double time = measure([&](int) { prefillAttention(a, nullptr); });
        double pairs = 0.0;
        for (int t = 0; t < stepTokens; ++t) pairs += window > 0 ? std::min(window, t + 1) : t + 1;
        const std::string name = window > 0 ? "attention, window 128" : "attention, full";
        report(name + (low ? ", exact" : ""), 4.0 * pairs * kHeads * kHeadDim, time,
               attentionError(a) * (low ? 1.0 : 0.1));
        if (!low) fast = time;
        cudaFree(a.out.high);
        cudaFree(a.out.low);
    }
    for (void* at :
         {static_cast<void*>(keys), static_cast<void*>(values), static_cast<void*>(queries)}) {
        cudaFree(at);
    }
    return fast;
}

}  // namespace

/// cuda_prefill [TOKENS [NAME]]: of a step, 2048; kernels of products whose name contains NAME.
int main(int argc, char** argv) {
    try {
        if (argc > 1) stepTokens = std::atoi(argv[1]);
        if (argc > 2) only = argv[2];
        if (stepTokens < 1) throw Error("TOKENS must be 1 or more");
        cudaDeviceProp properties{};
        check(cudaGetDeviceProperties(&properties, 0), "asking for the device");
        std::printf("%s, %d tokens of gpt-oss-20b's shapes\n", properties.name, stepTokens);
        if (hasWarpgroups()) benchPeak(properties.multiProcessorCount);
        double layer = benchDense("qkv", WeightFormat::Bf16, 5120, kModel);
        layer += benchDense("output", WeightFormat::Bf16, kModel, kHeads * kHeadDim);
        benchDense("qkv q8_0", WeightFormat::Q8_0, 5120, kModel);
        layer += benchExperts();
        layer += (benchAttention(0) + benchAttention(128)) / 2;
        std::printf("a layer %.2f ms, 24 layers %.0f tokens/s without the rest\n", layer,
                    stepTokens / (24 * layer) * 1e3);
        std::printf("{\"device\":\"%s\",\"layer_ms\":%.4f,\"results\":[%s]}\n", properties.name,
                    layer, json.c_str());
        return 0;
    } catch (const Error& error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return 1;
    }
}
