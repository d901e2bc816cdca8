// SPDX-License-Identifier: Apache-2.0
// One table says which matrices and vectors a model has; planning and loading both walk it.
#include "engine/backend/cuda/device_model.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <numeric>
#include <optional>

namespace moescope::cuda {
namespace {

/// Bytes of one page-locked buffer; there are two.
constexpr std::uint64_t kStagingBytes = std::uint64_t{64} << 20;

enum class Part : std::uint8_t { Embedding, Attention, Experts, Head, Vectors, HostExperts };
constexpr const char* kPartNames[] = {
    "embedding",          "attention", "experts or MLP", "head", "norms, biases, sinks",
    "experts on the host"};

struct MatrixJob {
    Part part;
    MatrixSource source;
    DeviceMatrix* to;
};
/// Float32 rows one after the other: `stack` times all of `tensors`, or taking turns element by
/// element.
struct VectorJob {
    std::vector<const TensorView*> tensors;
    bool interleaved = false;
    const float** to = nullptr;
    std::uint64_t count = 0;  ///< floats
};

std::uint64_t elements(const TensorView& t) {
    return static_cast<std::uint64_t>(t.rows() * t.cols());
}

/// Everything that is uploaded, into the fields of `to`.
struct Jobs {
    std::vector<MatrixJob> matrices;
    std::vector<VectorJob> vectors;

    Jobs(const BoundModel& model, DeviceModel& to, int expertsOnHost) {
        const ModelWeights& w = model.weights;
        const bool tied = w.embedding.data == w.head.data;
        matrix(Part::Head, MatrixSource::concatenated({&w.head}), to.head);
        if (!tied)
            matrix(Part::Embedding, MatrixSource::concatenated({&w.embedding}), to.embedding);
        matrix(Part::Embedding, MatrixSource::concatenated({&w.positions}), to.positions);
        vector({&w.outputNorm}, to.outputNorm);
        vector({&w.outputNormBias}, to.outputNormBias);
        for (std::size_t i = 0; i < w.layers.size(); ++i) {
            const bool onHost = static_cast<std::int64_t>(i) < expertsOnHost;
            layer(model, i, to.layers[i], onHost ? Part::HostExperts : Part::Experts);
        }
    }

private:
    void matrix(Part part, MatrixSource source, DeviceMatrix& to) {
        if (!source.empty()) matrices.push_back({part, std::move(source), &to});
    }
    void vector(std::vector<const TensorView*> tensors, const float*& to,
                bool interleaved = false) {
        VectorJob job{std::move(tensors), interleaved, &to};
        for (const TensorView* t : job.tensors) job.count += t->empty() ? 0 : elements(*t);
        if (job.count > 0) vectors.push_back(std::move(job));
    }
    void layer(const BoundModel& model, std::size_t i, DeviceLayer& to, Part experts) {
        const LayerWeights& w = model.weights.layers[i];
        vector({&w.attnNorm}, to.attnNorm);
        vector({&w.attnNormBias}, to.attnNormBias);
        matrix(Part::Attention, MatrixSource::concatenated({&w.q, &w.k, &w.v}), to.qkv);
        vector({&w.qBias, &w.kBias, &w.vBias}, to.qkvBias);
        vector({&w.qNorm}, to.qNorm);
        vector({&w.kNorm}, to.kNorm);
        vector({&w.sinks}, to.sinks);
        matrix(Part::Attention, MatrixSource::concatenated({&w.o}), to.o);
        vector({&w.oBias}, to.oBias);
        vector({&w.postAttnNorm}, to.postAttnNorm);
        vector({&w.ffnNorm}, to.ffnNorm);
        vector({&w.ffnNormBias}, to.ffnNormBias);
        matrix(Part::Experts, MatrixSource::concatenated({&w.router}), to.router);
        vector({&w.routerBias}, to.routerBias);
        matrix(experts, MatrixSource::interleaved(w.gate, w.up), to.gateUp);
        vector({&w.gateBias, &w.upBias}, to.gateUpBias, true);
        matrix(experts, MatrixSource::concatenated({&w.down}), to.down);
        vector({&w.downBias}, to.downBias);
        vector({&w.postFfnNorm}, to.postFfnNorm);
    }
};

std::uint64_t stackBytes(const MatrixSource& source) {
    const DeviceMatrix m = source.shape();
    const auto stack = static_cast<std::uint64_t>(source.stack());
    return DeviceArena::spaceOf(stack * m.codeBytes()) +
           DeviceArena::spaceOf(stack * m.scaleBytes());
}

/// Page-locked buffers that are filled in turn while the other is under way to the device.
class Uploader {
public:
    explicit Uploader(std::uint64_t bytes) : bytes_(bytes) {
        for (auto& slot : slots_) slot.emplace(bytes);
    }
    /// Waits: an exception may have left copies from the buffers under way.
    ~Uploader() { stream_.settle(); }
    Uploader(const Uploader&) = delete;
    Uploader& operator=(const Uploader&) = delete;
    std::uint64_t size() const noexcept { return bytes_; }
    /// Buffer to fill; no longer read by the device.
    std::byte* next() {
        Slot& slot = *slots_[turn_];
        if (slot.busy) slot.copied.wait();
        slot.busy = false;
        return slot.buffer.data();
    }
    /// Copies from the buffer that next() gave.
    void copy(void* to, const std::byte* from, std::uint64_t bytes) {
        if (bytes == 0) return;
        check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_),
              "copying weights to the device");
    }
    void done() {
        slots_[turn_]->copied.record(stream_);
        slots_[turn_]->busy = true;
        turn_ ^= 1U;
    }
    void finish() { stream_.wait(); }

private:
    struct Slot {
        explicit Slot(std::uint64_t bytes) : buffer(bytes) {}
        PinnedBuffer buffer;
        Event copied;
        bool busy = false;
    };
    Stream stream_;
    std::uint64_t bytes_;
    std::optional<Slot> slots_[2];
    unsigned turn_ = 0;
};

/// Where the rows of a tile came from may be given back to the system. Only whole tensors whose
/// rows are read once and in order are worth it: stacks.
void release(const Checkpoint& checkpoint, const MatrixSource& source) {
    for (const TensorView* t : source.tensors()) checkpoint.release(*t);
}

/// Of the rows of one tile, while they are in the cache.
Mxfp4Edges edgesOf(const MatrixSource& source, std::int64_t matrix, std::int64_t tile, int rows) {
    Mxfp4Edges edges;
    const std::int64_t end = std::min<std::int64_t>(rows, (tile + 1) * kTileRows);
    for (std::int64_t i = tile * kTileRows; i < end; ++i) {
        const SourceRow row = source.at(matrix, i);
        edges += mxfp4Edges(*row.tensor, row.stackIndex, row.row);
    }
    return edges;
}

Mxfp4Edges upload(const MatrixJob& job, DeviceArena& arena, Uploader& uploader, ThreadPool& pool,
                  const StopFlag* stop) {
    Mxfp4Edges edges;
    std::mutex edgesMutex;
    DeviceMatrix m = job.source.shape();
    const auto stack = static_cast<std::uint64_t>(job.source.stack());
    auto* codes = arena.take<std::byte>(stack * m.codeBytes());
    auto* scales = arena.take<std::byte>(stack * m.scaleBytes());
    const auto codeBytes = 16 * static_cast<std::uint64_t>(m.tileUnits());
    const auto scaleBytes = 4 * static_cast<std::uint64_t>(m.tileScales());
    const std::uint64_t all = stack * static_cast<std::uint64_t>(m.tiles());
    const std::uint64_t slice =
        std::max<std::uint64_t>(1, uploader.size() / (codeBytes + scaleBytes));
    for (std::uint64_t begin = 0; begin < all; begin += slice) {
        throwIfStopped(stop);
        const std::uint64_t count = std::min(all - begin, slice);
        std::byte* buffer = uploader.next();
        std::byte* scaleBuffer = buffer + count * codeBytes;
        pool.parallelFor(static_cast<std::int64_t>(count), [&](std::int64_t i, int) {
            const auto at = static_cast<std::uint64_t>(i);
            const auto tile = static_cast<std::int64_t>(begin + at);
            packTile(job.source, m, tile / m.tiles(), static_cast<int>(tile % m.tiles()),
                     reinterpret_cast<uint4*>(buffer + at * codeBytes),
                     reinterpret_cast<std::uint32_t*>(scaleBuffer + at * scaleBytes));
            const Mxfp4Edges found =
                edgesOf(job.source, tile / m.tiles(), tile % m.tiles(), m.rows);
            if (!found.any()) return;
            const std::scoped_lock lock(edgesMutex);
            edges += found;
        });
        uploader.copy(codes + begin * codeBytes, buffer, count * codeBytes);
        uploader.copy(scales + begin * scaleBytes, scaleBuffer, count * scaleBytes);
        uploader.done();
    }
    m.codes = reinterpret_cast<const uint4*>(codes);
    m.scales = m.tileScales() > 0 ? reinterpret_cast<const std::uint32_t*>(scales) : nullptr;
    *job.to = m;
    return edges;
}

void upload(const VectorJob& job, DeviceArena& arena, Uploader& uploader) {
    std::vector<float> values;
    values.reserve(job.count);
    std::int64_t rows = 0;
    for (const TensorView* t : job.tensors) {
        if (t->empty()) continue;
        refuseNotFinite(*t);
        rows = t->rows();
    }
    for (std::int64_t r = 0; r < rows; ++r) {
        const std::size_t first = values.size();
        for (const TensorView* t : job.tensors) {
            if (t->empty()) continue;
            const auto cols = static_cast<std::size_t>(t->cols());
            values.resize(values.size() + cols);
            dequantizeRow(*t, 0, r, std::span(values).last(cols));
        }
        const std::size_t half = (values.size() - first) / 2;
        if (!job.interleaved || job.tensors[0]->empty() || job.tensors[1]->empty()) continue;
        const std::vector<float> both(values.begin() + static_cast<std::ptrdiff_t>(first),
                                      values.end());
        for (std::size_t i = 0; i < half; ++i) {
            values[first + 2 * i] = both[i];
            values[first + 2 * i + 1] = both[half + i];
        }
    }
    auto* to = arena.take<float>(job.count);
    const std::uint64_t perSlice = uploader.size() / sizeof(float);
    for (std::uint64_t at = 0; at < values.size(); at += perSlice) {
        const std::uint64_t count = std::min<std::uint64_t>(perSlice, values.size() - at);
        std::byte* buffer = uploader.next();
        std::memcpy(buffer, values.data() + at, count * sizeof(float));
        uploader.copy(to + at, buffer, count * sizeof(float));
        uploader.done();
    }
    *job.to = to;
}

}  // namespace

std::vector<MemoryPart> DeviceModel::plan(const BoundModel& model, int expertsOnHost) {
    std::vector<MemoryPart> parts;
    for (const char* name : kPartNames) parts.push_back({name, 0});
    // The jobs need somewhere to point to; nothing is written there.
    DeviceModel nowhere;
    nowhere.layers.resize(model.weights.layers.size());
    const Jobs jobs(model, nowhere, expertsOnHost);
    for (const MatrixJob& job : jobs.matrices)
        parts[static_cast<std::size_t>(job.part)].bytes += stackBytes(job.source);
    for (const VectorJob& job : jobs.vectors)
        parts[static_cast<std::size_t>(Part::Vectors)].bytes +=
            DeviceArena::spaceOf(job.count * sizeof(float));
    return parts;
}

DeviceModel::DeviceModel(const BoundModel& model, const Checkpoint& checkpoint, ThreadPool& pool,
                         int expertsOnHost, const StopFlag* stop) {
    const std::vector<MemoryPart> parts = plan(model, expertsOnHost);
    const std::uint64_t hostBytes = parts.back().bytes;
    const std::uint64_t bytes =
        std::accumulate(parts.begin(), parts.end() - 1, std::uint64_t{0},
                        [](std::uint64_t sum, const MemoryPart& p) { return sum + p.bytes; });
    arena_ = DeviceArena(bytes, model.spec.name.c_str());
    hostArena_ = DeviceArena(hostBytes, "experts on the host", DeviceArena::Place::Host);
    layers.resize(model.weights.layers.size());
    const Jobs jobs(model, *this, expertsOnHost);
    // A tile is the least that is packed at once.
    std::uint64_t staging = std::min(bytes + hostBytes, kStagingBytes);
    for (const MatrixJob& job : jobs.matrices) {
        const DeviceMatrix m = job.source.shape();
        staging =
            std::max(staging, static_cast<std::uint64_t>(16 * m.tileUnits() + 4 * m.tileScales()));
    }
    Uploader uploader(staging);
    const std::byte* shared = model.weights.embedding.data;
    for (const MatrixJob& job : jobs.matrices) {
        edges_ +=
            upload(job, job.part == Part::HostExperts ? hostArena_ : arena_, uploader, pool, stop);
        if (job.source.tensors().front()->data != shared) release(checkpoint, job.source);
    }
    for (const VectorJob& job : jobs.vectors) upload(job, arena_, uploader);
    uploader.finish();
    if (embedding.codes == nullptr) embedding = head;
}

}  // namespace moescope::cuda
