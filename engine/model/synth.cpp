// SPDX-License-Identifier: Apache-2.0
// Lays out the tensors and keys of a synthetic checkpoint and streams them to disk.
#include "engine/model/synth.h"

#include <algorithm>
#include <cmath>
#include <future>
#include <thread>
#include <utility>

#include "engine/formats/gguf_writer.h"
#include "engine/model/synth_fill.h"
#include "engine/model/synth_tokenizer.h"

namespace moescope {
namespace {

constexpr std::int64_t kChunkBytes = 4 << 20;
constexpr std::uint32_t kFileTypeMxfp4 = 38;  // llama.cpp's LLAMA_FTYPE_MOSTLY_MXFP4_MOE
constexpr double kBiasRms = 0.02;

/// Collects the tensors in file order.
class TensorList {
public:
    explicit TensorList(const SynthConfig& config)
        : config_(config),
          fanIn_(1.0 / std::sqrt(config.dModel)),
          // Every layer adds two branches: scaled so that the residual stream grows to O(1) only.
          residual_(1.0 / std::sqrt(2.0 * config.layers)) {}

    std::vector<SynthTensor> build() {
        const std::int64_t d = config_.dModel;
        matrix("token_embd.weight", config_.vocab, d, 1.0);
        norm("output_norm.weight", d);
        matrix("output.weight", config_.vocab, d, fanIn_);
        for (std::int32_t layer = 0; layer < config_.layers; ++layer) {
            prefix_ = "blk." + std::to_string(layer) + ".";
            attention();
            experts();
        }
        return std::move(tensors_);
    }

private:
    bool gptOss() const { return config_.architecture == "gpt-oss"; }

    void norm(const std::string& name, std::int64_t width) {
        tensors_.push_back({prefix_ + name, DType::F32, {width}, 0.1, 1.0});
    }
    void matrix(const std::string& name, std::int64_t rows, std::int64_t cols, double rms) {
        tensors_.push_back({prefix_ + name, DType::Q8_0, {rows, cols}, rms, 0.0});
    }
    void values(const std::string& name, std::vector<std::int64_t> shape, double rms) {
        tensors_.push_back({prefix_ + name, DType::F32, std::move(shape), rms, 0.0});
    }
    void projection(const std::string& name, std::int64_t rows, std::int64_t cols, double rms) {
        matrix(name + ".weight", rows, cols, rms);
        if (gptOss()) values(name + ".bias", {rows}, kBiasRms);
    }

    void attention() {
        const std::int64_t d = config_.dModel;
        const std::int64_t q = std::int64_t{config_.heads} * config_.headDim;
        const std::int64_t kv = std::int64_t{config_.kvHeads} * config_.headDim;
        norm("attn_norm.weight", d);
        projection("attn_q", q, d, fanIn_);
        projection("attn_k", kv, d, fanIn_);
        projection("attn_v", kv, d, fanIn_);
        projection("attn_output", d, q, residual_ / std::sqrt(static_cast<double>(q)));
        if (gptOss()) {
            values("attn_sinks.weight", {config_.heads}, 1.0);
        } else {
            norm("attn_q_norm.weight", config_.headDim);
            norm("attn_k_norm.weight", config_.headDim);
        }
        norm(gptOss() ? "post_attention_norm.weight" : "ffn_norm.weight", d);
    }

    void experts() {
        const std::int64_t n = config_.experts;
        const std::int64_t d = config_.dModel;
        const std::int64_t ffn = config_.ffn;
        // Logits of O(1): tokens spread over the experts as chance and content have it.
        values("ffn_gate_inp.weight", {n, d}, fanIn_);
        stack("ffn_gate_exps", ffn, d, fanIn_);
        stack("ffn_up_exps", ffn, d, fanIn_);
        stack("ffn_down_exps", d, ffn, residual_ / std::sqrt(static_cast<double>(ffn)));
        if (gptOss()) values("ffn_gate_inp.bias", {n}, kBiasRms);
    }
    void stack(const std::string& name, std::int64_t rows, std::int64_t cols, double rms) {
        tensors_.push_back(
            {prefix_ + name + ".weight", DType::MXFP4, {config_.experts, rows, cols}, rms, 0.0});
        if (gptOss()) values(name + ".bias", {config_.experts, rows}, kBiasRms);
    }

    const SynthConfig& config_;
    double fanIn_;
    double residual_;
    std::string prefix_;
    std::vector<SynthTensor> tensors_;
};

void addModelKeys(GgufWriter& writer, const SynthConfig& c) {
    const auto key = [&](const char* name) { return c.architecture + "." + name; };
    const auto count = [&](const char* name, std::int32_t value) {
        writer.add(key(name), static_cast<std::uint32_t>(value));
    };
    const auto number = [&](const char* name, double value) {
        writer.add(key(name), static_cast<float>(value));
    };
    writer.add("general.architecture", c.architecture);
    writer.add("general.type", "model");
    writer.add("general.name", c.name + " (synthetic)");
    writer.add("general.description", "Seeded random weights of this shape: nothing was trained.");
    writer.add("general.moescope.synthetic", true);
    writer.add("general.quantization_version", std::uint32_t{2});
    writer.add("general.file_type", kFileTypeMxfp4);
    count("block_count", c.layers);
    count("context_length", c.context);
    count("embedding_length", c.dModel);
    count("feed_forward_length", c.ffn);
    count("attention.head_count", c.heads);
    count("attention.head_count_kv", c.kvHeads);
    count("attention.key_length", c.headDim);
    count("attention.value_length", c.headDim);
    number("attention.layer_norm_rms_epsilon", c.normEps);
    count("expert_count", c.experts);
    count("expert_used_count", c.topK);
    count("expert_feed_forward_length", c.ffn);
    number("rope.freq_base", c.ropeTheta);
    if (c.window > 0) count("attention.sliding_window", c.window);
    if (c.yarnFactor > 1.0) {
        writer.add(key("rope.scaling.type"), "yarn");
        number("rope.scaling.factor", c.yarnFactor);
        count("rope.scaling.original_context_length", c.originalContext);
        number("rope.scaling.yarn_beta_fast", 32.0);
        number("rope.scaling.yarn_beta_slow", 1.0);
    }
}

void addTokenizerKeys(GgufWriter& writer, const SynthVocabulary& v) {
    writer.add("tokenizer.ggml.model", "gpt2");
    writer.add("tokenizer.ggml.pre", v.preTokenizer);
    writer.add("tokenizer.ggml.tokens", v.tokens);
    writer.add("tokenizer.ggml.token_type", v.types);
    writer.add("tokenizer.ggml.merges", v.merges);
    writer.add("tokenizer.ggml.bos_token_id", static_cast<std::uint32_t>(v.bos));
    writer.add("tokenizer.ggml.eos_token_id", static_cast<std::uint32_t>(v.eos));
    writer.add("tokenizer.ggml.padding_token_id", static_cast<std::uint32_t>(v.pad));
    writer.add("tokenizer.ggml.add_bos_token", false);
    if (!v.chatTemplate.empty()) writer.add("tokenizer.chat_template", v.chatTemplate);
}

struct Chunk {
    std::size_t tensor;
    std::int64_t firstBlock;
    std::size_t bytes;
};

std::vector<Chunk> split(const std::vector<SynthTensor>& tensors) {
    std::vector<Chunk> chunks;
    for (std::size_t t = 0; t < tensors.size(); ++t) {
        const std::int64_t blockBytes = dtypeInfo(tensors[t].type).blockBytes;
        const std::int64_t step = kChunkBytes / blockBytes;
        for (std::int64_t b = 0; b < tensors[t].blocks(); b += step) {
            const std::int64_t blocks = std::min(step, tensors[t].blocks() - b);
            chunks.push_back({t, b, static_cast<std::size_t>(blocks * blockBytes)});
        }
    }
    return chunks;
}

/// Draws chunks on several threads, a batch ahead of the one being written.
class Stream {
public:
    Stream(const std::vector<SynthTensor>& tensors, std::uint64_t seed, int threads)
        : tensors_(tensors), chunks_(split(tensors)), width_(static_cast<std::size_t>(threads)) {
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
            const Chunk& chunk = chunks_[first + i];
            jobs_.push_back(std::async(std::launch::async, [this, &chunk, &buffer = batch[i]] {
                buffer.resize(chunk.bytes);
                fillBlocks(tensors_[chunk.tensor], keys_[chunk.tensor], chunk.firstBlock, buffer);
            }));
        }
    }

    const std::vector<SynthTensor>& tensors_;
    std::vector<Chunk> chunks_;
    std::size_t width_;
    std::vector<std::uint64_t> keys_;
    std::vector<std::vector<std::byte>> buffers_[2];
    std::vector<std::future<void>> jobs_;  // last: waits for its threads before the rest goes
};

}  // namespace

SynthResult synthesize(const SynthConfig& config, const std::filesystem::path& out,
                       const SynthOptions& options) {
    GgufWriter writer(out);
    addModelKeys(writer, config);
    addTokenizerKeys(writer, synthVocabulary(config, options.tiktokenRanks));
    const std::vector<SynthTensor> tensors = TensorList(config).build();
    SynthResult result;
    for (const SynthTensor& t : tensors) {
        writer.addTensor(t.name, t.type, t.shape);
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
