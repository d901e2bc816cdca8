// SPDX-License-Identifier: Apache-2.0
// The part of CUPTI's binary interface that we use, declared by ourselves so that the program
// builds without the CUDA toolkit and never links it. Layouts are those of CUPTI 13.0 (API 130001);
// where the toolkit is present, tests/profiler/test_cupti_abi.cpp compares each with the real
// header. A later CUPTI only appends members, so these structs are prefixes of its records.
#pragma once

#include <cstddef>
#include <cstdint>

namespace moescope::cupti {

inline constexpr std::uint32_t kAbiVersion = 130001;  ///< cuptiGetVersion of the layouts below

enum ActivityKind : std::uint32_t {
    kMemcpy = 1,
    kMemset = 2,
    kDriver = 4,
    kRuntime = 5,
    kConcurrentKernel = 10,  // never 3 (KERNEL), which makes kernels run one after another
    kOverhead = 17,
    kEnvironment = 20,
    kMemcpyPeer = 22,
    kSynchronization = 38,
    kExternalCorrelation = 39,
    kGraphTrace = 51,
};

inline constexpr std::uint32_t kExternalKindCustom0 = 3;
inline constexpr std::uint32_t kFlushForced = 1;

enum Attribute : std::uint32_t { kAttributeZeroedOutBuffer = 5 };

enum Result : std::uint32_t {
    kSuccess = 0,
    kInvalidParameter = 1,
    kInvalidDevice = 2,
    kOutOfMemory = 8,
    kMaxLimitReached = 12,
    kNotInitialized = 15,
    kInvalidMetricName = 17,
    kInvalidKind = 21,
    kHardwareBusy = 26,
    kNotSupported = 27,
    kInsufficientPrivileges = 35,
    kMultipleSubscribers = 39,
    kVirtualGpu = 40,
    kConfidentialComputing = 41,
    kMiningGpu = 42,
    kMig = 43,
    kSli = 44,
    kWsl = 45,
    kInvalidChipName = 46,
    kUnknown = 999,
};

enum OverheadKind : std::uint32_t {
    kOverheadModuleLoading = 4u << 16,  // CUDA's own, on the first use of a kernel: no tracing
    kOverheadLazyLoading = 5u << 16,
};

enum EnvironmentKind : std::uint32_t { kSpeed = 1, kTemperature = 2, kPower = 3 };

enum ThrottleReason : std::uint32_t {
    kThrottleIdle = 1,
    kThrottleUserClocks = 2,
    kThrottlePowerCap = 4,
    kThrottleHardware = 8,
    kThrottleUnsupported = 0x40000000,
    kThrottleUnknown = 0x80000000,
};

enum CallbackDomain : std::uint32_t { kDomainResource = 3, kDomainState = 6 };

enum ResourceCallback : std::uint32_t {
    kModuleUnloadStarting = 7,
    kGraphNodeCreated = 13,
    kGraphNodeDestroyStarting = 14,
    kGraphExecCreateStarting = 17,
    kGraphExecCreated = 18,
    kGraphExecDestroyStarting = 19,
    kGraphNodeCloned = 20,
};

enum StateCallback : std::uint32_t { kStateFatal = 1, kStateError = 2, kStateWarning = 3 };

enum GraphNodeType : std::uint32_t { kNodeKernel = 0, kNodeMemcpy = 1, kNodeMemset = 2 };

// Records. CUPTI aligns each to 8 bytes and packs them end to end.

struct alignas(8) KernelRecord {  // CUpti_ActivityKernel10
    std::uint32_t kind;
    std::uint8_t cacheConfig, sharedMemoryConfig;
    std::uint16_t registersPerThread;
    std::uint32_t partitionedCacheRequested, partitionedCacheExecuted;
    std::uint64_t start, end;  ///< ns of CLOCK_REALTIME; both 0: the kernel got no stamp
    std::uint64_t completed;
    std::uint32_t deviceId, contextId, streamId;
    std::int32_t gridX, gridY, gridZ, blockX, blockY, blockZ;
    std::int32_t staticSharedMemory, dynamicSharedMemory;
    std::uint32_t localMemoryPerThread, localMemoryTotal;
    std::uint32_t correlationId;
    std::int64_t gridId;
    const char* name;  ///< mangled; belongs to CUPTI
    void* reserved0;
    std::uint64_t queued, submitted;
    std::uint8_t launchType, carveoutIsRequested, carveoutRequested, padding;
    std::uint32_t sharedMemoryExecuted;
    std::uint64_t graphNodeId;  ///< 0 outside graphs
    std::uint32_t sharedMemoryLimitConfig;
    std::uint32_t graphId;
    void* accessPolicyWindow;
    std::uint32_t channelId, channelType;
    std::uint32_t clusterX, clusterY, clusterZ, clusterSchedulingPolicy;
    std::uint64_t localMemoryTotal2;
    std::uint32_t maxPotentialClusterSize, maxActiveClusters;
    std::uint8_t isDeviceLaunched, padding3[7];
};
static_assert(sizeof(KernelRecord) == 216 && offsetof(KernelRecord, name) == 104 &&
              offsetof(KernelRecord, graphNodeId) == 144);

struct alignas(8) MemcpyRecord {  // CUpti_ActivityMemcpy6
    std::uint32_t kind;
    std::uint8_t copyKind, sourceKind, destinationKind, flags;
    std::uint64_t bytes, start, end;
    std::uint32_t deviceId, contextId, streamId, correlationId, runtimeCorrelationId, pad;
    void* reserved0;
    std::uint64_t graphNodeId;
    std::uint32_t graphId, channelId, channelType;
    std::uint8_t isDeviceLaunched, pad2[3];
    std::uint64_t copyCount;
};
static_assert(sizeof(MemcpyRecord) == 96);

struct alignas(8) MemcpyPeerRecord {  // CUpti_ActivityMemcpyPtoP4
    std::uint32_t kind;
    std::uint8_t copyKind, sourceKind, destinationKind, flags;
    std::uint64_t bytes, start, end;
    std::uint32_t deviceId, contextId, streamId;
    std::uint32_t sourceDeviceId, sourceContextId, destinationDeviceId, destinationContextId;
    std::uint32_t correlationId;
    void* reserved0;
    std::uint64_t graphNodeId;
    std::uint32_t graphId, channelId, channelType;
};
static_assert(sizeof(MemcpyPeerRecord) == 96);

struct alignas(8) MemsetRecord {  // CUpti_ActivityMemset4
    std::uint32_t kind, value;
    std::uint64_t bytes, start, end;
    std::uint32_t deviceId, contextId, streamId, correlationId;
    std::uint16_t flags, memoryKind;
    std::uint32_t pad;
    void* reserved0;
    std::uint64_t graphNodeId;
    std::uint32_t graphId, channelId, channelType;
    std::uint8_t isDeviceLaunched, pad2[3];
};
static_assert(sizeof(MemsetRecord) == 88);

struct alignas(8) ApiRecord {  // CUpti_ActivityAPI
    std::uint32_t kind, callbackId;
    std::uint64_t start, end;
    std::uint32_t processId, threadId, correlationId, returnValue;
};
static_assert(sizeof(ApiRecord) == 40);

struct alignas(8) ExternalRecord {  // CUpti_ActivityExternalCorrelation
    std::uint32_t kind, externalKind;
    std::uint64_t externalId;
    std::uint32_t correlationId, reserved;
};
static_assert(sizeof(ExternalRecord) == 24);

struct alignas(8) OverheadRecord {  // CUpti_ActivityOverhead3
    std::uint32_t kind, overheadKind, objectKind, objectId[3];
    std::uint64_t start, end;
    std::uint32_t correlationId, reserved0;
    void* overheadData;  ///< to be freed by us when not null
};
static_assert(sizeof(OverheadRecord) == 56);

struct alignas(8) EnvironmentRecord {  // CUpti_ActivityEnvironment
    std::uint32_t kind, deviceId;
    std::uint64_t timestamp;
    std::uint32_t environmentKind;
    std::uint32_t data[5];  ///< speed: SM MHz, memory MHz, PCIe generation, width, throttle bits
};
static_assert(sizeof(EnvironmentRecord) == 40);

struct alignas(8) GraphTraceRecord {  // CUpti_ActivityGraphTrace2
    std::uint32_t kind, correlationId;
    std::uint64_t start, end;
    std::uint32_t deviceId, graphId, contextId, streamId;
    void* reserved;
    std::uint32_t endDeviceId, endContextId;
};
static_assert(sizeof(GraphTraceRecord) == 56);

struct alignas(8) SynchronizationRecord {  // CUpti_ActivitySynchronization2
    std::uint32_t kind, type;
    std::uint64_t start, end;
    std::uint32_t correlationId, contextId, streamId, cudaEventId;
    std::uint64_t cudaEventSyncId;
    std::uint32_t returnValue, pad;
};
static_assert(sizeof(SynchronizationRecord) == 56);

// Callback data.

struct ResourceData {  // CUpti_ResourceData
    void* context;
    void* resource;
    void* descriptor;
};

struct GraphData {  // CUpti_GraphData
    void *graph, *originalGraph;
    void *node, *originalNode;
    std::uint32_t nodeType;
    void* dependency;
    void* graphExec;
};

struct StateData {  // CUpti_StateData
    std::uint32_t result;
    const char* message;
};

struct SubscriberParams {  // CUpti_SubscriberParams
    std::size_t structSize;
    const char* subscriberName;
    char* oldSubscriberName;
    std::size_t oldSubscriberSize;
};

using Callback = void (*)(void* user, std::uint32_t domain, std::uint32_t id, const void* data);
using BufferRequested = void (*)(std::uint8_t** buffer, std::size_t* size, std::size_t* maxRecords);
using BufferCompleted = void (*)(void* context, std::uint32_t stream, std::uint8_t* buffer,
                                 std::size_t size, std::size_t validSize);

}  // namespace moescope::cupti
