// SPDX-License-Identifier: Apache-2.0
// The part of CUPTI that plans and reads hardware counters, as a table of functions filled from an
// already loaded library. The Host functions work without a driver and without a GPU.
#pragma once

#include <memory>
#include <string>

#include "profiler/cupti/cupti_api.h"

namespace moescope::cupti {

struct HostObject;  // CUpti_Profiler_Host_Object

inline constexpr std::uint32_t kRangeProfilerType = 0;

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

struct CounterApi {
    std::uint32_t (*hostInitialize)(HostInitializeParams*) = nullptr;
    std::uint32_t (*hostDeinitialize)(HostObjectParams*) = nullptr;
    std::uint32_t (*hostAddMetrics)(HostAddMetricsParams*) = nullptr;
    std::uint32_t (*hostImageSize)(HostImageSizeParams*) = nullptr;
    std::uint32_t (*hostImage)(HostImageParams*) = nullptr;
    std::uint32_t (*hostPasses)(HostPassesParams*) = nullptr;
    std::uint32_t (*hostProperties)(HostPropertiesParams*) = nullptr;
};

/// Null when the library lacks a function; `reason` then is one sentence. The library must outlive
/// the table. CUPTI loads libnvperf_host.so, which must lie beside it, when it is first called.
std::unique_ptr<CounterApi> counterApi(const CuptiLibrary& library, std::string& reason);

}  // namespace moescope::cupti
