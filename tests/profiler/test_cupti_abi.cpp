// SPDX-License-Identifier: Apache-2.0
// Our mirror of CUPTI's layouts against the real headers, where the CUDA toolkit is installed.
#ifdef MOESCOPE_CUPTI_HEADERS
#include <cupti.h>
#include <cupti_pmsampling.h>
#include <cupti_profiler_host.h>
#include <cupti_range_profiler.h>
#include <cupti_target.h>

#include <catch2/catch.hpp>

#include "profiler/cupti/counter_api.h"

namespace abi = moescope::cupti;

#define SAME_SIZE(ours, theirs) static_assert(sizeof(abi::ours) == sizeof(theirs))
#define SAME(ours, our_member, theirs, their_member)                                   \
    static_assert(offsetof(abi::ours, our_member) == offsetof(theirs, their_member) && \
                  sizeof(abi::ours::our_member) == sizeof(theirs::their_member))

// Through an integer: comparing two enumerations is a warning.
#define SAME_VALUE(ours, theirs) \
    static_assert(static_cast<std::uint32_t>(abi::ours) == static_cast<std::uint32_t>(theirs))

SAME_SIZE(KernelRecord, CUpti_ActivityKernel10);
SAME(KernelRecord, registersPerThread, CUpti_ActivityKernel10, registersPerThread);
SAME(KernelRecord, start, CUpti_ActivityKernel10, start);
SAME(KernelRecord, end, CUpti_ActivityKernel10, end);
SAME(KernelRecord, deviceId, CUpti_ActivityKernel10, deviceId);
SAME(KernelRecord, contextId, CUpti_ActivityKernel10, contextId);
SAME(KernelRecord, streamId, CUpti_ActivityKernel10, streamId);
SAME(KernelRecord, gridX, CUpti_ActivityKernel10, gridX);
SAME(KernelRecord, blockZ, CUpti_ActivityKernel10, blockZ);
SAME(KernelRecord, staticSharedMemory, CUpti_ActivityKernel10, staticSharedMemory);
SAME(KernelRecord, dynamicSharedMemory, CUpti_ActivityKernel10, dynamicSharedMemory);
SAME(KernelRecord, correlationId, CUpti_ActivityKernel10, correlationId);
SAME(KernelRecord, name, CUpti_ActivityKernel10, name);
SAME(KernelRecord, queued, CUpti_ActivityKernel10, queued);
SAME(KernelRecord, graphNodeId, CUpti_ActivityKernel10, graphNodeId);
SAME(KernelRecord, graphId, CUpti_ActivityKernel10, graphId);
SAME(KernelRecord, channelId, CUpti_ActivityKernel10, channelID);
SAME(KernelRecord, clusterX, CUpti_ActivityKernel10, clusterX);
SAME(KernelRecord, isDeviceLaunched, CUpti_ActivityKernel10, isDeviceLaunched);
SAME_SIZE(MemcpyRecord, CUpti_ActivityMemcpy6);
SAME(MemcpyRecord, bytes, CUpti_ActivityMemcpy6, bytes);
SAME(MemcpyRecord, correlationId, CUpti_ActivityMemcpy6, correlationId);
SAME(MemcpyRecord, graphNodeId, CUpti_ActivityMemcpy6, graphNodeId);
SAME(MemcpyRecord, copyCount, CUpti_ActivityMemcpy6, copyCount);
SAME_SIZE(MemcpyPeerRecord, CUpti_ActivityMemcpyPtoP4);
SAME(MemcpyPeerRecord, correlationId, CUpti_ActivityMemcpyPtoP4, correlationId);
SAME(MemcpyPeerRecord, graphNodeId, CUpti_ActivityMemcpyPtoP4, graphNodeId);
SAME_SIZE(MemsetRecord, CUpti_ActivityMemset4);
SAME(MemsetRecord, correlationId, CUpti_ActivityMemset4, correlationId);
SAME(MemsetRecord, graphNodeId, CUpti_ActivityMemset4, graphNodeId);
SAME_SIZE(ApiRecord, CUpti_ActivityAPI);
SAME(ApiRecord, correlationId, CUpti_ActivityAPI, correlationId);
SAME(ApiRecord, threadId, CUpti_ActivityAPI, threadId);
SAME_SIZE(ExternalRecord, CUpti_ActivityExternalCorrelation);
SAME(ExternalRecord, externalId, CUpti_ActivityExternalCorrelation, externalId);
SAME(ExternalRecord, correlationId, CUpti_ActivityExternalCorrelation, correlationId);
SAME_SIZE(OverheadRecord, CUpti_ActivityOverhead3);
SAME(OverheadRecord, start, CUpti_ActivityOverhead3, start);
SAME(OverheadRecord, overheadData, CUpti_ActivityOverhead3, overheadData);
SAME_SIZE(EnvironmentRecord, CUpti_ActivityEnvironment);
SAME(EnvironmentRecord, environmentKind, CUpti_ActivityEnvironment, environmentKind);
static_assert(offsetof(abi::EnvironmentRecord, data) == offsetof(CUpti_ActivityEnvironment, data));
SAME_SIZE(GraphTraceRecord, CUpti_ActivityGraphTrace2);
SAME(GraphTraceRecord, graphId, CUpti_ActivityGraphTrace2, graphId);
SAME_SIZE(SynchronizationRecord, CUpti_ActivitySynchronization2);
SAME(SynchronizationRecord, streamId, CUpti_ActivitySynchronization2, streamId);
SAME_SIZE(GraphData, CUpti_GraphData);
SAME(GraphData, originalNode, CUpti_GraphData, originalNode);
SAME(GraphData, nodeType, CUpti_GraphData, nodeType);
SAME_SIZE(ResourceData, CUpti_ResourceData);
SAME_SIZE(StateData, CUpti_StateData);
SAME_SIZE(SubscriberParams, CUpti_SubscriberParams);

SAME_SIZE(HostInitializeParams, CUpti_Profiler_Host_Initialize_Params);
SAME(HostInitializeParams, chip, CUpti_Profiler_Host_Initialize_Params, pChipName);
SAME(HostInitializeParams, host, CUpti_Profiler_Host_Initialize_Params, pHostObject);
SAME_SIZE(HostObjectParams, CUpti_Profiler_Host_Deinitialize_Params);
SAME_SIZE(HostAddMetricsParams, CUpti_Profiler_Host_ConfigAddMetrics_Params);
SAME_SIZE(HostImageSizeParams, CUpti_Profiler_Host_GetConfigImageSize_Params);
SAME_SIZE(HostImageParams, CUpti_Profiler_Host_GetConfigImage_Params);
SAME_SIZE(HostPassesParams, CUpti_Profiler_Host_GetNumOfPasses_Params);
static_assert(offsetof(abi::HostPropertiesParams, type) ==
              offsetof(CUpti_Profiler_Host_GetMetricProperties_Params, metricType));
static_assert(CUpti_Profiler_Host_GetMetricProperties_Params_STRUCT_SIZE ==
              7 * sizeof(void*) + sizeof(std::uint32_t));

SAME_SIZE(HostEvaluateParams, CUpti_Profiler_Host_EvaluateToGpuValues_Params);
SAME_SIZE(InitializeParams, CUpti_Profiler_Initialize_Params);
SAME_SIZE(ChipNameParams, CUpti_Device_GetChipName_Params);
SAME_SIZE(AvailabilityParams, CUpti_Profiler_GetCounterAvailability_Params);
SAME_SIZE(RangeEnableParams, CUpti_RangeProfiler_Enable_Params);
SAME_SIZE(RangeObjectParams, CUpti_RangeProfiler_Start_Params);
SAME_SIZE(RangeObjectParams, CUpti_RangeProfiler_Disable_Params);
SAME_SIZE(RangeObjectParams, CUpti_RangeProfiler_PopRange_Params);
SAME_SIZE(RangeSizeParams, CUpti_RangeProfiler_GetCounterDataSize_Params);
SAME(RangeSizeParams, maxTreeNodes, CUpti_RangeProfiler_GetCounterDataSize_Params,
     maxNumRangeTreeNodes);
SAME_SIZE(RangeImageParams, CUpti_RangeProfiler_CounterDataImage_Initialize_Params);
SAME_SIZE(RangeConfigParams, CUpti_RangeProfiler_SetConfig_Params);
SAME(RangeConfigParams, replayMode, CUpti_RangeProfiler_SetConfig_Params, replayMode);
SAME(RangeConfigParams, minNestingLevel, CUpti_RangeProfiler_SetConfig_Params, minNestingLevel);
SAME(RangeConfigParams, targetNestingLevel, CUpti_RangeProfiler_SetConfig_Params,
     targetNestingLevel);
SAME_SIZE(RangeStopParams, CUpti_RangeProfiler_Stop_Params);
SAME(RangeStopParams, allPassesSubmitted, CUpti_RangeProfiler_Stop_Params, isAllPassSubmitted);
SAME_SIZE(RangePushParams, CUpti_RangeProfiler_PushRange_Params);
SAME_SIZE(RangeDecodeParams, CUpti_RangeProfiler_DecodeData_Params);
SAME_SIZE(RangeCountParams, CUpti_RangeProfiler_GetCounterDataInfo_Params);
SAME_SIZE(RangeInfoParams, CUpti_RangeProfiler_CounterData_GetRangeInfo_Params);

SAME_SIZE(SamplingAvailabilityParams, CUpti_PmSampling_GetCounterAvailability_Params);
SAME_SIZE(SamplingEnableParams, CUpti_PmSampling_Enable_Params);
SAME_SIZE(SamplingObjectParams, CUpti_PmSampling_Disable_Params);
SAME_SIZE(SamplingObjectParams, CUpti_PmSampling_Start_Params);
SAME_SIZE(SamplingObjectParams, CUpti_PmSampling_Stop_Params);
SAME_SIZE(SamplingConfigParams, CUpti_PmSampling_SetConfig_Params);
SAME(SamplingConfigParams, bufferBytes, CUpti_PmSampling_SetConfig_Params, hardwareBufferSize);
SAME(SamplingConfigParams, interval, CUpti_PmSampling_SetConfig_Params, samplingInterval);
SAME(SamplingConfigParams, trigger, CUpti_PmSampling_SetConfig_Params, triggerMode);
SAME(SamplingConfigParams, append, CUpti_PmSampling_SetConfig_Params, hwBufferAppendMode);
SAME_SIZE(SamplingSizeParams, CUpti_PmSampling_GetCounterDataSize_Params);
SAME(SamplingSizeParams, maxSamples, CUpti_PmSampling_GetCounterDataSize_Params, maxSamples);
SAME(SamplingSizeParams, bytes, CUpti_PmSampling_GetCounterDataSize_Params, counterDataSize);
SAME_SIZE(SamplingImageParams, CUpti_PmSampling_CounterDataImage_Initialize_Params);
SAME_SIZE(SamplingDecodeParams, CUpti_PmSampling_DecodeData_Params);
SAME(SamplingDecodeParams, stopReason, CUpti_PmSampling_DecodeData_Params, decodeStopReason);
SAME(SamplingDecodeParams, overflow, CUpti_PmSampling_DecodeData_Params, overflow);
SAME_SIZE(SamplingCountParams, CUpti_PmSampling_GetCounterDataInfo_Params);
SAME(SamplingCountParams, completed, CUpti_PmSampling_GetCounterDataInfo_Params,
     numCompletedSamples);
SAME_SIZE(SamplingInfoParams, CUpti_PmSampling_CounterData_GetSampleInfo_Params);
SAME(SamplingInfoParams, sample, CUpti_PmSampling_CounterData_GetSampleInfo_Params, sampleIndex);
SAME(SamplingInfoParams, end, CUpti_PmSampling_CounterData_GetSampleInfo_Params, endTimestamp);
SAME_VALUE(kSamplingType, CUPTI_PROFILER_TYPE_PM_SAMPLING);
SAME_VALUE(kTriggerTimeInterval, CUPTI_PM_SAMPLING_TRIGGER_MODE_GPU_TIME_INTERVAL);
SAME_VALUE(kKeepOldest, CUPTI_PM_SAMPLING_HARDWARE_BUFFER_APPEND_MODE_KEEP_OLDEST);
SAME_VALUE(kStopCounterDataFull, CUPTI_PM_SAMPLING_DECODE_STOP_REASON_COUNTER_DATA_FULL);
SAME_VALUE(kOutOfMemory, CUPTI_ERROR_OUT_OF_MEMORY);

namespace {
// structSize is compared exactly, without the padding at the end.
TEST_CASE("the sizes that CUPTI's counter functions compare are theirs") {
    CHECK(abi::RangeConfigParams{}.structSize == CUpti_RangeProfiler_SetConfig_Params_STRUCT_SIZE);
    CHECK(abi::RangeStopParams{}.structSize == CUpti_RangeProfiler_Stop_Params_STRUCT_SIZE);
    CHECK(abi::RangeSizeParams{}.structSize ==
          CUpti_RangeProfiler_GetCounterDataSize_Params_STRUCT_SIZE);
    CHECK(abi::SamplingConfigParams{}.structSize == CUpti_PmSampling_SetConfig_Params_STRUCT_SIZE);
    CHECK(abi::SamplingSizeParams{}.structSize ==
          CUpti_PmSampling_GetCounterDataSize_Params_STRUCT_SIZE);
    CHECK(abi::SamplingDecodeParams{}.structSize == CUpti_PmSampling_DecodeData_Params_STRUCT_SIZE);
    CHECK(abi::SamplingCountParams{}.structSize ==
          CUpti_PmSampling_GetCounterDataInfo_Params_STRUCT_SIZE);
    CHECK(abi::SamplingInfoParams{}.structSize ==
          CUpti_PmSampling_CounterData_GetSampleInfo_Params_STRUCT_SIZE);
    CHECK(abi::SamplingEnableParams{}.structSize == CUpti_PmSampling_Enable_Params_STRUCT_SIZE);
    CHECK(abi::SamplingAvailabilityParams{}.structSize ==
          CUpti_PmSampling_GetCounterAvailability_Params_STRUCT_SIZE);
    CHECK(abi::SamplingImageParams{}.structSize ==
          CUpti_PmSampling_CounterDataImage_Initialize_Params_STRUCT_SIZE);
    CHECK(abi::HostPropertiesParams{}.structSize ==
          CUpti_Profiler_Host_GetMetricProperties_Params_STRUCT_SIZE);
}
}  // namespace
static_assert(CUPTI_UserRange == 2 && CUPTI_UserReplay == 3);

SAME_VALUE(kAbiVersion, CUPTI_API_VERSION);
SAME_VALUE(kConcurrentKernel, CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL);
SAME_VALUE(kMemcpy, CUPTI_ACTIVITY_KIND_MEMCPY);
SAME_VALUE(kMemset, CUPTI_ACTIVITY_KIND_MEMSET);
SAME_VALUE(kDriver, CUPTI_ACTIVITY_KIND_DRIVER);
SAME_VALUE(kRuntime, CUPTI_ACTIVITY_KIND_RUNTIME);
SAME_VALUE(kOverhead, CUPTI_ACTIVITY_KIND_OVERHEAD);
SAME_VALUE(kEnvironment, CUPTI_ACTIVITY_KIND_ENVIRONMENT);
SAME_VALUE(kMemcpyPeer, CUPTI_ACTIVITY_KIND_MEMCPY2);
SAME_VALUE(kSynchronization, CUPTI_ACTIVITY_KIND_SYNCHRONIZATION);
SAME_VALUE(kExternalCorrelation, CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION);
SAME_VALUE(kGraphTrace, CUPTI_ACTIVITY_KIND_GRAPH_TRACE);
SAME_VALUE(kExternalKindCustom0, CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0);
SAME_VALUE(kFlushForced, CUPTI_ACTIVITY_FLAG_FLUSH_FORCED);
SAME_VALUE(kAttributeZeroedOutBuffer, CUPTI_ACTIVITY_ATTR_ZEROED_OUT_ACTIVITY_BUFFER);
SAME_VALUE(kOverheadModuleLoading, CUPTI_ACTIVITY_OVERHEAD_RUNTIME_TRIGGERED_MODULE_LOADING);
SAME_VALUE(kOverheadLazyLoading, CUPTI_ACTIVITY_OVERHEAD_LAZY_FUNCTION_LOADING);
SAME_VALUE(kSpeed, CUPTI_ACTIVITY_ENVIRONMENT_SPEED);
SAME_VALUE(kTemperature, CUPTI_ACTIVITY_ENVIRONMENT_TEMPERATURE);
SAME_VALUE(kPower, CUPTI_ACTIVITY_ENVIRONMENT_POWER);
SAME_VALUE(kThrottleIdle, CUPTI_CLOCKS_THROTTLE_REASON_GPU_IDLE);
SAME_VALUE(kThrottleUserClocks, CUPTI_CLOCKS_THROTTLE_REASON_USER_DEFINED_CLOCKS);
SAME_VALUE(kThrottlePowerCap, CUPTI_CLOCKS_THROTTLE_REASON_SW_POWER_CAP);
SAME_VALUE(kThrottleHardware, CUPTI_CLOCKS_THROTTLE_REASON_HW_SLOWDOWN);
SAME_VALUE(kThrottleUnsupported, CUPTI_CLOCKS_THROTTLE_REASON_UNSUPPORTED);
SAME_VALUE(kThrottleUnknown, CUPTI_CLOCKS_THROTTLE_REASON_UNKNOWN);
SAME_VALUE(kMaxLimitReached, CUPTI_ERROR_MAX_LIMIT_REACHED);
SAME_VALUE(kInvalidKind, CUPTI_ERROR_INVALID_KIND);
SAME_VALUE(kInsufficientPrivileges, CUPTI_ERROR_INSUFFICIENT_PRIVILEGES);
SAME_VALUE(kMultipleSubscribers, CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED);
SAME_VALUE(kMig, CUPTI_ERROR_MIG_DEVICE_NOT_SUPPORTED);
SAME_VALUE(kWsl, CUPTI_ERROR_WSL_DEVICE_NOT_SUPPORTED);
SAME_VALUE(kDomainResource, CUPTI_CB_DOMAIN_RESOURCE);
SAME_VALUE(kDomainState, CUPTI_CB_DOMAIN_STATE);
SAME_VALUE(kGraphNodeCreated, CUPTI_CBID_RESOURCE_GRAPHNODE_CREATED);
SAME_VALUE(kGraphNodeDestroyStarting, CUPTI_CBID_RESOURCE_GRAPHNODE_DESTROY_STARTING);
SAME_VALUE(kGraphNodeCloned, CUPTI_CBID_RESOURCE_GRAPHNODE_CLONED);
SAME_VALUE(kGraphExecCreateStarting, CUPTI_CBID_RESOURCE_GRAPHEXEC_CREATE_STARTING);
SAME_VALUE(kGraphExecCreated, CUPTI_CBID_RESOURCE_GRAPHEXEC_CREATED);
SAME_VALUE(kModuleUnloadStarting, CUPTI_CBID_RESOURCE_MODULE_UNLOAD_STARTING);
SAME_VALUE(kStateError, CUPTI_CBID_STATE_ERROR);
SAME_VALUE(kNodeKernel, CU_GRAPH_NODE_TYPE_KERNEL);
SAME_VALUE(kNodeMemcpy, CU_GRAPH_NODE_TYPE_MEMCPY);
SAME_VALUE(kNodeMemset, CU_GRAPH_NODE_TYPE_MEMSET);

TEST_CASE("our layouts are those of the CUPTI headers here") {
    SUCCEED("compared when this was compiled");
}
#endif
