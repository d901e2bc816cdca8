// SPDX-License-Identifier: Apache-2.0
// Buffer in, attributed events out: decoder, correlator and what they look up, for live buffers and
// for captures alike.
#pragma once

#include <memory>

#include "profiler/cupti/activity_collector.h"
#include "profiler/cupti/capture.h"
#include "profiler/cupti/correlator.h"
#include "profiler/cupti/decoder.h"

namespace moescope::cupti {

class Pipeline final : public BufferSink {
public:
    /// next: the library's walk; null: our own. The sink must outlive the pipeline.
    Pipeline(DeviceEventSink& sink, NextRecord next, CorrelatorOptions options = {});

    /// From now on buffers are also written there. Not to be called while buffers arrive.
    void setCapture(std::unique_ptr<CaptureWriter> capture) { capture_ = std::move(capture); }
    CaptureWriter* capture() noexcept { return capture_.get(); }

    void onBuffer(std::span<std::uint8_t> records) override;
    void onModuleUnload() override { decoder_.forgetAddresses(); }
    /// Operations of the step are announced from now on, in scopes(), until it ends; those of each
    /// step are kept in the capture.
    void stepBegan(std::int64_t step);
    void stepEnded();
    /// After the last buffer.
    void finish() { correlator_.finish(); }

    ScopeTable& scopes() noexcept { return scopes_; }
    GraphNodeMap& nodes() noexcept { return nodes_; }
    Decoder& decoder() noexcept { return decoder_; }
    const Correlator& correlator() const noexcept { return correlator_; }

private:
    DeviceEventSink& sink_;
    ScopeTable scopes_;
    GraphNodeMap nodes_;
    Decoder decoder_;
    Correlator correlator_;
    std::unique_ptr<CaptureWriter> capture_;
    std::mutex stepsMutex_;
    std::vector<std::int64_t> steps_;  ///< not yet complete in the capture
    bool stepOpen_ = false;            ///< the last of them
};

struct CaptureFacts {
    nlohmann::json head, tail;
    bool complete = false;  ///< not cut off, and ended with its tail
};

/// Replays a capture into the pipeline and finishes it. Throws Error as readCapture does.
CaptureFacts replayCapture(const std::filesystem::path& path, Pipeline& pipeline);

}  // namespace moescope::cupti
