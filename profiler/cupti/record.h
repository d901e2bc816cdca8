// SPDX-License-Identifier: Apache-2.0
// CUPTI's records as plain structs of our own, the same for every version of CUPTI.
#pragma once

#include <array>
#include <cstdint>

namespace moescope::cupti {

enum class RecordKind : std::uint8_t {
    Kernel,
    Memcpy,
    Memset,
    GraphLaunch,      ///< a whole graph as one span; instead of its kernels
    Api,              ///< a call of the CUDA API on the host
    External,         ///< value: the scope id that was on top when `correlation` was launched
    Overhead,         ///< CUPTI's or the driver's own work; detail: overheadDetail of its kind
    Environment,      ///< detail: 1 speed, 2 temperature, 3 power, 4 cooling
    Synchronization,  ///< detail: 1 event, 2 stream waits for event, 3 stream, 4 context
};

/// Records of work on the device, as opposed to the host's side of it.
constexpr bool isDeviceWork(RecordKind kind) noexcept {
    return kind <= RecordKind::GraphLaunch;
}

/// CUPTI's kind of overhead, of which those from 1 << 16 on count up there, in one byte.
constexpr std::uint8_t overheadDetail(std::uint32_t kind) noexcept {
    return std::uint8_t(kind < 256 ? kind : 0x80 | (kind >> 16));
}

struct LaunchShape {
    std::array<std::int32_t, 3> grid{}, block{}, cluster{};
    std::int32_t registers = 0;                        ///< of one thread
    std::int32_t staticShared = 0, dynamicShared = 0;  ///< bytes
    bool operator==(const LaunchShape&) const = default;
};

struct Record {
    RecordKind kind = RecordKind::Kernel;
    std::uint8_t detail = 0;  ///< copy kind, overhead kind, ...
    bool driverApi = false;   ///< of Api: the driver's and not the runtime's
    std::uint32_t correlation = 0;
    std::uint32_t device = 0, context = 0, stream = 0;
    std::uint32_t graph = 0;   ///< 0 outside graphs
    std::uint32_t name = 0;    ///< of Kernel: Decoder::name
    std::uint32_t api = 0;     ///< of Api: callback id
    std::uint32_t thread = 0;  ///< of Api
    std::uint64_t node = 0;    ///< id of the graph node; 0 outside graphs
    std::uint64_t value = 0;   ///< bytes copied or set; external id
    std::int64_t startNs = 0;  ///< CLOCK_REALTIME, as CUPTI gives it, never clamped
    std::int64_t endNs = 0;
    LaunchShape shape;                           ///< of Kernel
    std::array<std::uint32_t, 5> environment{};  ///< of Environment, by detail
};

/// Why the stamps of a record of device work cannot be used.
enum class StampFault : std::uint8_t {
    None,
    Zero,        ///< both 0: the device buffers were exhausted
    Incomplete,  ///< started, not ended when the buffer was forced out
    Negative,    ///< ended before it started
};

constexpr StampFault stampFault(std::int64_t startNs, std::int64_t endNs) noexcept {
    if (startNs == 0 && endNs == 0) return StampFault::Zero;
    if (startNs == 0 || endNs == 0) return StampFault::Incomplete;
    return endNs < startNs ? StampFault::Negative : StampFault::None;
}

class RecordSink {
public:
    virtual ~RecordSink() = default;
    virtual void onRecord(const Record& record) = 0;
};

}  // namespace moescope::cupti
