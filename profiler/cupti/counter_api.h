// SPDX-License-Identifier: Apache-2.0
// The part of CUPTI that plans and reads hardware counters, as a table of functions filled from an
// already loaded library. The Host functions work without a driver and without a GPU.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "profiler/cupti/cupti_api.h"
#include "profiler/cupti/sampling_params.h"

namespace moescope::cupti {

struct HostObject;  // CUpti_Profiler_Host_Object

inline constexpr std::uint32_t kRangeProfilerType = 0, kSamplingType = 1;  // CUpti_ProfilerType

// Parameter structs of CUPTI 13.0. Each begins with the number of its bytes that the caller knows.

struct HostInitializeParams {  // CUpti_Profiler_Host_Initialize_Params
    std::size_t structSize = sizeof(HostInitializeParams);
    void* priv = nullptr;
    std::uint32_t profilerType = kRangeProfilerType;
    const char* chip = nullptr;
    const std::uint8_t* availability = nullptr;  ///< null: every counter of the chip
    HostObject* host = nullptr;                  ///< out
};

struct HostObjectParams {  // CUpti_Profiler_Host_Deinitialize_Params
    std::size_t structSize = sizeof(HostObjectParams);
    void* priv = nullptr;
    HostObject* host = nullptr;
};

struct HostAddMetricsParams {  // CUpti_Profiler_Host_ConfigAddMetrics_Params
    std::size_t structSize = sizeof(HostAddMetricsParams);
    void* priv = nullptr;
    HostObject* host = nullptr;
    const char** names = nullptr;
    std::size_t count = 0;
};

struct HostImageSizeParams {  // CUpti_Profiler_Host_GetConfigImageSize_Params
    std::size_t structSize = sizeof(HostImageSizeParams);
    void* priv = nullptr;
    HostObject* host = nullptr;
    std::size_t bytes = 0;  ///< out
};

struct HostImageParams {  // CUpti_Profiler_Host_GetConfigImage_Params
    std::size_t structSize = sizeof(HostImageParams);
    void* priv = nullptr;
    HostObject* host = nullptr;
    std::size_t bytes = 0;
    std::uint8_t* image = nullptr;
};

struct HostPassesParams {  // CUpti_Profiler_Host_GetNumOfPasses_Params
    std::size_t structSize = sizeof(HostPassesParams);
    void* priv = nullptr;
    std::size_t bytes = 0;
    std::uint8_t* image = nullptr;
    std::size_t passes = 0;  ///< out
};

struct HostPropertiesParams {  // CUpti_Profiler_Host_GetMetricProperties_Params
    /// Up to the last member, without the padding behind it: CUPTI compares exactly.
    std::size_t structSize = 7 * sizeof(void*) + sizeof(std::uint32_t);
    void* priv = nullptr;
    HostObject* host = nullptr;
    const char* name = nullptr;
    const char *description = nullptr, *hardwareUnit = nullptr, *dimUnit = nullptr;  ///< out
    std::uint32_t type = 0;                                                          ///< out
};

struct HostEvaluateParams {  // CUpti_Profiler_Host_EvaluateToGpuValues_Params
    std::size_t structSize = sizeof(HostEvaluateParams);
    void* priv = nullptr;
    HostObject* host = nullptr;
    const std::uint8_t* data = nullptr;
    std::size_t bytes = 0;
    std::size_t range = 0;
    const char** names = nullptr;
    std::size_t count = 0;
    double* values = nullptr;  ///< out
};

struct InitializeParams {  // CUpti_Profiler_Initialize_Params
    std::size_t structSize = sizeof(InitializeParams);
    void* priv = nullptr;
};

struct ChipNameParams {  // CUpti_Device_GetChipName_Params
    std::size_t structSize = sizeof(ChipNameParams);
    void* priv = nullptr;
    std::size_t device = 0;
    const char* chip = nullptr;  ///< out
};

struct AvailabilityParams {  // CUpti_Profiler_GetCounterAvailability_Params
    std::size_t structSize = sizeof(AvailabilityParams);
    void* priv = nullptr;
    void* context = nullptr;
    std::size_t bytes = 0;  ///< out when image is null
    std::uint8_t* image = nullptr;
};

struct RangeObject;  // CUpti_RangeProfiler_Object

struct RangeEnableParams {  // CUpti_RangeProfiler_Enable_Params
    std::size_t structSize = sizeof(RangeEnableParams);
    void* priv = nullptr;
    void* context = nullptr;
    RangeObject* object = nullptr;  ///< out
};

struct RangeObjectParams {  // Disable, Start, PopRange
    std::size_t structSize = sizeof(RangeObjectParams);
    void* priv = nullptr;
    RangeObject* object = nullptr;
};

struct RangeSizeParams {  // CUpti_RangeProfiler_GetCounterDataSize_Params
    std::size_t structSize = sizeof(RangeSizeParams);
    void* priv = nullptr;
    RangeObject* object = nullptr;
    const char** names = nullptr;
    std::size_t count = 0;
    std::size_t maxRanges = 0;
    std::uint32_t maxTreeNodes = 0;
    std::size_t bytes = 0;  ///< out
};

struct RangeImageParams {  // CUpti_RangeProfiler_CounterDataImage_Initialize_Params
    std::size_t structSize = sizeof(RangeImageParams);
    void* priv = nullptr;
    RangeObject* object = nullptr;
    std::size_t bytes = 0;
    std::uint8_t* data = nullptr;
};

struct RangeConfigParams {  // CUpti_RangeProfiler_SetConfig_Params
    std::size_t structSize = 11 * sizeof(void*) + sizeof(std::uint16_t);
    void* priv = nullptr;
    RangeObject* object = nullptr;
    std::size_t configBytes = 0;
    const std::uint8_t* config = nullptr;  ///< kept by CUPTI until Disable
    std::size_t dataBytes = 0;
    std::uint8_t* data = nullptr;
    std::uint32_t range = 2;       ///< CUPTI_UserRange
    std::uint32_t replayMode = 3;  ///< CUPTI_UserReplay
    std::size_t maxRangesPerPass = 0;
    std::uint16_t nestingLevels = 1, minNestingLevel = 1;
    std::size_t passIndex = 0;
    std::uint16_t targetNestingLevel = 1;
};

struct RangeStopParams {  // CUpti_RangeProfiler_Stop_Params
    std::size_t structSize = 5 * sizeof(void*) + sizeof(std::uint8_t);
    void* priv = nullptr;
    RangeObject* object = nullptr;
    std::size_t passIndex = 0, targetNestingLevel = 0;  ///< out
    std::uint8_t allPassesSubmitted = 0;                ///< out
};

struct RangePushParams {  // CUpti_RangeProfiler_PushRange_Params
    std::size_t structSize = sizeof(RangePushParams);
    void* priv = nullptr;
    RangeObject* object = nullptr;
    const char* name = nullptr;
};

struct RangeDecodeParams {  // CUpti_RangeProfiler_DecodeData_Params
    std::size_t structSize = sizeof(RangeDecodeParams);
    void* priv = nullptr;
    RangeObject* object = nullptr;
    std::size_t dropped = 0;  ///< out: ranges
};

struct RangeCountParams {  // CUpti_RangeProfiler_GetCounterDataInfo_Params
    std::size_t structSize = sizeof(RangeCountParams);
    void* priv = nullptr;
    const std::uint8_t* data = nullptr;
    std::size_t bytes = 0;
    std::size_t ranges = 0;  ///< out
};

struct RangeInfoParams {  // CUpti_RangeProfiler_CounterData_GetRangeInfo_Params
    std::size_t structSize = sizeof(RangeInfoParams);
    void* priv = nullptr;
    const std::uint8_t* data = nullptr;
    std::size_t bytes = 0;
    std::size_t range = 0;
    const char* delimiter = "/";
    const char* name = nullptr;  ///< out; to be freed by us
};

struct CounterApi {
    std::uint32_t (*hostInitialize)(HostInitializeParams*) = nullptr;
    std::uint32_t (*hostDeinitialize)(HostObjectParams*) = nullptr;
    std::uint32_t (*hostAddMetrics)(HostAddMetricsParams*) = nullptr;
    std::uint32_t (*hostImageSize)(HostImageSizeParams*) = nullptr;
    std::uint32_t (*hostImage)(HostImageParams*) = nullptr;
    std::uint32_t (*hostPasses)(HostPassesParams*) = nullptr;
    std::uint32_t (*hostProperties)(HostPropertiesParams*) = nullptr;
    std::uint32_t (*hostEvaluate)(HostEvaluateParams*) = nullptr;

    // These need a device. Without a driver two of them crash: ask Availability first.
    std::uint32_t (*initialize)(InitializeParams*) = nullptr;
    std::uint32_t (*chipName)(ChipNameParams*) = nullptr;
    std::uint32_t (*availability)(AvailabilityParams*) = nullptr;
    std::uint32_t (*rangeEnable)(RangeEnableParams*) = nullptr;
    std::uint32_t (*rangeDisable)(RangeObjectParams*) = nullptr;
    std::uint32_t (*rangeDataSize)(RangeSizeParams*) = nullptr;
    std::uint32_t (*rangeDataInitialize)(RangeImageParams*) = nullptr;
    std::uint32_t (*rangeConfigure)(RangeConfigParams*) = nullptr;
    std::uint32_t (*rangeStart)(RangeObjectParams*) = nullptr;
    std::uint32_t (*rangeStop)(RangeStopParams*) = nullptr;
    std::uint32_t (*rangePush)(RangePushParams*) = nullptr;
    std::uint32_t (*rangePop)(RangeObjectParams*) = nullptr;
    std::uint32_t (*rangeDecode)(RangeDecodeParams*) = nullptr;
    std::uint32_t (*rangeCount)(RangeCountParams*) = nullptr;
    std::uint32_t (*rangeInfo)(RangeInfoParams*) = nullptr;

    std::uint32_t (*samplingAvailability)(SamplingAvailabilityParams*) = nullptr;
    std::uint32_t (*samplingEnable)(SamplingEnableParams*) = nullptr;
    std::uint32_t (*samplingDisable)(SamplingObjectParams*) = nullptr;
    std::uint32_t (*samplingConfigure)(SamplingConfigParams*) = nullptr;
    std::uint32_t (*samplingDataSize)(SamplingSizeParams*) = nullptr;
    std::uint32_t (*samplingDataInitialize)(SamplingImageParams*) = nullptr;
    std::uint32_t (*samplingStart)(SamplingObjectParams*) = nullptr;
    std::uint32_t (*samplingStop)(SamplingObjectParams*) = nullptr;
    std::uint32_t (*samplingDecode)(SamplingDecodeParams*) = nullptr;
    std::uint32_t (*samplingCount)(SamplingCountParams*) = nullptr;
    std::uint32_t (*samplingInfo)(SamplingInfoParams*) = nullptr;
};

/// What CUPTI knows of one chip; freed whatever happens. Throws Error for an unknown chip.
class CounterHost {
public:
    /// availability: empty for every counter of the chip. profilerType: which of CUPTI's ways to
    /// count the metrics are planned for; each has counters of its own.
    CounterHost(const CounterApi& counters, const CuptiApi& api, const std::string& chip,
                std::span<const std::uint8_t> availability,
                std::uint32_t profilerType = kRangeProfilerType);
    ~CounterHost();
    CounterHost(const CounterHost&) = delete;
    CounterHost& operator=(const CounterHost&) = delete;

    HostObject* get() const noexcept { return host_; }
    /// CUPTI's code. names, values: (n_metrics); values receives those of range (or sample) `range`
    /// of a counter data image.
    std::uint32_t evaluate(std::span<const std::uint8_t> data, std::size_t range,
                           std::span<const char*> names, std::span<double> values) const;

private:
    const CounterApi& counters_;
    HostObject* host_ = nullptr;
};

/// Null when the library lacks a function; `reason` then is one sentence. The library must outlive
/// the table. CUPTI loads libnvperf_host.so, which must lie beside it, when it is first called.
std::unique_ptr<CounterApi> counterApi(const CuptiLibrary& library, std::string& reason);

}  // namespace moescope::cupti
