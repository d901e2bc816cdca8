// SPDX-License-Identifier: Apache-2.0
// Parameter structs of CUPTI 13.0 for counters sampled over time (cupti_pmsampling.h). As in
// counter_api.h each begins with the number of its bytes that the caller knows: up to the last
// member, without the padding behind it, which CUPTI compares exactly.
#pragma once

#include <cstddef>
#include <cstdint>

namespace moescope::cupti {

struct SamplingObject;  // CUpti_PmSampling_Object

inline constexpr std::uint32_t kTriggerTimeInterval = 1;  ///< ns; from GA10x on, GH100 too
inline constexpr std::uint32_t kKeepOldest = 0;           ///< a full buffer is an error
inline constexpr std::uint32_t kStopCounterDataFull = 1;  ///< CUpti_PmSampling_DecodeStopReason

struct SamplingAvailabilityParams {  // CUpti_PmSampling_GetCounterAvailability_Params
    std::size_t structSize = sizeof(SamplingAvailabilityParams);
    void* priv = nullptr;
    std::size_t device = 0;
    std::size_t bytes = 0;  ///< out when image is null
    std::uint8_t* image = nullptr;
};

struct SamplingEnableParams {  // CUpti_PmSampling_Enable_Params
    std::size_t structSize = sizeof(SamplingEnableParams);
    void* priv = nullptr;
    std::size_t device = 0;
    SamplingObject* object = nullptr;  ///< out
};

struct SamplingObjectParams {  // Disable, Start, Stop
    std::size_t structSize = sizeof(SamplingObjectParams);
    void* priv = nullptr;
    SamplingObject* object = nullptr;
};

struct SamplingConfigParams {  // CUpti_PmSampling_SetConfig_Params
    std::size_t structSize = sizeof(SamplingConfigParams);
    void* priv = nullptr;
    SamplingObject* object = nullptr;
    std::size_t configBytes = 0;
    const std::uint8_t* config = nullptr;
    std::size_t bufferBytes = 0;  ///< of the hardware's buffer
    std::uint64_t interval = 0;   ///< ns with kTriggerTimeInterval
    std::uint32_t trigger = kTriggerTimeInterval;
    std::uint32_t append = kKeepOldest;
};

struct SamplingSizeParams {  // CUpti_PmSampling_GetCounterDataSize_Params
    std::size_t structSize = sizeof(SamplingSizeParams);
    void* priv = nullptr;
    SamplingObject* object = nullptr;
    const char** names = nullptr;
    std::size_t count = 0;
    std::uint32_t maxSamples = 0;
    std::size_t bytes = 0;  ///< out
};

struct SamplingImageParams {  // CUpti_PmSampling_CounterDataImage_Initialize_Params
    std::size_t structSize = sizeof(SamplingImageParams);
    void* priv = nullptr;
    SamplingObject* object = nullptr;
    std::size_t bytes = 0;
    std::uint8_t* data = nullptr;
};

struct SamplingDecodeParams {  // CUpti_PmSampling_DecodeData_Params
    std::size_t structSize = 5 * sizeof(void*) + sizeof(std::uint32_t) + sizeof(std::uint8_t);
    void* priv = nullptr;
    SamplingObject* object = nullptr;
    std::uint8_t* data = nullptr;
    std::size_t bytes = 0;
    std::uint32_t stopReason = 0;  ///< out
    std::uint8_t overflow = 0;     ///< out: the hardware's buffer was full
};

struct SamplingCountParams {  // CUpti_PmSampling_GetCounterDataInfo_Params
    std::size_t structSize = sizeof(SamplingCountParams);
    void* priv = nullptr;
    const std::uint8_t* data = nullptr;
    std::size_t bytes = 0;
    std::size_t total = 0, populated = 0, completed = 0;  ///< out
};

struct SamplingInfoParams {  // CUpti_PmSampling_CounterData_GetSampleInfo_Params
    std::size_t structSize = sizeof(SamplingInfoParams);
    void* priv = nullptr;
    SamplingObject* object = nullptr;
    const std::uint8_t* data = nullptr;
    std::size_t bytes = 0;
    std::size_t sample = 0;
    std::uint64_t start = 0, end = 0;  ///< out: ns, CLOCK_REALTIME
};

}  // namespace moescope::cupti
