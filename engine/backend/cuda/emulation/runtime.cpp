// SPDX-License-Identifier: Apache-2.0
// What the engine uses of the CUDA runtime, on the host. A stream does nothing before somebody
// waits for it, as a device may be late.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string_view>
#include <vector>

#include "engine/backend/cuda/emulation/races.h"

namespace moescope::cuda::simt {

struct Graph {
    std::vector<std::function<void()>> work;
    bool invalid = false;  ///< while it was recorded something was asked for that may not be then
};
struct Stream {
    std::unique_ptr<Graph> capture;
    std::deque<std::function<void()>> work;
};
struct Event {
    Stream* stream = nullptr;
    bool happened = true;
    bool captured = false;  ///< recorded into a graph
    std::chrono::steady_clock::time_point at;
};

namespace {

enum class Kind : std::uint8_t { Pageable, PageLocked, Device };

struct Allocation {
    std::size_t bytes;
    Kind kind;
};

struct Device {
    /// Kernels run one at a time: their `__shared__` variables are static.
    std::recursive_mutex mutex;
    std::vector<Stream*> streams;
    std::map<const std::byte*, Allocation> memory;
    /// Of work that was done where nothing may be thrown; for the next who waits.
    std::exception_ptr failure;
};
Device gpu;

bool capturing(const Stream* stream) {
    return stream != nullptr && stream->capture;
}

/// Invalidates what is being recorded: by this stream; null: by any, as the stream without a name
/// and the device stand for all. Returns `error` if there was anything.
cudaError_t refuseWhileCapturing(const Stream* stream, cudaError_t error) {
    const std::lock_guard lock(gpu.mutex);
    cudaError_t status = cudaSuccess;
    for (Stream* each : gpu.streams) {
        if ((stream != nullptr && each != stream) || !each->capture) continue;
        each->capture->invalid = true;
        status = error;
    }
    return status;
}

/// What fails ends all that was to come, as on a device.
void doNext(Stream& stream) {
    const std::function<void()> work = std::move(stream.work.front());
    stream.work.pop_front();
    try {
        work();
    } catch (...) {
        for (Stream* each : gpu.streams) each->work.clear();
        throw;
    }
}

/// Does what the stream was given, up to `last` if there is one; null: what all streams were given,
/// as the stream without a name waits for all others.
void finish(Stream* stream, const Event* last) {
    const std::lock_guard lock(gpu.mutex);
    if (gpu.failure) std::rethrow_exception(std::exchange(gpu.failure, nullptr));
    for (Stream* each : gpu.streams) {
        if (stream != nullptr && each != stream) continue;
        while (!each->work.empty() && !(last != nullptr && last->happened)) doNext(*each);
    }
}

void finishQuietly() noexcept {
    const std::lock_guard lock(gpu.mutex);
    try {
        finish(nullptr, nullptr);
    } catch (...) {
        gpu.failure = std::current_exception();
    }
}

Kind kindOf(const void* at) {
    const std::lock_guard lock(gpu.mutex);
    const auto* const byte = static_cast<const std::byte*>(at);
    auto next = gpu.memory.upper_bound(byte);
    if (next == gpu.memory.begin()) return Kind::Pageable;
    --next;
    return byte < next->first + next->second.bytes ? next->second.kind : Kind::Pageable;
}

void* take(std::size_t bytes, Kind kind) {
    const std::lock_guard lock(gpu.mutex);
    void* at = kind == Kind::Device ? races::allocate(bytes) : nullptr;
    if (at == nullptr) at = ::operator new (bytes, std::align_val_t{256}, std::nothrow);
    if (at == nullptr) return nullptr;
    std::memset(at, 0xFF, bytes);  // NaN as float32, bf16 and half
    gpu.memory[static_cast<const std::byte*>(at)] = {bytes, kind};
    return at;
}

void giveBack(void* at, Kind kind) {
    if (at == nullptr) return;
    finishQuietly();
    const std::lock_guard lock(gpu.mutex);
    gpu.memory.erase(static_cast<const std::byte*>(at));
    if (kind == Kind::Device && races::release(at)) return;
    ::operator delete (at, std::align_val_t{256});
}

void copy(void* to, const void* from, std::size_t bytes) {
    if (bytes == 0) return;  // then there may be no addresses
    std::memcpy(to, from, bytes);
    races::streamWrites(to, bytes);
}

}  // namespace

bool hasHopper() {
    static const bool hopper = [] {
        const char* const wanted = std::getenv("MOESCOPE_SIMT_DEVICE");
        return wanted == nullptr || std::string_view(wanted) != "8.9";
    }();
    return hopper;
}

cudaError_t enqueue(Stream* stream, std::function<void()> work) {
    const std::lock_guard lock(gpu.mutex);
    if (capturing(stream)) {
        stream->capture->work.push_back(std::move(work));
    } else if (stream != nullptr) {
        stream->work.push_back(std::move(work));
    } else {
        const cudaError_t refused = refuseWhileCapturing(nullptr, cudaErrorStreamCaptureImplicit);
        if (refused != cudaSuccess) return refused;
        finish(nullptr, nullptr);
        work();
    }
    return cudaSuccess;
}

}  // namespace moescope::cuda::simt

using namespace moescope::cuda::simt;

const char* cudaGetErrorString(cudaError_t status) {
    switch (status) {
        case cudaSuccess:
            return "no error";
        case cudaErrorStreamCaptureUnsupported:
        case cudaErrorStreamCaptureImplicit:
        case cudaErrorCapturedEvent:
            return "operation not permitted when stream is capturing";
        case cudaErrorStreamCaptureInvalidated:
            return "operation failed due to a previous error during capture";
        default:
            return "emulated error";
    }
}
cudaError_t cudaGetLastError() {
    return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
    *count = 1;
    return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
    return device == 0 ? cudaSuccess : cudaErrorNoDevice;
}
cudaError_t cudaGetDevice(int* device) {
    *device = 0;
    return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
    *properties = {};
    std::strncpy(properties->name, "SIMT emulator", sizeof properties->name - 1);
    properties->major = hasHopper() ? 9 : 8;
    properties->minor = hasHopper() ? 0 : 9;
    properties->multiProcessorCount = 3;
    properties->totalGlobalMem = std::size_t{4} << 30;
    properties->sharedMemPerBlockOptin = (hasHopper() ? 227 : 99) << 10;
    properties->sharedMemPerMultiprocessor = (hasHopper() ? 228 : 100) << 10;
    properties->l2CacheSize = 1 << 20;
    return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
    *free = *total = std::size_t{4} << 30;
    return cudaSuccess;
}
cudaError_t cudaMalloc(void** at, std::size_t bytes) {
    *at = take(bytes, Kind::Device);
    return *at != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFree(void* at) {
    giveBack(at, Kind::Device);
    return cudaSuccess;
}
cudaError_t cudaMallocHost(void** at, std::size_t bytes) {
    *at = take(bytes, Kind::PageLocked);
    return *at != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFreeHost(void* at) {
    giveBack(at, Kind::PageLocked);
    return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
    if (capturing(stream) || (kindOf(to) != Kind::Pageable && kindOf(from) != Kind::Pageable)) {
        return enqueue(stream, [=] { copy(to, from, bytes); });
    }
    if (kindOf(from) == Kind::Pageable) {
        // Has been read when the call returns, and is written later.
        const auto* const begin = static_cast<const std::byte*>(from);
        return enqueue(stream, [to, data = std::vector<std::byte>(begin, begin + bytes)] {
            copy(to, data.data(), data.size());
        });
    }
    const std::lock_guard lock(gpu.mutex);
    // The call returns when the memory has been written.
    const cudaError_t status = cudaStreamSynchronize(stream);
    if (status == cudaSuccess) copy(to, from, bytes);
    return status;
}
cudaError_t cudaMemsetAsync(void* at, int value, std::size_t bytes, cudaStream_t stream) {
    return enqueue(stream, [=] {
        std::memset(at, value, bytes);
        races::streamWrites(at, bytes);
    });
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) {
    const std::lock_guard lock(gpu.mutex);
    *stream = new Stream;
    gpu.streams.push_back(*stream);
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    finishQuietly();
    const std::lock_guard lock(gpu.mutex);
    std::erase(gpu.streams, stream);
    delete stream;
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    const cudaError_t refused =
        refuseWhileCapturing(stream, stream != nullptr ? cudaErrorStreamCaptureUnsupported
                                                       : cudaErrorStreamCaptureImplicit);
    if (refused == cudaSuccess) finish(stream, nullptr);
    return refused;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
    if (stream == nullptr || stream->capture) return cudaErrorInvalidValue;
    stream->capture = std::make_unique<Graph>();
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    if (!stream->capture) return cudaErrorInvalidValue;
    const std::unique_ptr<Graph> recorded = std::move(stream->capture);
    *graph = recorded->invalid ? nullptr : new Graph(*recorded);
    return *graph != nullptr ? cudaSuccess : cudaErrorStreamCaptureInvalidated;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
    *exec = new Graph(*graph);
    return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
    // Nothing in a graph begins before all in front of it has ended.
    cudaError_t status = enqueue(stream, races::orderAll);
    for (const auto& work : exec->work) {
        if (status == cudaSuccess) status = enqueue(stream, work);
    }
    return status;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
    delete exec;
    return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
    *event = new Event;
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    finishQuietly();  // a stream may still be going to record it
    delete event;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    event->stream = stream;
    event->happened = false;
    event->captured = capturing(stream);
    return enqueue(stream, [event] {
        event->at = std::chrono::steady_clock::now();
        event->happened = true;
    });
}
cudaError_t cudaDeviceSynchronize() {
    const cudaError_t refused = refuseWhileCapturing(nullptr, cudaErrorStreamCaptureUnsupported);
    if (refused == cudaSuccess) finish(nullptr, nullptr);
    return refused;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    if (event->captured) {
        refuseWhileCapturing(event->stream, cudaErrorCapturedEvent);
        return cudaErrorCapturedEvent;
    }
    finish(event->stream, event);
    return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
    *milliseconds = std::chrono::duration<float, std::milli>(to->at - from->at).count();
    return cudaSuccess;
}
