// SPDX-License-Identifier: Apache-2.0
#include "engine/model/synth_checkpoint.h"

#include <algorithm>
#include <span>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/sha256.h"
#include "engine/core/thread_pool.h"
#include "engine/formats/dtypes.h"
#include "engine/run/memory.h"

namespace moescope {
namespace {

constexpr std::uint64_t kSeed = 1;
constexpr std::uint64_t kAlign = 64;

/// The tensor whose bytes `name` has: layer 0's for every layer.
std::string drawnName(const std::string& name) {
    constexpr std::string_view kLayer = "blk.";
    if (!name.starts_with(kLayer)) return name;
    return "blk.0" + name.substr(name.find('.', kLayer.size()));
}

std::uint64_t storedBytes(const SynthTensor& t) {
    return static_cast<std::uint64_t>(t.blocks()) *
           static_cast<std::uint64_t>(dtypeInfo(t.type).blockBytes);
}

TensorView viewOf(const SynthTensor& t, const std::byte* data) {
    TensorView view;
    view.name = t.name;
    view.type = t.type;
    view.rank = static_cast<std::int32_t>(t.shape.size());
    std::copy(t.shape.begin(), t.shape.end(), view.shape.begin());
    view.data = data;
    setContiguousStrides(view);
    return view;
}

}  // namespace

SynthTables::SynthTables(const SynthConfig& config, std::filesystem::path name,
                         SynthVocabulary vocabulary, const std::string& what)
    : name_(std::move(name)), keys_(synthKeys(config, std::move(vocabulary))) {
    GgufWriter writer(name_);  // for the tables only: it writes nothing before begin()
    addSynthTables(writer, keys_, synthTensors(config));
    fileBytes_ = writer.fileBytes();
    identity_ = sha256Hex(what + '\n' + writer.tables());
    fillConfig();
}

void SynthTables::add(const SynthTensor& tensor, const std::byte* data) {
    byName_.emplace(tensor.name, tensors_.size());
    tensors_.push_back(viewOf(tensor, data));
}

/// As GgufCheckpoint would read it from the file.
void SynthTables::fillConfig() {
    const auto tooLong = [](const auto* array) {
        return array != nullptr && array->size() > gguf::kJsonArrayLimit;
    };
    for (const SynthKey& key : keys_) {
        if (tooLong(std::get_if<std::vector<std::string>>(&key.value)) ||
            tooLong(std::get_if<std::vector<std::int32_t>>(&key.value))) {
            continue;
        }
        std::visit([&](const auto& value) { config_[key.name] = value; }, key.value);
    }
}

template <typename Array>
const Array* SynthTables::array(std::string_view key) const noexcept {
    const auto found = std::find_if(keys_.begin(), keys_.end(),
                                    [&](const SynthKey& entry) { return entry.name == key; });
    return found == keys_.end() ? nullptr : std::get_if<Array>(&found->value);
}

std::vector<std::string_view> SynthTables::stringArray(std::string_view key) const {
    const auto* strings = array<std::vector<std::string>>(key);
    if (strings == nullptr) return {};
    return {strings->begin(), strings->end()};
}

std::vector<double> SynthTables::numberArray(std::string_view key) const {
    const auto* numbers = array<std::vector<std::int32_t>>(key);
    if (numbers == nullptr) return {};
    return {numbers->begin(), numbers->end()};
}

const TensorView* SynthTables::find(std::string_view name) const noexcept {
    const auto found = byName_.find(std::string(name));
    return found == byName_.end() ? nullptr : &tensors_[found->second];
}

SynthCheckpoint::SynthCheckpoint(const SynthConfig& config, std::filesystem::path name, int threads,
                                 const StopFlag* stop)
    : SynthTables(config, std::move(name), synthVocabulary(config),
                  "all layers are layer 0, seed " + std::to_string(kSeed)) {
    const std::vector<SynthTensor> all = synthTensors(config);
    std::vector<SynthTensor> drawn;
    std::vector<std::uint64_t> offsets;
    std::unordered_map<std::string_view, std::uint64_t> places;
    std::uint64_t total = 0;
    for (const SynthTensor& t : all) {
        if (drawnName(t.name) != t.name) continue;
        drawn.push_back(t);
        offsets.push_back(total);
        places.emplace(t.name, total);
        total += (storedBytes(t) + kAlign - 1) / kAlign * kAlign;
    }
    requireMemory(total, path().string());
    bytes_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlign, total)));
    if (bytes_ == nullptr) {
        throw Error(path().string() + ": the system refuses " + memoryText(total) + " of memory");
    }
    draw(drawn, offsets, threads, stop);
    for (const SynthTensor& t : all) add(t, bytes_.get() + places.at(drawnName(t.name)));
}

void SynthCheckpoint::draw(const std::vector<SynthTensor>& tensors,
                           const std::vector<std::uint64_t>& offsets, int threads,
                           const StopFlag* stop) {
    const std::vector<SynthChunk> chunks = splitTensors(tensors);
    ThreadPool pool(threads);
    pool.parallelFor(static_cast<std::int64_t>(chunks.size()), [&](std::int64_t i, int) {
        throwIfStopped(stop);
        const SynthChunk& chunk = chunks[static_cast<std::size_t>(i)];
        const SynthTensor& t = tensors[chunk.tensor];
        const auto begin =
            offsets[chunk.tensor] + static_cast<std::uint64_t>(chunk.firstBlock) *
                                        static_cast<std::uint64_t>(dtypeInfo(t.type).blockBytes);
        fillBlocks(t, synthKey(kSeed, t.name), chunk.firstBlock,
                   std::span(bytes_.get() + begin, chunk.bytes));
    });
}

SynthOutline::SynthOutline(const SynthConfig& config)
    : SynthTables(config, config.name, {}, "outline") {
    const std::vector<SynthTensor> all = synthTensors(config);
    std::uint64_t largest = 0;
    for (const SynthTensor& t : all) largest = std::max(largest, storedBytes(t));
    zeros_ = Arena(Arena::aligned(largest));
    const std::byte* zeros = zeros_.take(largest);
    for (const SynthTensor& t : all) add(t, zeros);
}

}  // namespace moescope
