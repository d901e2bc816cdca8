// SPDX-License-Identifier: Apache-2.0
// Device memory, pinned host memory, streams, graphs: owners of what the CUDA runtime hands out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "engine/backend/cuda/launch.h"

namespace moescope::cuda {

/// One allocation, handed out in pieces aligned to 256 bytes; freed as a whole.
class DeviceArena {
public:
    DeviceArena() = default;
    enum class Place : std::uint8_t { Device, Host };
    /// Host: page-locked memory that kernels read through the bus. Throws Error with the sizes when
    /// there is not that much.
    DeviceArena(std::uint64_t bytes, const char* what, Place place = Place::Device);
    ~DeviceArena();
    DeviceArena(DeviceArena&& other) noexcept { swap(other); }
    DeviceArena& operator=(DeviceArena&& other) noexcept {
        swap(other);
        return *this;
    }

    static constexpr std::uint64_t aligned(std::uint64_t bytes) noexcept {
        return (bytes + 255) / 256 * 256;
    }
    /// Uninitialised. Throws std::logic_error past the end: the plan was wrong.
    void* take(std::uint64_t bytes);
    template <typename T>
    T* take(std::uint64_t count) {
        return static_cast<T*>(take(count * sizeof(T)));
    }
    void* base() const noexcept { return base_; }
    std::uint64_t size() const noexcept { return size_; }

private:
    void swap(DeviceArena& other) noexcept {
        std::swap(base_, other.base_);
        std::swap(size_, other.size_);
        std::swap(used_, other.used_);
        std::swap(place_, other.place_);
    }
    std::byte* base_ = nullptr;
    std::uint64_t size_ = 0;
    std::uint64_t used_ = 0;
    Place place_ = Place::Device;
};

/// Page-locked host memory, which the device copies from and to without a stop-over.
class PinnedBuffer {
public:
    explicit PinnedBuffer(std::uint64_t bytes);
    ~PinnedBuffer();
    PinnedBuffer(const PinnedBuffer&) = delete;
    PinnedBuffer& operator=(const PinnedBuffer&) = delete;

    std::byte* data() const noexcept { return data_; }
    std::uint64_t size() const noexcept { return size_; }

private:
    std::byte* data_ = nullptr;
    std::uint64_t size_ = 0;
};

class Stream {
public:
    Stream() { check(cudaStreamCreate(&stream_), "creating a stream"); }
    ~Stream() { cudaStreamDestroy(stream_); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    operator cudaStream_t() const noexcept { return stream_; }
    /// Throws Error when anything enqueued before failed.
    void wait() const { check(cudaStreamSynchronize(stream_), "the device"); }

private:
    cudaStream_t stream_ = nullptr;
};

class Event {
public:
    Event() { check(cudaEventCreate(&event_), "creating an event"); }
    ~Event() { cudaEventDestroy(event_); }
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;

    void record(cudaStream_t stream) {
        check(cudaEventRecord(event_, stream), "recording an event");
    }
    void wait() const { check(cudaEventSynchronize(event_), "the device"); }
    /// Milliseconds from `earlier` to this one; both have happened.
    float since(const Event& earlier) const {
        float milliseconds = 0;
        check(cudaEventElapsedTime(&milliseconds, earlier.event_, event_), "reading events");
        return milliseconds;
    }

private:
    cudaEvent_t event_ = nullptr;
};

/// A recorded sequence of launches. Empty until captured.
class Graph {
public:
    Graph() = default;
    ~Graph() { reset(); }
    void reset() noexcept {
        if (exec_ != nullptr) cudaGraphExecDestroy(std::exchange(exec_, nullptr));
    }
    Graph(const Graph&) = delete;
    Graph& operator=(const Graph&) = delete;

    explicit operator bool() const noexcept { return exec_ != nullptr; }
    /// Records what `enqueue` launches on `stream`, without running it. `ended` is called when the
    /// recording has ended, well or not, and before the graph is instantiated.
    template <typename Enqueue, typename Ended>
    void capture(cudaStream_t stream, const Enqueue& enqueue, const Ended& ended) {
        check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal),
              "recording a graph");
        cudaGraph_t graph = nullptr;
        try {
            enqueue();
        } catch (...) {
            cudaStreamEndCapture(stream, &graph);
            ended();
            if (graph != nullptr) cudaGraphDestroy(graph);
            throw;
        }
        const cudaError_t recorded = cudaStreamEndCapture(stream, &graph);
        ended();
        check(recorded, "recording a graph");
        const cudaError_t status = cudaGraphInstantiate(&exec_, graph, 0);
        cudaGraphDestroy(graph);
        check(status, "instantiating a graph");
    }
    void run(cudaStream_t stream) const {
        check(cudaGraphLaunch(exec_, stream), "launching a graph");
    }

private:
    cudaGraphExec_t exec_ = nullptr;
};

}  // namespace moescope::cuda
