// SPDX-License-Identifier: Apache-2.0
// A synthetic checkpoint in memory: benchmarks of a model's true size and speed on machines that
// have neither the disk nor the time for its file.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <unordered_map>

#include "engine/core/arena.h"
#include "engine/core/interrupt.h"
#include "engine/formats/checkpoint.h"
#include "engine/model/synth.h"
#include "engine/model/synth_layout.h"

namespace moescope {

/// What a synthetic checkpoint says of itself, whether or not its weights are drawn.
class SynthTables : public Checkpoint {
public:
    CheckpointLayout layout() const noexcept override { return CheckpointLayout::Gguf; }
    const std::filesystem::path& path() const noexcept override { return name_; }
    const nlohmann::json& config() const noexcept override { return config_; }
    std::vector<std::string_view> stringArray(std::string_view key) const override;
    std::vector<double> numberArray(std::string_view key) const override;
    const std::vector<TensorView>& tensors() const noexcept override { return tensors_; }
    const TensorView* find(std::string_view name) const noexcept override;
    /// Bytes the file would have.
    std::uint64_t fileBytes() const noexcept override { return fileBytes_; }
    /// Not the file's: that one has layers of their own.
    std::string identity() const override { return identity_; }
    /// Nothing: no file could give the bytes again, and other layers read them too.
    void release(const TensorView&) const noexcept override {}

protected:
    /// `what` sets its identity apart from that of others of the same tables.
    SynthTables(const SynthConfig& config, std::filesystem::path name, SynthVocabulary vocabulary,
                const std::string& what);
    /// The next tensor, in the order of the file; its bytes are at `data`.
    void add(const SynthTensor& tensor, const std::byte* data);

private:
    template <typename Array>
    const Array* array(std::string_view key) const noexcept;
    void fillConfig();

    std::filesystem::path name_;
    std::vector<SynthKey> keys_;
    nlohmann::json config_ = nlohmann::json::object();
    std::string identity_;
    std::uint64_t fileBytes_ = 0;
    std::vector<TensorView> tensors_;
    std::unordered_map<std::string, std::size_t> byName_;  ///< indices into tensors_
};

/// What synthesize() writes with seed 1, but for one thing: the tensors of all layers share the
/// bytes of layer 0, so that memory holds one layer, the embedding and the head. Routing still
/// differs from layer to layer, because the hidden states do.
class SynthCheckpoint final : public SynthTables {
public:
    /// Draws the weights on `threads` threads (0: every available core). `name` is what path()
    /// says. Throws Error when the weights do not fit into memory, Interrupted when `stop` (null:
    /// never) is set meanwhile.
    SynthCheckpoint(const SynthConfig& config, std::filesystem::path name, int threads = 0,
                    const StopFlag* stop = nullptr);

private:
    void draw(const std::vector<SynthTensor>& tensors, const std::vector<std::uint64_t>& offsets,
              int threads, const StopFlag* stop);

    struct Free {
        void operator()(std::byte* bytes) const noexcept { std::free(bytes); }
    };
    std::unique_ptr<std::byte, Free> bytes_;
};

/// The same without weights or vocabulary: to be bound and counted, not run. All tensors are the
/// same zeros, of which nobody takes memory as long as nobody reads them.
class SynthOutline final : public SynthTables {
public:
    explicit SynthOutline(const SynthConfig& config);

private:
    Arena zeros_;
};

}  // namespace moescope
