// SPDX-License-Identifier: Apache-2.0
// A checkpoint made in memory that holds a tokenizer and nothing else.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "engine/formats/checkpoint.h"
#include "engine/text/byte_alphabet.h"
#include "engine/text/unicode.h"

namespace moescope::text {

/// Only the parts of a checkpoint a tokenizer is read from.
class FakeGguf : public Checkpoint {
public:
    FakeGguf() {
        const auto alphabet = byteAlphabet();
        for (const char32_t letter : alphabet) {
            std::string text;
            unicode::appendUtf8(text, letter);
            tokens.push_back(text);
        }
        tokens.insert(tokens.end(), {"ab", "abĠ", "<|endoftext|>", "<tool>", "[PAD]"});
        types.assign(258, 1.0);
        types.insert(types.end(), {3, 4, 5});
        values = {{"tokenizer.ggml.model", "gpt2"},       {"tokenizer.ggml.pre", "gpt-2"},
                  {"tokenizer.ggml.bos_token_id", 258},   {"tokenizer.ggml.eos_token_id", 258},
                  {"tokenizer.ggml.add_bos_token", true}, {"tokenizer.chat_template", "T"}};
    }
    CheckpointLayout layout() const noexcept override { return CheckpointLayout::Gguf; }
    const std::filesystem::path& path() const noexcept override { return path_; }
    const nlohmann::json& config() const noexcept override { return values; }
    std::vector<std::string_view> stringArray(std::string_view key) const override {
        const auto& list = key == "tokenizer.ggml.tokens" ? tokens : merges;
        return {list.begin(), list.end()};
    }
    std::vector<double> numberArray(std::string_view key) const override {
        return key == "tokenizer.ggml.scores" ? scores : types;
    }
    const std::vector<TensorView>& tensors() const noexcept override { return tensors_; }
    const TensorView* find(std::string_view name) const noexcept override {
        return embedding.rank > 0 && name == "token_embd.weight" ? &embedding : nullptr;
    }
    std::uint64_t fileBytes() const noexcept override { return 0; }
    std::string identity() const override { return {}; }
    void release(const TensorView&) const noexcept override {}

    nlohmann::json values;
    std::vector<std::string> tokens;
    std::vector<std::string> merges = {"a b", "ab Ġ"};
    std::vector<double> types;
    std::vector<double> scores;
    TensorView embedding;  ///< none while its rank is 0

private:
    std::filesystem::path path_ = "fake.gguf";
    std::vector<TensorView> tensors_;
};

}  // namespace moescope::text
