// SPDX-License-Identifier: Apache-2.0
// Construction, the operations as the session calls them, and what goes back to the host. What each
// operation enqueues is in cuda_operations.cu.
#include "engine/backend/cuda/cuda_backend.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <numeric>
#include <utility>

#include "engine/backend/cuda/prefill_rows.h"
#include "engine/backend/rope_plan.h"
#include "engine/core/error.h"
#include "engine/nvtx_ranges.h"
#include "engine/run/memory.h"

namespace moescope::cuda {
namespace {

CudaState& own(BackendState& s) {
    return static_cast<CudaState&>(s);
}
const CudaState& own(const BackendState& s) {
    return static_cast<const CudaState&>(s);
}

std::size_t index(std::int64_t value) {
    return static_cast<std::size_t>(value);
}

/// Name and multiprocessors of a device; makes it the calling thread's. Throws Error when there is
/// none.
cudaDeviceProp chooseDevice(int device) {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess || count == 0) {
        throw Error(
            std::string("the cuda back end finds no device: ") +
                (status == cudaSuccess ? "the driver reports none" : cudaGetErrorString(status)),
            "use --backend cpu");
    }
    if (device < 0 || device >= count) {
        throw UsageError("there is no CUDA device " + std::to_string(device) + ": there are " +
                         std::to_string(count));
    }
    check(cudaSetDevice(device), "choosing the CUDA device");
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, device), "asking for the device's properties");
    return properties;
}

/// Throws Error with the table of what needs what when the weights cannot fit.
void refuseIfTooLarge(const BoundModel& model, const CudaOptions& options) {
    const std::vector<MemoryPart> parts = DeviceModel::plan(model, options.expertsOnHost);
    std::size_t free = 0;
    std::size_t total = 0;
    check(cudaMemGetInfo(&free, &total), "asking for the device's memory");
    std::uint64_t sum = 0;
    std::string table;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
        sum += parts[i].bytes;
        table += (i == 0 ? "" : ", ") + parts[i].name + " " + memoryText(parts[i].bytes);
    }
    if (sum <= free) return;
    throw Error(model.spec.name + " needs " + memoryText(sum) + " of device memory (" + table +
                    "), " + memoryText(free) + " are free",
                "--experts-on-host N keeps the experts of the first N layers in host memory");
}

/// Positions [0, end). What `from` is itself still to get from another cache is taken from there,
/// so that no copy of a step waits for another.
void addCopies(std::vector<PrefixCopy>& copies, const CudaCache& from, CudaCache& to, int end) {
    const int own = from.prefix == nullptr ? 0 : from.prefixTokens;
    if (own > 0) addCopies(copies, *from.prefix, to, std::min(own, end));
    if (own < end) copies.push_back({&from, &to, own, end});
}

}  // namespace

CudaBackend::CudaBackend(const BoundModel& model, const Checkpoint& checkpoint,
                         const CudaOptions& options, const StopFlag* stop)
    : spec_(model.spec), weights_(model.weights), options_(options) {
    const cudaDeviceProp properties = chooseDevice(options.device);
    device_ = std::string(properties.name) + " (sm_" + std::to_string(properties.major) +
              std::to_string(properties.minor) + ")";
    multiprocessors_ = properties.multiProcessorCount;
    if (spec_.nExpert > kMaxExperts || spec_.topK > kMaxTopK) {
        throw Error("the cuda back end takes up to " + std::to_string(kMaxExperts) +
                    " experts and a choice of " + std::to_string(kMaxTopK) + ", not " +
                    std::to_string(spec_.nExpert) + " and " + std::to_string(spec_.topK));
    }
    if (spec_.headDim > kMaxDecodeHeadDim) {
        throw Error("the cuda back end takes heads of up to " + std::to_string(kMaxDecodeHeadDim) +
                    " numbers, not " + std::to_string(spec_.headDim));
    }
    fewTokens_ = decodeTokensThatFit(spec_.dModel, properties.sharedMemPerBlockOptin);
    refuseIfTooLarge(model, options);
    model_ = std::make_unique<DeviceModel>(model, checkpoint, pool_, options.expertsOnHost, stop);

    RopePlan plan = planRopes(spec_);
    ropeOf_ = std::move(plan.ofLayer);
    if (spec_.position != PositionKind::Rope) return;
    nRopes_ = static_cast<int>(plan.distinct.size());
    std::vector<double> tables;
    for (const RopeSpec* rope : plan.distinct) {
        const RopeTable table = ropeTable(*rope, spec_.headDim);
        tables.insert(tables.end(), table.inverseFrequency.begin(), table.inverseFrequency.end());
        tables.push_back(table.concentration);
    }
    ropeArena_ = DeviceArena(DeviceArena::spaceOf(tables.size() * sizeof(double)), "rope tables");
    ropes_ = ropeArena_.take<double>(tables.size());
    const Stream stream;
    copyAsync(ropes_, tables.data(), tables.size() * sizeof(double), cudaMemcpyHostToDevice, stream,
              "copying to the device");
    stream.wait();
}

std::string CudaBackend::description() const {
    return "cuda " + device_ + ", " + (options_.numerics == Numerics::Fast ? "fast" : "exact");
}

std::uint64_t CudaBackend::stateBytes(int maxContext, int maxBatch) const {
    return StateShape{spec_, *model_, nRopes_, maxContext, maxBatch}.hostBytes();
}

std::unique_ptr<BackendState> CudaBackend::newState(int maxContext, int maxBatch) const {
    assert(maxContext > 0 && maxBatch > 0);
    caches_->clear();  // a session begins, whose caches will have other sizes
    check(cudaSetDevice(options_.device), "choosing the CUDA device");
    return std::make_unique<CudaState>(StateShape{spec_, *model_, nRopes_, maxContext, maxBatch});
}

std::uint64_t CudaBackend::deviceCacheBytes(const CacheShape& shape) const {
    return CudaCache::bytes(spec_, shape);
}

std::shared_ptr<KvCache> CudaBackend::newCache(const CacheShape& shape) const {
    assert(shape.maxContext > shape.prefixTokens && shape.maxRun > 0);
    check(cudaSetDevice(options_.device), "choosing the CUDA device");
    return std::make_shared<CudaCache>(spec_, shape, caches_);
}

void CudaBackend::parallelFor(int n, const std::function<void(int)>& f) const {
    pool_.parallelFor(n, [&](std::int64_t i, int) { f(static_cast<int>(i)); });
}

DeviceMemory CudaBackend::deviceMemory() const {
    std::size_t free = 0;
    std::size_t total = 0;
    check(cudaMemGetInfo(&free, &total), "asking for the device's memory");
    return {total - free - caches_->kept(), total};
}

OpWork CudaBackend::finish(CudaState& s, OpWork work, std::string_view kernel) const {
    if (s.timed && s.launches == nullptr) s.stream.wait();
    report(s);
    work.kernel = kernel;
    return work;
}

/// Tells the sink of what was launched since the latest report.
void CudaBackend::report(CudaState& s) const noexcept {
    if (s.launches != nullptr) s.launches->launched(tally());
    tally() = {};
}

void CudaBackend::setLaunches(BackendState& state, LaunchSink* sink) const noexcept {
    CudaState& s = own(state);
    if (std::exchange(s.launches, sink) != sink) {
        // Recorded without it, or for another: nothing was said of their nodes.
        s.step.graph.reset();
        s.choosing.graph.reset();
    }
    tally() = {};
}

StepShape CudaBackend::stepShape(const CudaState& s) const noexcept {
    return {s.tokens(), s.places.runs, static_cast<int>(sizeof(std::uint16_t))};
}

void CudaBackend::setTimed(BackendState& state, bool timed) const {
    own(state).timed = timed;
}

/// The kernel of few tokens spreads one query over the GPU, that of many shares a tile of keys
/// among a run's queries: single tokens in front, where a BatchGenerator has those it decodes, go
/// through the first, and all that comes behind them through the second.
void CudaBackend::planAttention(CudaState& s) const {
    const int most = few(s) ? kDecodeTokens : 1;
    const auto isLong = [&](const StepRun& run) { return run.tokens > most; };
    const auto firstLong = std::ranges::find_if(s.places.runs, isLong);
    s.shortRuns = static_cast<int>(firstLong - s.places.runs.begin());
}

void CudaBackend::planCopies(CudaState& s) const {
    s.copies.clear();
    for (int r = 0; r < s.runs(); ++r) {
        CudaCache& cache = s.cache(r);
        const auto isThis = [&](const PrefixCopy& c) { return c.to == &cache; };
        if (cache.prefix == nullptr || std::ranges::any_of(s.copies, isThis)) continue;
        addCopies(s.copies, *cache.prefix, cache, cache.prefixTokens);
    }
    // Steps of a prefix may still be under way, on the stream of whatever state evaluates them.
    if (!s.copies.empty()) waitForDevice();
}

/// Ids, places and, of several sequences, where their caches are.
void CudaBackend::sendStep(CudaState& s, std::span<const TokenId> tokens,
                           std::span<const StepRun> runs) const {
    check(cudaSetDevice(options_.device), "choosing the CUDA device");  // of this thread
    s.places.assign(runs);
    planAttention(s);
    planCopies(s);
    s.sent.wait();  // the buffers may still be on their way from the step before
    const auto send = [&](auto* to, const auto* from, std::size_t count) {
        copyAsync(to, from, count * sizeof *from, cudaMemcpyHostToDevice, s.stream,
                  "copying tokens to the device");
    };
    std::copy(tokens.begin(), tokens.end(), s.hostIds);
    for (std::size_t t = 0; t < tokens.size(); ++t)
        s.hostPlaces[t] = {s.places.positions[t], s.places.runOf[t]};
    send(s.ids, s.hostIds, tokens.size());
    send(s.devicePlaces, s.hostPlaces, tokens.size());
    if (runs.size() > 1) {
        LayerCache* to = s.hostCaches;
        for (std::size_t layer = 0; layer < spec_.layers.size(); ++layer)
            for (int r = 0; r < s.runs(); ++r) *to++ = s.cache(r).layers[layer];
        send(s.caches, s.hostCaches, spec_.layers.size() * runs.size());
    }
    s.sent.record(s.stream);
}

OpWork CudaBackend::embed(BackendState& state, std::span<const TokenId> tokens,
                          std::span<const StepRun> runs) const {
    CudaState& s = own(state);
    assert(!tokens.empty() && static_cast<int>(tokens.size()) <= s.maxBatch);
    assert(!runs.empty() && static_cast<int>(runs.size()) <= kMaxRuns);
    sendStep(s, tokens, runs);
    assert(s.tokens() == static_cast<int>(tokens.size()));
    enqueueEmbed(s);
    return finish(s, embedWork(spec_, weights_, stepShape(s)), "embed_tokens");
}

OpWork CudaBackend::attentionInput(BackendState& state, int layer) const {
    CudaState& s = own(state);
    enqueueAttentionInput(s, layer);
    return finish(s, attentionInputWork(spec_, weights_.layers[index(layer)], stepShape(s)),
                  few(s) ? "decode_project" : "prefill_project");
}

OpWork CudaBackend::attention(BackendState& state, int layer) const {
    CudaState& s = own(state);
    enqueueAttention(s, layer);
    return finish(s, attentionWork(spec_, spec_.layers[index(layer)], stepShape(s)),
                  few(s) ? "decode_attention" : "prefill_attention");
}

OpWork CudaBackend::attentionOutput(BackendState& state, int layer) const {
    CudaState& s = own(state);
    enqueueAttentionOutput(s, layer);
    return finish(s, attentionOutputWork(weights_.layers[index(layer)], stepShape(s)),
                  few(s) ? "decode_project" : "prefill_project");
}

OpWork CudaBackend::route(BackendState& state, int layer) const {
    CudaState& s = own(state);
    assert(spec_.layers[index(layer)].mlp == MlpKind::Experts);
    s.lastRouted = layer;
    enqueueRoute(s, layer);
    // Here, so that a profile sees the copies within the operation that they belong to. Otherwise
    // nobody waits for them until the step is done.
    if (s.timed) fetchExpertChoice(s, layer);
    return finish(s, routeWork(weights_.layers[index(layer)], stepShape(s)),
                  expertsGrouped(s, layer) ? "prefill_project" : "decode_project");
}

/// Choices of a step lie layer by layer: (n_layer, n_tokens, top_k), on the device and on the host.
RoutingView CudaBackend::stepRouting(const BackendState& state, int layer) const {
    const CudaState& s = own(state);
    const std::size_t count = index(s.tokens()) * index(spec_.topK);
    return {{s.hostExperts + index(layer) * count, count},
            {s.hostWeights + index(layer) * count, count}};
}

void CudaBackend::waitForLayers(BackendState& state) const {
    CudaState& s = own(state);
    fetchRoutingOfStep(s);
    s.stream.wait();
}

/// Of the latest layer that was routed.
void CudaBackend::fetchExpertChoice(const CudaState& s, int layer) const {
    if (!expertsGrouped(s, layer))
        enqueueExpertChoice(s, layer);  // the experts would choose, later
    const std::size_t count = index(s.tokens()) * index(spec_.topK);
    fetchRouting(s, index(layer) * count, count);
}

void CudaBackend::fetchRoutingOfStep(const CudaState& s) const {
    if (spec_.nExpert == 0) return;
    fetchRouting(s, 0, index(spec_.nLayer) * index(s.tokens()) * index(spec_.topK));
}

void CudaBackend::fetchRouting(const CudaState& s, std::size_t first, std::size_t count) const {
    copyAsync(s.hostExperts + first, s.experts + first, count * sizeof(std::int32_t),
              cudaMemcpyDeviceToHost, s.stream, "copying routing from the device");
    copyAsync(s.hostWeights + first, s.gateWeights + first, count * sizeof(float),
              cudaMemcpyDeviceToHost, s.stream, "copying routing from the device");
}

RoutingView CudaBackend::routing(const BackendState& state) const {
    const CudaState& s = own(state);
    if (!s.timed) fetchExpertChoice(s, s.lastRouted);
    s.stream.wait();
    return stepRouting(s, s.lastRouted);
}

OpWork CudaBackend::feedForward(BackendState& state, int layer) const {
    CudaState& s = own(state);
    enqueueFeedForward(s, layer);
    const LayerWeights& w = weights_.layers[index(layer)];
    const std::string_view kernel = expertsGrouped(s, layer) ? "prefill_experts" : "decode_experts";
    if (spec_.layers[index(layer)].mlp != MlpKind::Experts)
        return finish(s, mlpWork(w, stepShape(s)), kernel);
    // Which experts were chosen decides the bytes; only who takes the time wants to know.
    if (!s.timed) return finish(s, OpWork{}, kernel);
    return finish(s, expertsWork(spec_, w, stepShape(s), routing(s).experts), kernel);
}

OpWork CudaBackend::head(BackendState& state, std::span<const std::int32_t> wanted,
                         std::span<float> logits) const {
    CudaState& s = own(state);
    const auto count = static_cast<int>(wanted.size());
    const std::size_t vocab = index(spec_.vocab);
    for (int done = 0; done < count; done += s.logitRows) {
        const int found = std::min(count - done, s.logitRows);
        enqueueHeadOf(s, wanted.subspan(index(done), index(found)));
        for (int row = 0; row < found; row += s.hostLogitRows) {
            const std::size_t floats = index(std::min(found - row, s.hostLogitRows)) * vocab;
            copyAsync(s.hostLogits, s.logits + index(row) * vocab, floats * sizeof(float),
                      cudaMemcpyDeviceToHost, s.stream, "copying logits from the device");
            s.stream.wait();
            std::copy_n(s.hostLogits, floats, logits.data() + index(done + row) * vocab);
        }
    }
    return finish(s, headWork(weights_, count), headKernel(count));
}

/// Logits of at most logitRows of the step's tokens, ascending.
void CudaBackend::enqueueHeadOf(CudaState& s, std::span<const std::int32_t> rows) const {
    const auto count = static_cast<int>(rows.size());
    assert(count > 0 && count <= s.logitRows && rows.back() < s.tokens());
    const float* hidden = s.hidden + index(rows.front()) * index(spec_.dModel);
    if (rows.back() - rows.front() + 1 != count) {
        // The last tokens of several sequences, say: the head's weights are read once for all.
        std::copy(rows.begin(), rows.end(), s.hostRows);
        copyAsync(s.rows, s.hostRows, rows.size_bytes(), cudaMemcpyHostToDevice, s.stream,
                  "copying tokens to the device");
        gatherRows({s.hidden, s.rows, count, spec_.dModel, s.branch}, s.stream);
        hidden = s.branch;
    }
    enqueueHead(s, hidden, count);
}

int CudaBackend::keptRows(const BackendState& state) const noexcept {
    return own(state).logitRows;
}

OpWork CudaBackend::keepLogits(BackendState& state, std::span<const std::int32_t> rows) const {
    CudaState& s = own(state);
    enqueueHeadOf(s, rows);
    const auto count = static_cast<int>(rows.size());
    return finish(s, headWork(weights_, count), headKernel(count));
}

void CudaBackend::sendRules(CudaState& s, std::span<const TokenRule> rules) const {
    std::copy(rules.begin(), rules.end(), s.hostRules);
    copyAsync(s.rules, s.hostRules, rules.size_bytes(), cudaMemcpyHostToDevice, s.stream,
              "copying to the device");
}

OpWork CudaBackend::choose(BackendState& state, std::span<const TokenRule> rules,
                           std::span<TokenChoice> chosen) const {
    CudaState& s = own(state);
    assert(rules.size() == chosen.size() && static_cast<int>(rules.size()) <= s.logitRows);
    sendRules(s, rules);
    enqueueNextTokens(s, static_cast<int>(rules.size()), false);
    copyAsync(s.hostChosen, s.chosen, chosen.size_bytes(), cudaMemcpyDeviceToHost, s.stream,
              "copying tokens from the device");
    s.stream.wait();
    std::copy_n(s.hostChosen, chosen.size(), chosen.begin());
    return finish(s, choiceWork(spec_, static_cast<int>(rules.size())), "choose_tokens");
}

OpWork CudaBackend::examine(BackendState& state, std::span<const TokenQuestion> questions,
                            std::span<TokenAnswer> answers) const {
    CudaState& s = own(state);
    assert(questions.size() == answers.size());
    if (questions.empty()) s.stream.wait();  // rows of keepLogits may be on their way
    for (std::size_t done = 0; done < questions.size(); done += kQuestions) {
        const auto asked =
            questions.subspan(done, std::min<std::size_t>(questions.size() - done, kQuestions));
        std::copy(asked.begin(), asked.end(), s.hostQuestions);
        copyAsync(s.questions, s.hostQuestions, asked.size_bytes(), cudaMemcpyHostToDevice,
                  s.stream, "copying to the device");
        examineTokens(
            {s.logits, spec_.vocab, static_cast<int>(asked.size()), s.questions, s.answers},
            s.stream);
        copyAsync(s.hostAnswers, s.answers, asked.size() * sizeof(TokenAnswer),
                  cudaMemcpyDeviceToHost, s.stream, "copying from the device");
        s.stream.wait();
        std::copy_n(s.hostAnswers, asked.size(), answers.data() + done);
    }
    return finish(s, choiceWork(spec_, static_cast<int>(questions.size())), "examine_tokens");
}

std::span<const float> CudaBackend::hidden(const BackendState& state) const {
    const CudaState& s = own(state);
    s.hostHidden.resize(index(s.tokens()) * index(spec_.dModel));
    copyAsync(s.hostHidden.data(), s.hidden, s.hostHidden.size() * sizeof(float),
              cudaMemcpyDeviceToHost, s.stream, "copying hidden states from the device");
    s.stream.wait();
    return s.hostHidden;
}

/// Begins a step of one token that is recorded as a whole. Recorded graphs hold the addresses of
/// the cache that they were recorded with.
void CudaBackend::beginToken(CudaState& s, KvCache& cache, TokenId token, int position) const {
    const StepRun run{&cache, position, 1};
    sendStep(s, {&token, 1}, {&run, 1});
    for (int layer = 0; layer < spec_.nLayer; ++layer) enqueueCopies(s, layer);
    if (std::exchange(s.graphsOf, s.cache(0).serial) == s.cache(0).serial) return;
    s.step.graph.reset();
    s.choosing.graph.reset();
}

OpWork CudaBackend::sendToken(BackendState& state, KvCache& cache, TokenId token, int position,
                              const TokenRule* rule) const {
    CudaState& s = own(state);
    beginToken(s, cache, token, position);
    s.chooses = rule != nullptr;
    if (s.chooses) sendRules(s, {rule, 1});
    const OpWork work = finish(s, embedWork(spec_, weights_, stepShape(s)), "embed_tokens");
    if (s.launches != nullptr) s.launches->replayed(Op::Embed, -1, work);
    return work;
}

/// Nodes of the graph are announced to the sink while they are recorded.
void CudaBackend::captureToken(CudaState& s, RecordedToken& token, bool choosing) const {
    static std::atomic<std::uint64_t> recorded{0};  // no number twice in a process
    token.number = ++recorded;
    token.graph.capture(
        s.stream,
        [&] {
            if (s.launches != nullptr) s.launches->captureBegin(token.number);
            enqueueToken(s, choosing);
        },
        [&] {
            if (s.launches != nullptr) s.launches->captureEnd();
        });
}

void CudaBackend::runToken(BackendState& state) const {
    CudaState& s = own(state);
    RecordedToken& token = s.chooses ? s.choosing : s.step;
    if (!token.graph) captureToken(s, token, s.chooses);
    if (s.launches != nullptr) s.launches->replay(token.number);
    token.graph.run(s.stream);
}

/// What the operations between embed and head did: as when they are launched one by one.
void CudaBackend::reportReplay(const CudaState& s) const noexcept {
    const auto tell = [&](Op op, int layer, OpWork work, std::string_view kernel) {
        work.kernel = kernel;
        s.launches->replayed(op, layer, work);
    };
    const StepShape step = stepShape(s);
    for (int layer = 0; layer < spec_.nLayer; ++layer) {
        const LayerWeights& w = weights_.layers[index(layer)];
        const LayerSpec& of = spec_.layers[index(layer)];
        tell(Op::AttentionInput, layer, attentionInputWork(spec_, w, step), "decode_project");
        tell(Op::Attention, layer, attentionWork(spec_, of, step), "decode_attention");
        tell(Op::AttentionOutput, layer, attentionOutputWork(w, step), "decode_project");
        if (of.mlp != MlpKind::Experts) {
            tell(Op::Mlp, layer, mlpWork(w, step), "decode_experts");
            continue;
        }
        tell(Op::Router, layer, routeWork(w, step), "decode_project");
        tell(Op::Experts, layer, expertsWork(spec_, w, step, stepRouting(s, layer).experts),
             "decode_experts");
    }
}

OpWork CudaBackend::fetchLogits(BackendState& state, std::span<float> logits) const {
    CudaState& s = own(state);
    copyAsync(s.hostLogits, s.logits, index(spec_.vocab) * sizeof(float), cudaMemcpyDeviceToHost,
              s.stream, "copying logits from the device");
    const OpWork work = finishToken(s);
    std::copy_n(s.hostLogits, index(spec_.vocab), logits.data());
    return work;
}

OpWork CudaBackend::fetchChoice(BackendState& state, TokenChoice& chosen) const {
    CudaState& s = own(state);
    const std::size_t at = s.hostRules[0].draw % kGreedyBurst;
    copyAsync(s.hostChosen, s.chosen + at, sizeof chosen, cudaMemcpyDeviceToHost, s.stream,
              "copying tokens from the device");
    const OpWork work = finishToken(s);
    if (s.launches != nullptr) {
        OpWork choice = choiceWork(spec_, 1);
        choice.kernel = "choose_tokens";
        s.launches->replayed(Op::Sample, -1, choice);
    }
    chosen = s.hostChosen[0];
    return work;
}

/// Waits for a step that was run as a whole, and tells the sink what it did. Returns the head's
/// work.
OpWork CudaBackend::finishToken(CudaState& s) const {
    fetchRoutingOfStep(s);
    s.stream.wait();
    const OpWork work = finish(s, headWork(weights_, 1), headKernel(1));
    if (s.launches != nullptr) {
        reportReplay(s);
        s.launches->replayed(Op::Head, -1, work);
    }
    return work;
}

int CudaBackend::decodeGreedy(BackendState& state, KvCache& cache, TokenId first, int position,
                              std::span<TokenId> out) const {
    CudaState& s = own(state);
    if (s.launches != nullptr) return 0;  // its graph is not announced
    std::size_t done = 0;
    for (bool finite = true; finite && done < out.size();) {
        const std::size_t burst = std::min<std::size_t>(out.size() - done, kGreedyBurst);
        beginToken(s, cache, first, position + static_cast<int>(done));
        const TokenRule largest;
        sendRules(s, {&largest, 1});
        if (!s.choosing.graph) captureToken(s, s.choosing, true);
        for (std::size_t i = 0; i < burst; ++i) {
            const NvtxRange range(
                StepInfo{0, StepKind::Decode, position + static_cast<int>(done + i), 1});
            s.choosing.graph.run(s.stream);
        }
        copyAsync(s.hostChosen, s.chosen, burst * sizeof(TokenChoice), cudaMemcpyDeviceToHost,
                  s.stream, "copying tokens from the device");
        s.stream.wait();
        for (std::size_t i = 0; i < burst; ++i) {
            first = out[done + i] = s.hostChosen[i].token;
            finite = finite && first >= 0;
        }
        done += burst;
    }
    const StepRun last{&cache, position + static_cast<int>(done) - 1, 1};
    s.places.assign({&last, 1});
    return static_cast<int>(done);
}

}  // namespace moescope::cuda

namespace moescope {

std::unique_ptr<Backend> makeCudaBackend(const BoundModel& model, const Checkpoint& checkpoint,
                                         const CudaOptions& options, const StopFlag* stop) {
    return std::make_unique<cuda::CudaBackend>(model, checkpoint, options, stop);
}

}  // namespace moescope
