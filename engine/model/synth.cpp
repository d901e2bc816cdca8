// SPDX-License-Identifier: Apache-2.0
// Streams the tensors of a synthetic checkpoint to disk.
#include "engine/model/synth.h"

#include <algorithm>
#include <future>
#include <thread>

#include "engine/formats/gguf_writer.h"
#include "engine/model/synth_fill.h"
#include "engine/model/synth_layout.h"
#include "engine/model/synth_tokenizer.h"

namespace moescope {
namespace {

/// Draws chunks on several threads, a batch ahead of the one being written.
class Stream {
public:
    Stream(const std::vector<SynthTensor>& tensors, std::uint64_t seed, int threads)
        : tensors_(tensors),
          chunks_(splitTensors(tensors)),
          width_(static_cast<std::size_t>(threads)) {
        for (const SynthTensor& t : tensors) keys_.push_back(synthKey(seed, t.name));
        for (auto& batch : buffers_) batch.resize(width_);
        launch(0);
    }

    template <typename Write>
    void run(const Write& write) {
        for (std::size_t first = 0; first < chunks_.size(); first += width_) {
            for (auto& job : jobs_) job.get();
            launch(first + width_);
            const auto& batch = buffers_[first / width_ % 2];
            for (std::size_t i = 0; i < width_ && first + i < chunks_.size(); ++i) {
                write(std::span<const std::byte>(batch[i]));
            }
        }
    }

private:
    void launch(std::size_t first) {
        jobs_.clear();
        auto& batch = buffers_[first / width_ % 2];
        for (std::size_t i = 0; i < width_ && first + i < chunks_.size(); ++i) {
            const SynthChunk& chunk = chunks_[first + i];
            jobs_.push_back(std::async(std::launch::async, [this, &chunk, &buffer = batch[i]] {
                buffer.resize(chunk.bytes);
                fillBlocks(tensors_[chunk.tensor], keys_[chunk.tensor], chunk.firstBlock, buffer);
            }));
        }
    }

    const std::vector<SynthTensor>& tensors_;
    std::vector<SynthChunk> chunks_;
    std::size_t width_;
    std::vector<std::uint64_t> keys_;
    std::vector<std::vector<std::byte>> buffers_[2];
    std::vector<std::future<void>> jobs_;  // last: waits for its threads before the rest goes
};

}  // namespace

SynthResult synthesize(const SynthConfig& config, const std::filesystem::path& out,
                       const SynthOptions& options) {
    GgufWriter writer(out);
    const std::vector<SynthTensor> tensors = synthTensors(config);
    addSynthTables(writer, synthKeys(config, synthVocabulary(config, options.tiktokenRanks)),
                   tensors);
    SynthResult result;
    for (const SynthTensor& t : tensors) {
        result.parameters += static_cast<std::uint64_t>(t.elements());
    }
    result.tensors = static_cast<std::int32_t>(tensors.size());
    result.fileBytes = writer.fileBytes();
    throwIfStopped(options.stop);
    writer.begin();
    int threads = options.threads;
    if (threads <= 0) threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    std::uint64_t done = 0;
    Stream(tensors, options.seed, threads).run([&](std::span<const std::byte> bytes) {
        throwIfStopped(options.stop);
        writer.write(bytes);
        done += bytes.size();
        if (options.progress) options.progress(std::min(done, result.fileBytes), result.fileBytes);
    });
    writer.finish();
    if (options.progress) options.progress(result.fileBytes, result.fileBytes);
    return result;
}

}  // namespace moescope
