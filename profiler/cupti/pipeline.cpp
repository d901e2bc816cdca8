// SPDX-License-Identifier: Apache-2.0
#include "profiler/cupti/pipeline.h"

#include <utility>

namespace moescope::cupti {

Pipeline::Pipeline(DeviceEventSink& sink, NextRecord next, CorrelatorOptions options)
    : sink_(sink),
      decoder_(next != nullptr ? Decoder(next) : Decoder()),
      correlator_(sink, scopes_, nodes_, options) {}

void Pipeline::onBuffer(std::span<std::uint8_t> records) {
    // Before the events of the buffer, so that a replay knows them when it comes to it.
    const auto nodes = nodes_.takeAdded();
    if (capture_) {
        std::vector<std::int64_t> steps;
        {
            // The open step as far as it is announced: events of it may be in the buffer. It comes
            // again when it has ended.
            const std::lock_guard guard(stepsMutex_);
            steps = steps_;
            steps_.erase(steps_.begin(), steps_.end() - (stepOpen_ ? 1 : 0));
        }
        capture_->writeNodes(nodes);
        for (const std::int64_t step : steps) capture_->writeStep(step, scopes_.entries(step));
    }
    sink_.onBufferBegins();
    decoder_.decode(records, correlator_);
    if (capture_) capture_->writeBuffer(records, decoder_.sizes());
    correlator_.bufferEnds();
    sink_.onBufferEnds();
}

void Pipeline::stepBegan(std::int64_t step) {
    scopes_.beginStep(step);
    if (!capture_) return;
    const std::lock_guard guard(stepsMutex_);
    steps_.push_back(step);
    stepOpen_ = true;
}

void Pipeline::stepEnded() {
    const std::lock_guard guard(stepsMutex_);
    stepOpen_ = false;
}

namespace {

class Replay final : public CaptureVisitor {
public:
    Replay(Pipeline& pipeline, CaptureFacts& facts) : pipeline_(pipeline), facts_(facts) {}
    // The reader's table of names ends with the reading, also when that throws.
    ~Replay() override { pipeline_.decoder().setNameTable(nullptr); }
    Replay(const Replay&) = delete;
    Replay& operator=(const Replay&) = delete;

    void onHead(const nlohmann::json& head) override { facts_.head = head; }
    void onSizes(const RecordSizes& sizes) override { pipeline_.decoder().setSizes(sizes); }
    void onNames(const std::vector<std::string>& names) override {
        pipeline_.decoder().setNameTable(&names);
    }
    void onNode(std::uint64_t node, const GraphNode& entry) override {
        pipeline_.nodes().insert(node, entry);
    }
    void onStep(std::int64_t step, std::span<const ScopeTable::Entry> entries) override {
        pipeline_.scopes().beginStep(step);
        for (const auto& entry : entries)
            pipeline_.scopes().add({step, entry.index, entry.layer, entry.op});
    }
    void onBuffer(std::span<std::uint8_t> buffer) override { pipeline_.onBuffer(buffer); }
    void onTail(const nlohmann::json& tail) override {
        facts_.tail = tail;
        facts_.complete = true;
    }

private:
    Pipeline& pipeline_;
    CaptureFacts& facts_;
};

}  // namespace

CaptureFacts replayCapture(const std::filesystem::path& path, Pipeline& pipeline) {
    CaptureFacts facts;
    {
        Replay replay(pipeline, facts);
        const bool whole = readCapture(path, replay);
        facts.complete = facts.complete && whole;
    }
    pipeline.finish();
    return facts;
}

}  // namespace moescope::cupti
