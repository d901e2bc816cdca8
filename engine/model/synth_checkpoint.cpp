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

SynthCheckpoint::SynthCheckpoint(const SynthConfig& config, std::filesystem::path name, int threads,
                                 const StopFlag* stop)
    : name_(std::move(name)) {
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
    requireMemory(total, name_.string());

    keys_ = synthKeys(config, synthVocabulary(config));
    GgufWriter writer(name_);  // for the tables only: it writes nothing before begin()
    addSynthTables(writer, keys_, all);
    fileBytes_ = writer.fileBytes();
    identity_ =
        sha256Hex("all layers are layer 0, seed " + std::to_string(kSeed) + '\n' + writer.tables());
    fillConfig();

    bytes_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlign, total)));
    if (bytes_ == nullptr) {
        throw Error(name_.string() + ": the system refuses " + memoryText(total) + " of memory");
    }
    draw(drawn, offsets, threads, stop);
    tensors_.reserve(all.size());
    for (const SynthTensor& t : all) {
        tensors_.push_back(viewOf(t, bytes_.get() + places.at(drawnName(t.name))));
        byName_.emplace(tensors_.back().name, tensors_.size() - 1);
    }
}

/// As GgufCheckpoint would read it from the file.
void SynthCheckpoint::fillConfig() {
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

template <typename Array>
const Array* SynthCheckpoint::array(std::string_view key) const noexcept {
    const auto found = std::find_if(keys_.begin(), keys_.end(),
                                    [&](const SynthKey& entry) { return entry.name == key; });
    return found == keys_.end() ? nullptr : std::get_if<Array>(&found->value);
}

std::vector<std::string_view> SynthCheckpoint::stringArray(std::string_view key) const {
    const auto* strings = array<std::vector<std::string>>(key);
    if (strings == nullptr) return {};
    return {strings->begin(), strings->end()};
}

std::vector<double> SynthCheckpoint::numberArray(std::string_view key) const {
    const auto* numbers = array<std::vector<std::int32_t>>(key);
    if (numbers == nullptr) return {};
    return {numbers->begin(), numbers->end()};
}

const TensorView* SynthCheckpoint::find(std::string_view name) const noexcept {
    const auto found = byName_.find(name);
    return found == byName_.end() ? nullptr : &tensors_[found->second];
}

}  // namespace moescope
