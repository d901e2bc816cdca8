// SPDX-License-Identifier: Apache-2.0
// Device memory, pinned host memory, streams, graphs: owners of what the CUDA runtime hands out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/backend/cuda/launch.h"

namespace moescope::cuda {

/// Held while a graph is recorded, when no thread may wait for the whole device.
inline std::mutex& recording() {
    static std::mutex mutex;
    return mutex;
}

/// Until all is done that any stream was given. Throws Error when some of it failed.
inline void waitForDevice() {
    const std::lock_guard lock(recording());
    check(cudaDeviceSynchronize(), "the device");
}

/// One allocation, handed out in pieces aligned to 256 bytes; freed as a whole. On the emulator
/// under AddressSanitizer each piece has bounds.
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
    /// What a piece takes of an arena.
    static constexpr std::uint64_t spaceOf(std::uint64_t bytes) noexcept {
#ifdef MOESCOPE_SIMT_EMULATED
        bytes += simt::kGap;
#endif
        return aligned(bytes);
    }
    /// Ends a piece: nobody may touch what lies behind it in its space.
    static void bound([[maybe_unused]] void* piece, [[maybe_unused]] std::uint64_t bytes) noexcept {
#ifdef MOESCOPE_SIMT_EMULATED
        simt::forbid(static_cast<std::byte*>(piece) + bytes, spaceOf(bytes) - bytes);
#endif
    }
    /// Uninitialised. Throws std::logic_error past the end: the plan was wrong.
    void* take(std::uint64_t bytes);
    template <typename T>
    T* take(std::uint64_t count) {
        return static_cast<T*>(take(count * sizeof(T)));
    }
    /// For who places pieces by itself: each takes spaceOf(bytes) and is bounded.
    void* base() const noexcept {
        return base_;
    }
    std::uint64_t size() const noexcept {
        return size_;
    }

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

/// Device memory of caches that have ended, for those that begin: the driver takes and frees memory
/// in hundreds of microseconds and waits for the device to do so, which a step that begins a
/// hundred short sequences would pay as often. Thread-safe.
class ArenaPool {
public:
    /// At least `bytes`, whose content is that of whoever had it before. Waits for the device,
    /// whose kernels may still use it. Throws Error as DeviceArena does, when nothing that is kept
    /// can be freed instead.
    DeviceArena take(std::uint64_t bytes, const char* what);
    void give(DeviceArena&& arena) noexcept;
    void clear();                ///< frees what is kept
    std::uint64_t kept() const;  ///< bytes

    /// Bytes that take(bytes) takes of the device: steps of an eighth, so that sequences of about
    /// the same length have the same.
    static std::uint64_t sizeOf(std::uint64_t bytes) noexcept;

private:
    mutable std::mutex mutex_;
    std::vector<DeviceArena> free_;
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
    /// The same for destructors, before memory is freed that the stream's work may still use. What
    /// failed has been told of, or is of no interest to anybody any more.
    void settle() const noexcept {
#ifndef MOESCOPE_SIMT_EMULATED  // which waits when memory is freed, and keeps what it found
        cudaStreamSynchronize(stream_);
#endif
    }

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
        const std::lock_guard lock(recording());
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
