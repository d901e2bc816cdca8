// SPDX-License-Identifier: Apache-2.0
// One walk over all buffers serves both counting and placing, so that the sizes cannot be wrong.
#include "engine/backend/cuda/cuda_state.h"

#include <algorithm>
#include <atomic>

#include "engine/backend/kv_layout.h"

namespace moescope::cuda {
namespace {

/// Bytes of logits that are computed together, and the weights of the head read once for: 166
/// tokens of gpt-oss. One row is always possible.
constexpr std::uint64_t kLogitBytes = std::uint64_t{128} << 20;
/// The same of those that go to the host together.
constexpr std::uint64_t kHostLogitBytes = std::uint64_t{32} << 20;

std::uint64_t product(std::int64_t a, std::int64_t b = 1, std::int64_t c = 1) {
    return static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b) *
           static_cast<std::uint64_t>(c);
}

/// Counts bytes, and places buffers where there is memory to place them in.
class Placer {
public:
    explicit Placer(std::byte* base = nullptr) : base_(base) {}
    template <typename T>
    void operator()(T*& pointer, std::uint64_t count) {
        if (base_ != nullptr) {
            pointer = reinterpret_cast<T*>(base_ + total_);
            DeviceArena::bound(pointer, count * sizeof(T));
        }
        total_ += DeviceArena::spaceOf(count * sizeof(T));
    }
    void operator()(PairRows& rows, std::int64_t count, std::int32_t stride) {
        rows.stride = stride;
        (*this)(rows.words, product(count, stride));
    }
    std::uint64_t total() const { return total_; }

private:
    std::byte* base_;
    std::uint64_t total_ = 0;
};

/// Greatest padded width of the layers' matrices of a kind.
template <typename Member>
std::int32_t widest(const DeviceModel& model, Member member) {
    std::int32_t width = 8;
    for (const DeviceLayer& layer : model.layers) {
        const DeviceMatrix& m = layer.*member;
        if (m.rows > 0) width = std::max(width, m.paddedCols());
    }
    return width;
}

/// Rows of logits that `bytes` have room for.
std::int32_t rowsOfLogits(std::uint64_t bytes, const StateShape& shape) {
    return static_cast<std::int32_t>(std::clamp<std::uint64_t>(
        bytes / sizeof(float) / product(shape.spec.vocab), 1, product(shape.maxBatch)));
}

void placeOnDevice(const StateShape& shape, StateBuffers& b, Placer& put) {
    const ModelSpec& spec = shape.spec;
    const DeviceModel& model = shape.model;
    const std::int64_t n = shape.maxBatch;
    const std::int64_t topK = std::max(1, spec.topK);
    const std::int64_t few = kDecodeTokens;
    put(b.ids, product(n));
    put(b.devicePlaces, product(n));
    put(b.caches, product(spec.nLayer, std::min<std::int64_t>(n, kMaxRuns)));
    put(b.angles, product(shape.ropes, n, std::max(1, spec.headDim / 2)));
    put(b.hidden, product(n, spec.dModel));
    put(b.branch, product(n, spec.dModel));
    put(b.qkv, product(n, spec.nHead + 2 * spec.nKvHead, spec.headDim));
    put(b.routerLogits, product(n, spec.nExpert));
    put(b.experts, product(spec.nLayer, n, topK));
    put(b.gateWeights, product(spec.nLayer, n, topK));
    put(b.everyToken.experts, product(n));
    put(b.everyToken.weights, product(n));
    b.logitRows = rowsOfLogits(kLogitBytes, shape);
    b.hostLogitRows = rowsOfLogits(kHostLogitBytes, shape);
    put(b.logits, product(b.logitRows, spec.vocab));
    put(b.rows, product(n));
    put(b.rules, product(b.logitRows));
    put(b.chosen, product(std::max(b.logitRows, kGreedyBurst)));
    put(b.choiceParts, choiceParts(b.logitRows));
    put(b.choiceCounters, product(b.logitRows));
    put(b.questions, kQuestions);
    put(b.answers, kQuestions);

    put(b.normed, few, widest(model, &DeviceLayer::gateUp));
    put(b.normed.scale, few);
    put(b.attended, few, widest(model, &DeviceLayer::o));
    put(b.inner, few * topK, widest(model, &DeviceLayer::down));
    put(b.attentionParts, decodeAttentionScratch(spec.nHead, spec.nKvHead, spec.headDim));
    b.nCounters = decodeAttentionCounters(spec.nHead, spec.nKvHead);
    put(b.counters, b.nCounters);

    b.rowStride = std::max({widest(model, &DeviceLayer::qkv), widest(model, &DeviceLayer::o),
                            widest(model, &DeviceLayer::gateUp),
                            widest(model, &DeviceLayer::router), model.head.paddedCols()});
    put(b.rowsHigh, product(n, b.rowStride));
    put(b.rowsLow, product(n, b.rowStride));
    put(b.innerHigh, product(n, topK, b.inner.stride));
    put(b.innerLow, product(n, topK, b.inner.stride));
    // The experts' inputs, sorted, lie there before their outputs do; a plain MLP keeps its inner
    // rows there before they are activated.
    std::int64_t innerWidth = topK * std::max<std::int64_t>(spec.dModel, b.normed.stride);
    for (const LayerSpec& layer : spec.layers)
        if (layer.mlp == MlpKind::Plain) innerWidth = std::max<std::int64_t>(innerWidth, layer.ffn);
    put(b.products, product(n, innerWidth));
    put(b.groups.offsets, product(std::max(1, spec.nExpert) + 1));
    put(b.groups.slots, product(n, topK));
}

void placeOnHost(const StateShape& shape, StateBuffers& b, Placer& put) {
    const ModelSpec& spec = shape.spec;
    const std::int64_t choices = std::int64_t{shape.maxBatch} * std::max(1, spec.topK);
    put(b.hostIds, product(shape.maxBatch));
    put(b.hostPlaces, product(shape.maxBatch));
    put(b.hostCaches, product(spec.nLayer, std::min(shape.maxBatch, kMaxRuns)));
    put(b.hostRows, product(shape.maxBatch));
    put(b.hostExperts, product(spec.nLayer, choices));
    put(b.hostWeights, product(spec.nLayer, choices));
    put(b.hostLogits, product(b.hostLogitRows, spec.vocab));
    put(b.hostQuestions, kQuestions);
    put(b.hostAnswers, kQuestions);
    put(b.hostRules, product(b.logitRows));
    put(b.hostChosen, product(std::max(b.logitRows, kGreedyBurst)));
}

std::vector<LayerCache> placeCaches(const ModelSpec& spec, const CacheShape& shape, Placer& put) {
    const std::int64_t kvWidth = std::int64_t{spec.nKvHead} * spec.headDim;
    std::vector<LayerCache> layers;
    for (const LayerSpec& layer : spec.layers) {
        LayerCache& cache = layers.emplace_back();
        cache.rows = kvRows(layer.window, shape.maxContext, shape.maxRun);
        put(cache.keys, product(cache.rows, kvWidth));
        put(cache.values, product(cache.rows, kvWidth));
    }
    return layers;
}

std::uint64_t nextSerial() {
    static std::atomic<std::uint64_t> serials{0};
    return ++serials;
}

}  // namespace

std::uint64_t CudaCache::bytes(const ModelSpec& spec, const CacheShape& shape) {
    Placer count;
    placeCaches(spec, shape, count);
    return ArenaPool::sizeOf(count.total());
}

CudaCache::CudaCache(const ModelSpec& spec, const CacheShape& shape,
                     std::shared_ptr<ArenaPool> pool)
    : serial(nextSerial()),
      prefix(std::static_pointer_cast<const CudaCache>(shape.prefix)),
      prefixTokens(shape.prefixTokens),
      pool_(std::move(pool)),
      arena_(pool_->take(bytes(spec, shape), "the key-value cache")) {
    Placer device(static_cast<std::byte*>(arena_.base()));
    layers = placeCaches(spec, shape, device);
}

std::uint64_t StateShape::deviceBytes() const {
    StateBuffers nowhere;
    Placer count;
    placeOnDevice(*this, nowhere, count);
    return count.total();
}

std::uint64_t StateShape::hostBytes() const {
    StateBuffers nowhere;
    Placer device;
    placeOnDevice(*this, nowhere, device);
    Placer count;
    placeOnHost(*this, nowhere, count);
    return count.total();
}

CudaState::CudaState(const StateShape& shape)
    : maxContext(shape.maxContext),
      maxBatch(shape.maxBatch),
      arena_(shape.deviceBytes(), "the activations"),
      host_(shape.hostBytes()) {
    Placer device(static_cast<std::byte*>(arena_.base()));
    placeOnDevice(shape, *this, device);
    Placer host(host_.data());
    placeOnHost(shape, *this, host);
    const auto zero = [this](void* at, std::uint64_t bytes) {
        check(cudaMemsetAsync(at, 0, bytes, stream), "clearing device memory");
    };
    // Padding of row vectors is multiplied with weights that are zero: it must be finite.
    for (const PairRows* rows : {&normed, &attended, &inner}) {
        const auto count = static_cast<std::uint64_t>(
            kDecodeTokens * (rows == &inner ? std::max(1, shape.spec.topK) : 1));
        zero(rows->words, 4 * count * static_cast<std::uint64_t>(rows->stride));
    }
    zero(rowsHigh, 2 * product(maxBatch, rowStride));
    zero(rowsLow, 2 * product(maxBatch, rowStride));
    zero(counters, nCounters * sizeof(unsigned));
    zero(choiceCounters, product(logitRows) * sizeof(unsigned));
    const std::vector<std::int32_t> ids(static_cast<std::size_t>(maxBatch), 0);
    const std::vector<float> ones(static_cast<std::size_t>(maxBatch), 1.0F);
    const auto copy = [this](void* to, const void* from, std::size_t bytes) {
        check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream),
              "copying to the device");
    };
    copy(everyToken.experts, ids.data(), ids.size() * sizeof(std::int32_t));
    copy(everyToken.weights, ones.data(), ones.size() * sizeof(float));
    stream.wait();
}

}  // namespace moescope::cuda
