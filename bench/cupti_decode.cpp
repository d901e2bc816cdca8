// SPDX-License-Identifier: Apache-2.0
// How fast CUPTI's records are decoded and joined, and in how much memory: buffers of SYNTHETIC
// launches (external id, API call, kernel) as 4 MiB pieces, one thread, beside a bare walk with the
// real cuptiActivityGetNextRecord where the library is installed.
//
//   bench_cupti_decode [MILLIONS OF RECORDS, default 10]
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "profiler/cupti/buffer_exchange.h"
#include "profiler/cupti/pipeline.h"

namespace {

using namespace moescope;
using namespace moescope::cupti;

double cpuSeconds() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

double peakMegabytes() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return double(usage.ru_maxrss) / 1024;
}

struct Counter final : DeviceEventSink {
    std::uint64_t events = 0, attributed = 0;
    void onEvent(const DeviceEvent& event) override {
        ++events;
        attributed += event.attributed;
    }
};

/// Fills buffers with launches; kernels come `late` launches behind, as they do on a device.
class Stream {
public:
    Stream(std::size_t names, bool graphs) : graphs_(graphs) {
        for (std::size_t i = 0; i < names; ++i) names_.push_back("_Z7kernel" + std::to_string(i));
    }

    std::size_t fill(std::vector<std::uint64_t>& buffer) {
        std::size_t at = 0;
        const auto put = [&](const auto& record) {
            std::memcpy(buffer.data() + at, &record, sizeof record);
            at += sizeof record / 8;
        };
        constexpr std::size_t kLaunchWords = (24 + 40 + 216) / 8;
        std::size_t records = 0;
        while (at + kLaunchWords <= buffer.size()) {
            // In a graph 300 kernels share one launch.
            const bool newLaunch = !graphs_ || launched_ % 300 == 0;
            if (newLaunch) {
                ExternalRecord external{};
                external.kind = kExternalCorrelation;
                external.externalKind = kExternalKindCustom0;
                external.correlationId = ++correlation_;
                external.externalId =
                    packScope({std::int64_t(launched_ / 300), std::int32_t(launched_ % 300),
                               std::int32_t(launched_ % 24), Op::Experts});
                put(external);
                ApiRecord api{};
                api.kind = kRuntime;
                api.correlationId = correlation_;
                api.start = launched_ * 3000 + 1;
                api.end = api.start + 1000;
                put(api);
                records += 2;
            }
            if (launched_ >= kLate) {
                const std::uint64_t i = launched_ - kLate;
                KernelRecord kernel{};
                kernel.kind = kConcurrentKernel;
                kernel.correlationId = std::uint32_t(graphs_ ? i / 300 + 1 : correlation_ - kLate);
                kernel.start = i * 3000 + 2000;
                kernel.end = kernel.start + 2500;
                kernel.name = names_[i % names_.size()].c_str();
                kernel.graphNodeId = graphs_ ? 1000 + i % 300 : 0;
                put(kernel);
                ++records;
            }
            ++launched_;
        }
        bytes_ = at * 8;
        return records;
    }
    std::size_t bytes() const { return bytes_; }

private:
    static constexpr std::uint64_t kLate = 100;
    bool graphs_;
    std::vector<std::string> names_;
    std::uint64_t launched_ = 0;
    std::uint32_t correlation_ = 0;
    std::size_t bytes_ = 0;
};

void run(const char* label, std::uint64_t most, bool graphs, NextRecord next) {
    Counter sink;
    Pipeline pipeline(sink, next);
    if (graphs) {
        pipeline.nodes().beginCapture(1);
        for (int i = 0; i < 300; ++i) {
            pipeline.nodes().setOperation(i / 12, Op(i % 9));
            pipeline.nodes().nodeCreated(std::uint64_t{1000} + static_cast<std::uint64_t>(i),
                                         kNodeKernel);
        }
        pipeline.nodes().endCapture();
    }
    Stream stream(60, graphs);
    std::vector<std::uint64_t> buffer(BufferExchange::kBufferBytes / 8);
    std::uint64_t records = 0, bytes = 0;
    double seconds = 0, first = 0;
    while (records < most) {
        records += stream.fill(buffer);
        bytes += stream.bytes();
        const double before = cpuSeconds();
        pipeline.onBuffer({reinterpret_cast<std::uint8_t*>(buffer.data()), stream.bytes()});
        seconds += cpuSeconds() - before;
        if (first == 0) first = peakMegabytes();
    }
    std::printf(
        "%-28s %6.2f M records %6.0f MB  %6.2f M records/s  %5.1f ns each  attributed %.4f"
        "  peak RSS %.0f MB (after the first buffer %.0f)\n",
        label, double(records) * 1e-6, double(bytes) * 1e-6, double(records) / seconds * 1e-6,
        seconds / double(records) * 1e9, double(sink.attributed) / double(sink.events),
        peakMegabytes(), first);
}

void walk(std::uint64_t most, NextRecord next) {
    Stream stream(60, false);
    std::vector<std::uint64_t> buffer(BufferExchange::kBufferBytes / 8);
    std::uint64_t records = 0;
    double seconds = 0;
    while (records < most) {
        stream.fill(buffer);
        const double before = cpuSeconds();
        void* record = nullptr;
        while (next(reinterpret_cast<std::uint8_t*>(buffer.data()), stream.bytes(), &record) ==
               kSuccess)
            ++records;
        seconds += cpuSeconds() - before;
    }
    std::printf("%-28s %6.2f M records %18.2f M records/s  %5.1f ns each\n",
                "bare walk, CUPTI's own", double(records) * 1e-6, double(records) / seconds * 1e-6,
                seconds / double(records) * 1e9);
}

}  // namespace

int main(int argc, char** argv) {
    const double millions = argc > 1 ? std::atof(argv[1]) : 10;
    const auto most = std::uint64_t(std::max(millions, 0.1) * 1e6);
    std::string reason;
    const auto library = loadCupti(reason);
    run("eager, our walk", most, false, nullptr);
    run("graph nodes, our walk", most, true, nullptr);
    if (library) {
        run("eager, CUPTI's walk", most, false, library->api.nextRecord);
        walk(most, library->api.nextRecord);
    } else {
        std::printf("CUPTI's walk: skipped: %s\n", reason.c_str());
    }
    return 0;
}
