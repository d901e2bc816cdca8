// SPDX-License-Identifier: Apache-2.0
// Field numbers: perfetto's protos/perfetto/trace/*.proto, listed in the table below. The format
// has no complete events: each slice is a begin and an end, ends in stack order on their track, so
// operations that overlap go to further tracks. Names are interned: sent once, then a number.
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/core/file.h"
#include "profiler/analysis/quality_block.h"
#include "profiler/export/device_work.h"
#include "profiler/export/export_file.h"
#include "profiler/export/exporters.h"
#include "profiler/export/lanes.h"
#include "profiler/export/protobuf_writer.h"
#include "profiler/export/samples.h"

namespace moescope {
namespace {

enum Trace : std::uint32_t { kTracePacket = 1 };
enum Packet : std::uint32_t {
    kTimestamp = 8,
    kSequenceId = 10,
    kTrackEvent = 11,
    kInternedData = 12,
    kSequenceFlags = 13,
    kTrackDescriptor = 60,
    kFirstPacketOnSequence = 87,
};
enum Descriptor : std::uint32_t {
    kUuid = 1,
    kTrackName = 2,
    kProcess = 3,
    kParentUuid = 5,
    kCounter = 8,
    kSiblingOrderRank = 12,
};
enum ProcessField : std::uint32_t { kPid = 1, kProcessName = 6 };
enum Event : std::uint32_t {
    kCategoryIids = 3,
    kDebugAnnotations = 4,
    kType = 9,
    kNameIid = 10,
    kTrackUuid = 11,
    kDoubleCounterValue = 44,
    kFlowIds = 47,
};
enum EventType : std::uint32_t { kBegin = 1, kEnd = 2, kInstant = 3, kCount = 4 };
enum Annotation : std::uint32_t {
    kAnnotationNameIid = 1,
    kIntValue = 4,
    kDoubleValue = 5,
    kStringValueIid = 17,
};
enum Interned : std::uint32_t {
    kEventCategories = 1,
    kEventNames = 2,
    kAnnotationNames = 3,
    kAnnotationStrings = 29,
};
enum InternedEntry : std::uint32_t { kIid = 1, kEntryName = 2 };

constexpr std::uint64_t kSequence = 1;
constexpr std::uint64_t kStateCleared = 1, kNeedsState = 2;
constexpr std::uint64_t kProcessTrack = 1, kQualityTrack = 2, kFirstTrack = 16;
constexpr std::uint64_t kTracksEach = Lanes::kMost;  ///< numbers kept for each kind of track
constexpr std::uint64_t kFirstCounterTrack = std::uint64_t{1} << 40U;

class Writer {
public:
    explicit Writer(ExportFile& out) : out_(out) {}

    void process(const std::string& name) {
        ProtobufMessage process;
        process.integer(kPid, 1).bytes(kProcessName, name);
        ProtobufMessage descriptor;
        descriptor.number(kUuid, kProcessTrack).message(kProcess, process);
        track(descriptor);
    }

    void track(std::uint64_t uuid, const std::string& name) {
        ProtobufMessage descriptor;
        descriptor.number(kUuid, uuid)
            .bytes(kTrackName, name)
            .number(kParentUuid, kProcessTrack)
            .integer(kSiblingOrderRank, std::int64_t(uuid));
        track(descriptor);
    }

    void counterTrack(std::uint64_t uuid, const std::string& name) {
        ProtobufMessage descriptor;
        descriptor.number(kUuid, uuid)
            .bytes(kTrackName, toValidUtf8(name))
            .number(kParentUuid, kProcessTrack)
            .message(kCounter, {});
        track(descriptor);
    }

    void count(std::uint64_t track, std::int64_t ns, double value) {
        ProtobufMessage event;
        event.number(kType, kCount).number(kTrackUuid, track).real(kDoubleCounterValue, value);
        send(kTrackEvent, event, ns);
    }

    /// An event's parts; send() writes the packet. Names interned on the way go into its packet.
    class Slice {
    public:
        Slice(Writer& writer, EventType type, std::uint64_t track, std::int64_t ns)
            : writer_(writer), ns_(ns) {
            event_.number(kType, type).number(kTrackUuid, track);
        }
        Slice& named(const std::string& name, const char* category) {
            event_.number(kCategoryIids, writer_.intern(kEventCategories, category));
            event_.number(kNameIid, writer_.intern(kEventNames, name));
            return *this;
        }
        Slice& with(const char* name, std::int64_t value) {
            return annotate(name, ProtobufMessage().integer(kIntValue, value));
        }
        Slice& with(const char* name, double value) {
            return annotate(name, ProtobufMessage().real(kDoubleValue, value));
        }
        Slice& with(const std::string& name, const std::string& value) {
            return annotate(name, ProtobufMessage().number(
                                      kStringValueIid, writer_.intern(kAnnotationStrings, value)));
        }
        /// Slices of one flow are joined by arrows in order of time.
        Slice& flow(std::int64_t id) {
            event_.fixed(kFlowIds, std::uint64_t(id));
            return *this;
        }
        void send() { writer_.send(kTrackEvent, event_, ns_); }

    private:
        Slice& annotate(const std::string& name, const ProtobufMessage& value) {
            ProtobufMessage annotation;
            annotation.number(kAnnotationNameIid, writer_.intern(kAnnotationNames, name));
            event_.bytes(kDebugAnnotations, annotation.data() + value.data());
            return *this;
        }
        Writer& writer_;
        ProtobufMessage event_;
        std::int64_t ns_;
    };

    void end(std::uint64_t track, std::int64_t ns) { Slice(*this, kEnd, track, ns).send(); }

private:
    void track(const ProtobufMessage& descriptor) { send(kTrackDescriptor, descriptor, -1); }

    std::uint64_t intern(Interned kind, const std::string& text) {
        auto& known = names_[kind];
        const auto found = known.find(text);
        if (found != known.end()) return found->second;
        const std::uint64_t iid = known.size() + 1;  // 0 means absent
        known.emplace(text, iid);
        ProtobufMessage entry;
        entry.number(kIid, iid).bytes(kEntryName, toValidUtf8(text));
        interned_.message(kind, entry);
        return iid;
    }

    void send(Packet field, const ProtobufMessage& body, std::int64_t ns) {
        packet_.clear();
        if (ns >= 0) packet_.number(kTimestamp, std::uint64_t(ns));
        packet_.number(kSequenceId, kSequence);
        packet_.number(kSequenceFlags, first_ ? kStateCleared | kNeedsState : kNeedsState);
        if (first_) packet_.number(kFirstPacketOnSequence, 1);
        first_ = false;
        if (!interned_.empty()) packet_.message(kInternedData, interned_);
        interned_.clear();
        packet_.message(field, body);
        framed_.clear();
        framed_.message(kTracePacket, packet_);
        out_.put(framed_.data());
    }

    ExportFile& out_;
    bool first_ = true;
    ProtobufMessage packet_, framed_;
    ProtobufMessage interned_;  ///< not sent yet
    std::unordered_map<int, std::unordered_map<std::string, std::uint64_t>> names_;
};

/// Gives the lanes of a kind of slices their tracks as they are needed.
class Tracks {
public:
    Tracks(Writer& writer, const RunReader& run, std::uint64_t first, std::string name)
        : writer_(writer), lanes_(run.path().string()), first_(first), name_(std::move(name)) {}

    std::uint64_t of(std::int64_t startNs, std::int64_t endNs) {
        const std::size_t lane = lanes_.place(startNs, endNs);
        for (; named_ <= lane; ++named_)
            writer_.track(first_ + named_,
                          named_ == 0 ? name_ : name_ + " (" + std::to_string(named_ + 1) + ")");
        return first_ + lane;
    }

private:
    Writer& writer_;
    Lanes lanes_;
    std::uint64_t first_;
    std::string name_;
    std::size_t named_ = 0;
};

void writeQuality(Writer& writer, const RunReader& run) {
    writer.track(kQualityTrack, "quality of the measurement");
    Writer::Slice slice(writer, kInstant, kQualityTrack, 0);
    slice.named("quality", "quality");
    for (const QualityLine& line : qualityBlock(run.meta(), run.status(), run.quality()))
        slice.with(line.label, (line.ok ? "" : "! ") + line.value +
                                   (line.note.empty() ? "" : ": " + line.note));
    slice.send();
}

void writeDeviceWork(Writer& writer, const RunReader& run) {
    const std::vector<DeviceEventRow> events = deviceWork(run);
    Tracks launches(writer, run, kFirstTrack + 2 * kTracksEach, "launches");
    std::map<std::pair<int, int>, Tracks> streams;
    std::set<std::int64_t> launched;
    for (const DeviceEventRow& event : events) {
        const std::pair<int, int> key{event.device, event.stream};
        auto stream = streams.find(key);
        if (stream == streams.end())
            stream = streams
                         .emplace(key, Tracks(writer, run,
                                              kFirstTrack + (3 + streams.size()) * kTracksEach,
                                              "GPU " + std::to_string(event.device) + " stream " +
                                                  std::to_string(event.stream)))
                         .first;
        const bool flows = event.launchStartNs && event.launchEndNs && *event.launchStartNs >= 0 &&
                           *event.launchEndNs >= *event.launchStartNs;
        if (flows && launched.insert(event.correlation).second) {
            const std::uint64_t track = launches.of(*event.launchStartNs, *event.launchEndNs);
            Writer::Slice(writer, kBegin, track, *event.launchStartNs)
                .named(launchedByGraph(event) ? "cudaGraphLaunch" : "launch", "cuda_runtime")
                .with("correlation", event.correlation)
                .flow(event.correlation)
                .send();
            writer.end(track, *event.launchEndNs);
        }
        const std::uint64_t track = stream->second.of(event.startNs, event.endNs);
        Writer::Slice slice(writer, kBegin, track, event.startNs);
        slice.named(sliceName(event), event.kind.c_str())
            .with("layer", std::int64_t{event.layer})
            .with("step", event.step)
            .with(std::string("op"), event.op)
            .with("correlation", event.correlation);
        if (event.bytes > 0) slice.with("bytes", event.bytes);
        if (event.kind == "kernel")
            slice.with(std::string("grid"), dimensions(event.shape.grid))
                .with(std::string("block"), dimensions(event.shape.block))
                .with("registers per thread", std::int64_t{event.shape.registers});
        if (event.node != 0) slice.with("graph node id", event.node);
        if (flows) slice.flow(event.correlation);
        slice.send();
        writer.end(track, event.endNs);
    }
}

/// A track for each metric, which holds a value until the next sample.
void writeSamples(Writer& writer, const RunReader& run) {
    std::map<std::string, std::uint64_t> tracks;
    usableSamples(run, [&](const SampleRow& row) {
        const auto [track, added] =
            tracks.try_emplace(row.metric, kFirstCounterTrack + tracks.size());
        if (added) writer.counterTrack(track->second, row.metric);
        writer.count(track->second, row.startNs, row.value);
    });
}

}  // namespace

void writePerfettoTrace(const RunReader& run, const std::filesystem::path& path) {
    ExportFile out(path);
    Writer writer(out);
    writer.process("moescope " + run.path().filename().string());
    writeQuality(writer, run);
    Tracks steps(writer, run, kFirstTrack, "steps");
    for (const StepRow& step : run.steps()) {
        const std::uint64_t track = steps.of(step.startNs, step.endNs);
        Writer::Slice(writer, kBegin, track, step.startNs)
            .named(step.kind, "step")
            .with("step", step.id)
            .with("sequence", step.sequence)
            .with("first_position", step.firstPosition)
            .with("tokens", step.tokens)
            .send();
        writer.end(track, step.endNs);
    }
    Tracks operations(writer, run, kFirstTrack + kTracksEach, "operations");
    run.operations([&](const OperationRow& row) {
        const std::uint64_t track = operations.of(row.startNs, row.endNs);
        Writer::Slice slice(writer, kBegin, track, row.startNs);
        slice.named(row.op, "operation")
            .with("layer", std::int64_t{row.layer})
            .with("step", row.step)
            .with("bytes", row.bytes)
            .with("flops", row.flops)
            .with("threads", std::int64_t{row.threads});
        if (row.endNs > row.startNs)
            slice.with("GB/s", double(row.bytes) / double(row.endNs - row.startNs));
        if (!row.kernel.empty()) slice.with(std::string("kernel"), row.kernel);
        slice.send();
        writer.end(track, row.endNs);
        return true;
    });
    writeDeviceWork(writer, run);
    writeSamples(writer, run);
    out.close();
}

}  // namespace moescope
