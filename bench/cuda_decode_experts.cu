// SPDX-License-Identifier: Apache-2.0
// The experts of one to eight decoded tokens at the shapes of gpt-oss-20b: each half alone and both
// in turns, in a graph as a step launches them, against the read bandwidth; and a sample of results
// against plain loops. Each launch has other experts than those before it: 32 of them are 425 MB,
// which no second-level cache holds.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>

#include "bench/cuda_data.h"
#include "engine/backend/cuda/decode.h"
#include "engine/backend/cuda/device_activation.h"
#include "engine/backend/cuda/device_limits.h"
#include "engine/backend/cuda/read_bandwidth.h"

using namespace moescope;
using namespace moescope::cuda;
using namespace moescope::cuda::bench;

namespace {

constexpr int kModel = 2880, kFfn = 2880, kExperts = 32, kTopK = 4;
constexpr int kLaunches = 64, kRepeats = 15, kSamples = 512;
constexpr WeightFormat kFormat = WeightFormat::Mxfp4;

struct Data {
    DeviceMatrix gateUp = randomMatrix(kFormat, 2 * kFfn, kModel, kExperts, 4);
    DeviceMatrix down = randomMatrix(kFormat, kModel, kFfn, kExperts, 6);
    float* gateUpBias = allocate<float>(std::size_t{kExperts} * 2 * kFfn);
    float* downBias = allocate<float>(std::size_t{kExperts} * kModel);
    PairRows x = rows(kDecodeTokens, kModel);
    PairRows hidden = rows(kDecodeTokens * kTopK, kFfn);
    RouterChoice choice{allocate<std::int32_t>(kDecodeTokens * kTopK),
                        allocate<float>(kDecodeTokens* kTopK)};
    float* logits = allocate<float>(std::size_t{kLaunches} * kDecodeTokens * kExperts);
    float* out = allocate<float>(std::size_t{kDecodeTokens} * kModel);

    Data() {
        fill(gateUpBias, std::size_t{4} * kExperts * 2 * kFfn, Fill::Float, 1);
        fill(downBias, std::size_t{4} * kExperts * kModel, Fill::Float, 2);
        auto* const in = allocate<float>(std::size_t{kDecodeTokens} * kModel);
        fill(in, std::size_t{4} * kDecodeTokens * kModel, Fill::Float, 3);
        NormRows copy;
        copy.in = in;
        copy.norm.none = true;
        copy.rows = kDecodeTokens;
        copy.width = kModel;
        copy.out = x;
        normRows(copy, nullptr);
    }

private:
    static PairRows rows(int count, int width) {
        PairRows r;
        r.format = kFormat;
        r.stride =
            (width + chunkColumns(kFormat) - 1) / chunkColumns(kFormat) * chunkColumns(kFormat);
        const std::size_t words = static_cast<std::size_t>(count) * r.stride;
        r.words = allocate<std::uint32_t>(words);
        check(cudaMemset(r.words, 0, 4 * words), "cudaMemset");
        r.scale = allocate<float>(static_cast<std::size_t>(count));
        return r;
    }
};

/// Token `token` of launch `launch` chooses kTopK experts in a row, the first one most: no two
/// tokens of a step have the same ones, nor have launches that follow each other.
int firstExpert(int launch, int token, int tokens) {
    return (launch * tokens + token) * kTopK % kExperts;
}

void route(const Data& data, int tokens) {
    std::vector<float> logits(std::size_t{kLaunches} * tokens * kExperts, -3.0F);
    for (int launch = 0; launch < kLaunches; ++launch) {
        for (int t = 0; t < tokens; ++t) {
            float* const of = logits.data() + (std::size_t(launch) * tokens + t) * kExperts;
            for (int k = 0; k < kTopK; ++k)
                of[firstExpert(launch, t, tokens) + k] = 2.0F - 0.5F * static_cast<float>(k);
        }
    }
    check(cudaMemcpy(data.logits, logits.data(), 4 * logits.size(), cudaMemcpyHostToDevice),
          "cudaMemcpy");
}

DecodeExpertsUp upOf(const Data& data, int tokens, int launch) {
    DecodeExpertsUp e;
    e.gateUp = data.gateUp;
    e.bias = data.gateUpBias;
    e.x = data.x;
    e.routerLogits = data.logits + std::size_t(launch) * tokens * kExperts;
    e.rule = {RoutingRule::TopKThenSoftmax, kExperts, kTopK};
    e.choice = data.choice;
    e.tokens = tokens;
    e.topK = kTopK;
    e.nExpert = kExperts;
    e.activation = Activation::GptOssSwiGlu;
    e.swigluAlpha = 1.702F;
    e.swigluLimit = 7.0F;
    e.hidden = data.hidden;
    return e;
}

DecodeExpertsDown downOf(const Data& data, int tokens, int launch) {
    const DecodeExpertsUp up = upOf(data, tokens, launch);
    DecodeExpertsDown e;
    e.down = data.down;
    e.bias = data.downBias;
    e.hidden = data.hidden;
    e.routerLogits = up.routerLogits;
    e.rule = up.rule;
    e.choice = up.choice;
    e.tokens = tokens;
    e.topK = kTopK;
    e.nExpert = kExperts;
    e.out = data.out;
    return e;
}

// ---- Plain loops -------------------------------------------------------------------------------

__device__ double pairAt(const PairRows& rows, int row, int column) {
    const auto* const halves =
        reinterpret_cast<const std::uint16_t*>(rows.words + std::int64_t{row} * rows.stride) +
        16 * octetSlot(rows.format, column) + column % 8;
    return double{fromBf16(halves[0])} + fromBf16(halves[8]);
}

/// By one warp.
__device__ double dot(const DeviceMatrix& m, int expert, int row, const PairRows& x, int rowOfX) {
    double sum = 0.0;
    for (int c = static_cast<int>(threadIdx.x); c < m.cols; c += kWarp)
        sum += pairAt(x, rowOfX, c) * weightAt(m, expert, row, c);
    for (int offset = kWarp / 2; offset > 0; offset /= 2)
        sum += __shfl_xor_sync(kAllLanes, sum, offset);
    return sum;
}

struct Sample {
    int token, place, expert, row;
};

/// found, expected: (n_samples). One warp a sample.
__global__ void sampleUpKernel(DecodeExpertsUp e, const Sample* samples, double* found,
                               double* expected) {
    const Sample s = samples[blockIdx.x];
    double values[2];
    for (int nth = 0; nth < 2; ++nth) {
        const int row = 2 * s.row + nth;
        values[nth] = dot(e.gateUp, s.expert, row, e.x, s.token) * e.x.scale[s.token] +
                      e.bias[s.expert * e.gateUp.rows + row];
    }
    if (threadIdx.x != 0) return;
    found[blockIdx.x] = pairAt(e.hidden, s.token * e.topK + s.place, s.row);
    expected[blockIdx.x] =
        gatedActivated(e.activation, e.swigluAlpha, e.swigluLimit, static_cast<float>(values[0]),
                       static_cast<float>(values[1]));
}

__global__ void sampleDownKernel(DecodeExpertsDown e, const Sample* samples, double* found,
                                 double* expected) {
    const Sample s = samples[blockIdx.x];
    double sum = 0.0;
    for (int k = 0; k < e.topK; ++k) {
        const int at = s.token * e.topK + k;
        const int expert = s.expert + k;
        sum += e.choice.weights[at] *
               (dot(e.down, expert, s.row, e.hidden, at) + e.bias[expert * e.down.rows + s.row]);
    }
    if (threadIdx.x != 0) return;
    found[blockIdx.x] = e.out[s.token * e.down.rows + s.row];
    expected[blockIdx.x] = sum;
}

/// Relative error of a sample of what both halves, launched once, leave behind.
struct Errors {
    double up, down;
};
Errors errorsOf(const Data& data, int tokens) {
    check(cudaMemset(data.out, 0, std::size_t{4} * tokens * kModel), "cudaMemset");
    const DecodeExpertsUp up = upOf(data, tokens, 1);
    const DecodeExpertsDown down = downOf(data, tokens, 1);
    decodeExpertsUp(up, deviceLimits().multiprocessors, nullptr);
    decodeExpertsDown(down, nullptr);
    std::mt19937 random(7);
    std::vector<Sample> samples;
    for (int i = 0; i < kSamples; ++i) {
        Sample s{};
        s.token = static_cast<int>(random() % tokens);
        s.place = static_cast<int>(random() % kTopK);
        s.expert = firstExpert(1, s.token, tokens) + s.place;
        s.row = static_cast<int>(random() % kFfn);
        samples.push_back(s);
    }
    auto* const device = allocate<Sample>(kSamples);
    auto* const sums = allocate<double>(std::size_t{2} * kSamples);
    const auto errorOf = [&](const auto& kernel, const auto& e) {
        check(cudaMemcpy(device, samples.data(), kSamples * sizeof(Sample), cudaMemcpyHostToDevice),
              "cudaMemcpy");
        launch({dim3(kSamples), dim3(kWarp)}, kernel, e, device, sums, sums + kSamples);
        const std::vector<double> both = read(sums, std::size_t{2} * kSamples);
        double difference = 0.0, norm = 0.0;
        for (int i = 0; i < kSamples; ++i) {
            difference += (both[i] - both[kSamples + i]) * (both[i] - both[kSamples + i]);
            norm += both[kSamples + i] * both[kSamples + i];
        }
        return std::sqrt(difference / norm);
    };
    Errors errors{};
    errors.up = errorOf(sampleUpKernel, up);
    for (Sample& s : samples) s.expert -= s.place;
    errors.down = errorOf(sampleDownKernel, down);
    cudaFree(device);
    cudaFree(sums);
    return errors;
}

// ---- Measuring ---------------------------------------------------------------------------------

/// Best and median microseconds of one of kLaunches launches in a graph.
struct Time {
    double best, median;
};
Time measure(const std::function<void(int, cudaStream_t)>& enqueue) {
    cudaStream_t stream = nullptr;
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    cudaEvent_t from = nullptr, to = nullptr;
    check(cudaStreamCreate(&stream), "stream");
    check(cudaEventCreate(&from), "event");
    check(cudaEventCreate(&to), "event");
    enqueue(0, stream);
    check(cudaStreamSynchronize(stream), "the kernels");
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
    for (int i = 0; i < kLaunches; ++i) enqueue(i, stream);
    check(cudaStreamEndCapture(stream, &graph), "capture");
    check(cudaGraphInstantiate(&exec, graph, 0), "graph");
    std::vector<double> times;
    for (int i = 0; i < kRepeats + 2; ++i) {
        check(cudaEventRecord(from, stream), "event");
        check(cudaGraphLaunch(exec, stream), "graph");
        check(cudaEventRecord(to, stream), "event");
        check(cudaEventSynchronize(to), "the kernels");
        float milliseconds = 0.0F;
        check(cudaEventElapsedTime(&milliseconds, from, to), "event");
        if (i >= 2) times.push_back(1e3 * milliseconds / kLaunches);
    }
    std::sort(times.begin(), times.end());
    cudaGraphExecDestroy(exec);
    cudaGraphDestroy(graph);
    cudaEventDestroy(from);
    cudaEventDestroy(to);
    cudaStreamDestroy(stream);
    return {times.front(), times[times.size() / 2]};
}

/// Bytes of a matrix that a product must read: 17 for each 32 weights.
double bytesOf(const DeviceMatrix& m) {
    return 17.0 * m.rows * ((m.cols + 31) / 32);
}

void report(int tokens, const char* name, double bytes, const Time& time, double bandwidth,
            double error) {
    const double speed = bytes / time.median / 1e3;  // GB/s
    std::printf("%6d  %-4s %9.2f %9.2f %9.0f %7.1f %%", tokens, name, time.best, time.median, speed,
                100.0 * speed / bandwidth);
    // Sums of products of 16 bits of mantissa.
    if (error >= 0.0) std::printf("  error %.1e%s", error, error < 1e-4 ? "" : "  WRONG");
    std::printf("\n");
    std::fflush(stdout);
}

}  // namespace

/// bench_cuda_decode_experts [TOKENS...]: of a step, 1 to 8; 1 2 4 8 when there are none.
int main(int argc, char** argv) {
    try {
        std::vector<int> steps;
        for (int i = 1; i < argc; ++i) {
            steps.push_back(std::atoi(argv[i]));
            if (steps.back() < 1 || steps.back() > kDecodeTokens)
                throw Error("TOKENS must be 1 to 8");
        }
        if (steps.empty()) steps = {1, 2, 4, 8};
        cudaDeviceProp properties{};
        check(cudaGetDeviceProperties(&properties, 0), "asking for the device");
        const int multiprocessors = deviceLimits().multiprocessors;
        constexpr std::size_t kRead = std::size_t{1} << 30;
        auto* const memory = allocate<uint4>(kRead / sizeof(uint4));
        const double bandwidth = readBandwidthOf(memory, kRead, multiprocessors) / 1e9;
        cudaFree(memory);
        std::printf("%s, read bandwidth %.0f GB/s\n", properties.name, bandwidth);
        std::printf("tokens  half   best us median us      GB/s    share\n");
        const Data data;
        const double upBytes = bytesOf(data.gateUp), downBytes = bytesOf(data.down);
        for (const int tokens : steps) {
            route(data, tokens);
            const int experts = std::min(tokens * kTopK, kExperts);
            const auto up = [&](int launch, cudaStream_t stream) {
                decodeExpertsUp(upOf(data, tokens, launch), multiprocessors, stream);
            };
            const auto down = [&](int launch, cudaStream_t stream) {
                decodeExpertsDown(downOf(data, tokens, launch), stream);
            };
            const Errors errors = errorsOf(data, tokens);
            report(tokens, "up", experts * upBytes, measure(up), bandwidth, errors.up);
            report(tokens, "down", experts * downBytes, measure(down), bandwidth, errors.down);
            const Time both = measure([&](int launch, cudaStream_t stream) {
                up(launch, stream);
                down(launch, stream);
            });
            report(tokens, "both", experts * (upBytes + downBytes), both, bandwidth, -1);
        }
        return 0;
    } catch (const Error& error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return 1;
    }
}
