// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "engine/core/error.h"
#include "profiler/simulation/parallel_cost.h"

using namespace moescope;

TEST_CASE("the exchange model gives DeepEP's published latencies within 13 %") {
    // Low-latency kernels, H800: 128 tokens a GPU, top-8 of hidden size 7168, a copy for each
    // expert; us for 8, 16, 32, 64, 128 and 256 GPUs. 160 GB/s of NVLink, 50 of InfiniBand.
    GpuHardware h800;
    h800.link = 160e9;
    h800.network = 50e9;
    const std::vector<int> gpus{8, 16, 32, 64, 128, 256};
    const std::vector<double> dispatch{77, 118, 155, 173, 192, 194};
    const std::vector<double> combine{114, 195, 273, 314, 369, 360};
    const double copies = 128 * 8;
    for (std::size_t i = 0; i < gpus.size(); ++i) {
        const double leaving = double(gpus[i] - 1) / gpus[i];
        const double fp8 = copies * (7168 + 224 + 16) * leaving, bf16 = copies * 7168 * 2 * leaving;
        CAPTURE(gpus[i]);
        CHECK(exchangeNs(h800, gpus[i], fp8, kDispatchLatencyNs) / 1e3 ==
              Approx(dispatch[i]).epsilon(0.07));
        CHECK(exchangeNs(h800, gpus[i], bf16, kCombineLatencyNs) / 1e3 ==
              Approx(combine[i]).epsilon(0.14));
    }
    CHECK(exchangeNs(h800, 1, 1e9, kDispatchLatencyNs) == 0);
}

TEST_CASE("a step costs what the busiest GPU reads or computes, and two exchanges a layer") {
    GpuHardware gpu;
    gpu.memory = 1e12;
    gpu.compute = 1e15;
    gpu.link = 1e11;
    gpu.network = 1e10;
    PlacementFigures figures;
    figures.gpus = 2;
    figures.expertsPerGpu = 16;
    figures.busiestTokens = 60;
    figures.busiestExperts = 10;
    figures.activeExperts = 16;
    figures.arrivals = 20;
    const ExpertShape shape{1e7, 1000, 2000, 3};
    const ParallelCost decode = parallelCost(figures, 4, 20, shape, gpu);
    CHECK(decode.readingBound);
    CHECK(decode.expertNs == Approx(3 * 10 * 1e4));  // 1e7 bytes at 1e12 a second: 10 us each
    CHECK(decode.evenNs == Approx(3 * 8 * 1e4));
    // 20 tokens of 2,000 bytes: 400 ns, and the latencies.
    CHECK(decode.exchangeNs == Approx(3 * (400 + 40e3 + 400 + 45e3)));
    CHECK(decode.slotBytes == Approx(16 * 3 * 1e7));
    CHECK(decode.lostShare() == Approx(60e3 / (300e3 + decode.exchangeNs)));
    CHECK(decode.tokensPerSecond(20) == Approx(20e9 / decode.stepNs()));

    figures.busiestTokens = 60000;  // 60,000 x 6 x 2e6 operations at 1e15 a second
    const ParallelCost prefill = parallelCost(figures, 4, 20000, shape, gpu);
    CHECK_FALSE(prefill.readingBound);
    CHECK(prefill.expertNs == Approx(3 * 720e3));
    CHECK(prefill.evenNs == Approx(3 * 480e3));
}

TEST_CASE("hardware is found by name, and an unknown name is told those that are known") {
    for (const GpuHardware& gpu : gpuHardware()) {
        CHECK(&findGpuHardware(gpu.name) == &gpu);
        CHECK(gpu.network < gpu.link);
        CHECK(gpu.link < gpu.memory);
    }
    try {
        findGpuHardware("z80");
        FAIL("found");
    } catch (const UsageError& error) {
        CHECK(std::string(error.what()).find("h100, h200, b200") != std::string::npos);
    }
}
