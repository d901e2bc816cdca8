// SPDX-License-Identifier: Apache-2.0
#include "profiler/cupti/counter_api.h"

#include <dlfcn.h>

#include "engine/core/error.h"

namespace moescope::cupti {

std::unique_ptr<CounterApi> counterApi(const CuptiLibrary& library, std::string& reason) {
    auto api = std::make_unique<CounterApi>();
    bool all = true;
    const auto find = [&](auto& pointer, const char* symbol) {
        pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(
            ::dlsym(library.handle, symbol));
        if (pointer != nullptr || !all) return;
        all = false;
        reason = library.path.string() + " has no function " + symbol;
    };
    find(api->hostInitialize, "cuptiProfilerHostInitialize");
    find(api->hostDeinitialize, "cuptiProfilerHostDeinitialize");
    find(api->hostAddMetrics, "cuptiProfilerHostConfigAddMetrics");
    find(api->hostImageSize, "cuptiProfilerHostGetConfigImageSize");
    find(api->hostImage, "cuptiProfilerHostGetConfigImage");
    find(api->hostPasses, "cuptiProfilerHostGetNumOfPasses");
    find(api->hostProperties, "cuptiProfilerHostGetMetricProperties");
    find(api->hostEvaluate, "cuptiProfilerHostEvaluateToGpuValues");
    find(api->initialize, "cuptiProfilerInitialize");
    find(api->chipName, "cuptiDeviceGetChipName");
    find(api->availability, "cuptiProfilerGetCounterAvailability");
    find(api->rangeEnable, "cuptiRangeProfilerEnable");
    find(api->rangeDisable, "cuptiRangeProfilerDisable");
    find(api->rangeDataSize, "cuptiRangeProfilerGetCounterDataSize");
    find(api->rangeDataInitialize, "cuptiRangeProfilerCounterDataImageInitialize");
    find(api->rangeConfigure, "cuptiRangeProfilerSetConfig");
    find(api->rangeStart, "cuptiRangeProfilerStart");
    find(api->rangeStop, "cuptiRangeProfilerStop");
    find(api->rangePush, "cuptiRangeProfilerPushRange");
    find(api->rangePop, "cuptiRangeProfilerPopRange");
    find(api->rangeDecode, "cuptiRangeProfilerDecodeData");
    find(api->rangeCount, "cuptiRangeProfilerGetCounterDataInfo");
    find(api->rangeInfo, "cuptiRangeProfilerCounterDataGetRangeInfo");
    find(api->samplingAvailability, "cuptiPmSamplingGetCounterAvailability");
    find(api->samplingEnable, "cuptiPmSamplingEnable");
    find(api->samplingDisable, "cuptiPmSamplingDisable");
    find(api->samplingConfigure, "cuptiPmSamplingSetConfig");
    find(api->samplingDataSize, "cuptiPmSamplingGetCounterDataSize");
    find(api->samplingDataInitialize, "cuptiPmSamplingCounterDataImageInitialize");
    find(api->samplingStart, "cuptiPmSamplingStart");
    find(api->samplingStop, "cuptiPmSamplingStop");
    find(api->samplingDecode, "cuptiPmSamplingDecodeData");
    find(api->samplingCount, "cuptiPmSamplingGetCounterDataInfo");
    find(api->samplingInfo, "cuptiPmSamplingCounterDataGetSampleInfo");
    if (!all) return nullptr;
    return api;
}

CounterHost::CounterHost(const CounterApi& counters, const CuptiApi& api, const std::string& chip,
                         std::span<const std::uint8_t> availability, std::uint32_t profilerType)
    : counters_(counters) {
    HostInitializeParams params;
    params.profilerType = profilerType;
    params.chip = chip.c_str();
    params.availability = availability.empty() ? nullptr : availability.data();
    const std::uint32_t result = counters.hostInitialize(&params);
    if (result != kSuccess || params.host == nullptr)
        throw Error(
            "counters of the chip " + chip + " cannot be planned: " + resultText(api, result),
            "libnvperf_host.so must lie beside libcupti.so.13");
    host_ = params.host;
}

CounterHost::~CounterHost() {
    HostObjectParams params;
    params.host = host_;
    counters_.hostDeinitialize(&params);
}

std::uint32_t CounterHost::evaluate(std::span<const std::uint8_t> data, std::size_t range,
                                    std::span<const char*> names, std::span<double> values) const {
    HostEvaluateParams evaluate;
    evaluate.host = host_;
    evaluate.data = data.data();
    evaluate.bytes = data.size();
    evaluate.range = range;
    evaluate.names = names.data();
    evaluate.count = names.size();
    evaluate.values = values.data();
    return counters_.hostEvaluate(&evaluate);
}

}  // namespace moescope::cupti
