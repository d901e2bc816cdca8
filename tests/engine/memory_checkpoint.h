// SPDX-License-Identifier: Apache-2.0
// A checkpoint made in memory, to bind models that no file holds.
#pragma once

#include <cstring>
#include <deque>
#include <initializer_list>
#include <string>
#include <vector>

#include "engine/formats/checkpoint.h"

namespace moescope::testing {

class MemoryCheckpoint final : public Checkpoint {
public:
    MemoryCheckpoint(CheckpointLayout layout, nlohmann::json config)
        : layout_(layout), config_(std::move(config)) {}

    /// A float32 tensor; value i is a small number that depends on name and index.
    void add(const std::string& name, std::initializer_list<std::int64_t> shape) {
        std::size_t count = 1;
        for (const std::int64_t n : shape) count *= static_cast<std::size_t>(n);
        std::vector<float> values(count);
        std::uint32_t state = 2166136261U;
        for (const char c : name) state = (state ^ static_cast<unsigned char>(c)) * 16777619U;
        for (float& v : values) {
            state = state * 1664525U + 1013904223U;
            v = static_cast<float>(state >> 8) / 8388608.0F - 1.0F;
        }
        add(name, shape, values);
    }

    void add(const std::string& name, std::initializer_list<std::int64_t> shape,
             const std::vector<float>& values) {
        storage_.push_back(values);
        TensorView t;
        t.name = name;
        t.type = DType::F32;
        t.rank = static_cast<std::int32_t>(shape.size());
        std::copy(shape.begin(), shape.end(), t.shape.begin());
        t.data = reinterpret_cast<const std::byte*>(storage_.back().data());
        t.rowStride = t.cols() * static_cast<std::int64_t>(sizeof(float));
        t.stackStride = t.rowStride * t.rows();
        remove(name);
        tensors_.push_back(t);
    }

    void remove(const std::string& name) {
        std::erase_if(tensors_, [&](const TensorView& t) { return t.name == name; });
    }

    nlohmann::json& editConfig() { return config_; }
    TensorView& edit(const std::string& name) {
        for (TensorView& t : tensors_) {
            if (t.name == name) return t;
        }
        throw std::out_of_range(name);
    }

    CheckpointLayout layout() const noexcept override { return layout_; }
    const std::filesystem::path& path() const noexcept override { return path_; }
    const nlohmann::json& config() const noexcept override { return config_; }
    std::vector<std::string_view> stringArray(std::string_view) const override { return {}; }
    std::vector<double> numberArray(std::string_view) const override { return {}; }
    const std::vector<TensorView>& tensors() const noexcept override { return tensors_; }
    const TensorView* find(std::string_view name) const noexcept override {
        for (const TensorView& t : tensors_) {
            if (t.name == name) return &t;
        }
        return nullptr;
    }
    std::uint64_t fileBytes() const noexcept override { return 0; }
    std::string identity() const override { return "memory"; }
    void release(const TensorView&) const noexcept override {}

private:
    CheckpointLayout layout_;
    nlohmann::json config_;
    std::filesystem::path path_ = "memory.gguf";
    std::deque<std::vector<float>> storage_;
    std::vector<TensorView> tensors_;
};

/// gpt-oss with 2 layers, width 8, 4 heads of 4 on 2, 3 experts of width 6, top 2, vocabulary 10.
inline MemoryCheckpoint tinyGptOssGguf() {
    MemoryCheckpoint c(CheckpointLayout::Gguf,
                       {{"general.architecture", "gpt-oss"},
                        {"general.name", "tiny"},
                        {"gpt-oss.block_count", 2},
                        {"gpt-oss.embedding_length", 8},
                        {"gpt-oss.context_length", 64},
                        {"gpt-oss.attention.head_count", 4},
                        {"gpt-oss.attention.head_count_kv", 2},
                        {"gpt-oss.attention.key_length", 4},
                        {"gpt-oss.attention.value_length", 4},
                        {"gpt-oss.attention.layer_norm_rms_epsilon", 1e-5},
                        {"gpt-oss.attention.sliding_window", 4},
                        {"gpt-oss.rope.freq_base", 150000.0},
                        {"gpt-oss.rope.scaling.type", "yarn"},
                        {"gpt-oss.rope.scaling.factor", 32.0},
                        {"gpt-oss.rope.scaling.original_context_length", 16},
                        {"gpt-oss.expert_count", 3},
                        {"gpt-oss.expert_used_count", 2},
                        {"gpt-oss.expert_feed_forward_length", 6}});
    c.add("token_embd.weight", {10, 8});
    c.add("output_norm.weight", {8});
    c.add("output.weight", {10, 8});
    for (const std::string b : {"blk.0.", "blk.1."}) {
        c.add(b + "attn_norm.weight", {8});
        c.add(b + "attn_q.weight", {16, 8});
        c.add(b + "attn_k.weight", {8, 8});
        c.add(b + "attn_v.weight", {8, 8});
        c.add(b + "attn_output.weight", {8, 16});
        c.add(b + "attn_q.bias", {16});
        c.add(b + "attn_k.bias", {8});
        c.add(b + "attn_v.bias", {8});
        c.add(b + "attn_output.bias", {8});
        c.add(b + "attn_sinks.weight", {4});
        c.add(b + "post_attention_norm.weight", {8});
        c.add(b + "ffn_gate_inp.weight", {3, 8});
        c.add(b + "ffn_gate_inp.bias", {3});
        c.add(b + "ffn_gate_exps.weight", {3, 6, 8});
        c.add(b + "ffn_up_exps.weight", {3, 6, 8});
        c.add(b + "ffn_down_exps.weight", {3, 8, 6});
        c.add(b + "ffn_gate_exps.bias", {3, 6});
        c.add(b + "ffn_up_exps.bias", {3, 6});
        c.add(b + "ffn_down_exps.bias", {3, 8});
    }
    return c;
}

}  // namespace moescope::testing
