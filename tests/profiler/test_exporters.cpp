// SPDX-License-Identifier: Apache-2.0
// Exports against golden files, and against readers that share no code with the writers.
#include <sqlite3.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/analysis/run_analysis.h"
#include "profiler/export/export_file.h"
#include "profiler/export/exporters.h"
#include "profiler/import/importers.h"
#include "profiler/runfile/sqlite.h"
#include "tests/profiler/export_runs.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using test::TempDir;

namespace {

/// Compares with tests/profiler/approved; MOESCOPE_APPROVE=1 accepts what is there now.
void approve(const std::string& name, const std::string& content) {
    const std::filesystem::path path =
        std::filesystem::path(MOESCOPE_SOURCE_DIR) / "tests/profiler/approved" / name;
    if (std::getenv("MOESCOPE_APPROVE") != nullptr) writeFile(path, content);
    INFO("accept with MOESCOPE_APPROVE=1 after reading the difference: " << path);
    CHECK(content == readFile(path));
}

std::string exported(const TempDir& dir, const char* format, bool device) {
    const auto run = dir / (device ? "device.moescope" : "cpu.moescope");
    if (!std::filesystem::exists(run)) (device ? test::writeDeviceRun : test::writeCpuRun)(run);
    const auto out = dir / ("out." + std::string(format) + (device ? "d" : "c"));
    exporterFor(format, out).write(RunReader(run), out);
    return readFile(out);
}

/// Protobuf's wire format from its specification, knowing nothing of Perfetto or of our writer.
struct Field {
    std::uint32_t number = 0, type = 0;
    std::uint64_t value = 0;
    std::string bytes;
};

std::uint64_t readVarint(const std::string& data, std::size_t& at) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (at >= data.size()) throw Error("varint beyond the end");
        const auto byte = static_cast<unsigned char>(data[at++]);
        value |= std::uint64_t(byte & 0x7F) << shift;
        if (byte < 0x80) return value;
    }
    throw Error("varint of more than ten bytes");
}

std::vector<Field> decode(const std::string& data) {
    std::vector<Field> fields;
    for (std::size_t at = 0; at < data.size();) {
        const std::uint64_t tag = readVarint(data, at);
        Field field{std::uint32_t(tag >> 3), std::uint32_t(tag & 7), 0, {}};
        if (field.type == 0) {
            field.value = readVarint(data, at);
        } else if (field.type == 1) {
            if (at + 8 > data.size()) throw Error("fixed64 beyond the end");
            std::memcpy(&field.value, data.data() + at, 8);
            at += 8;
        } else if (field.type == 2) {
            const std::uint64_t size = readVarint(data, at);
            if (size > data.size() - at) throw Error("bytes beyond the end");
            field.bytes = data.substr(at, size);
            at += size;
        } else {
            throw Error("wire type " + std::to_string(field.type));
        }
        fields.push_back(std::move(field));
    }
    return fields;
}

const Field* find(const std::vector<Field>& fields, std::uint32_t number) {
    for (const Field& field : fields)
        if (field.number == number) return &field;
    return nullptr;
}

struct Slice {
    std::string name, category, track;
    std::uint64_t startNs = 0, endNs = 0;
    std::map<std::string, std::string> annotations;
    std::optional<std::uint64_t> flow;
};

/// A reader of Perfetto traces by the field numbers of perfetto's .proto files; checks that ends
/// match begins in stack order on their track and that names are introduced before they are used.
std::vector<Slice> readPerfetto(const std::string& data) {
    std::map<std::uint32_t, std::map<std::uint64_t, std::string>> interned;
    std::map<std::uint64_t, std::string> tracks;
    std::set<std::uint64_t> counters;
    std::map<std::uint64_t, std::vector<Slice>> open;
    std::map<std::uint64_t, std::uint64_t> lastNs;
    std::vector<Slice> done;
    bool first = true;
    for (const Field& framed : decode(data)) {
        REQUIRE(framed.number == 1);
        REQUIRE(framed.type == 2);
        const std::vector<Field> packet = decode(framed.bytes);
        REQUIRE(find(packet, 10) != nullptr);  // trusted_packet_sequence_id
        REQUIRE(find(packet, 13) != nullptr);  // sequence_flags
        CHECK(find(packet, 13)->value == (first ? 3 : 2));
        first = false;
        if (const Field* added = find(packet, 12))
            for (const Field& entry : decode(added->bytes)) {
                const std::vector<Field> parts = decode(entry.bytes);
                REQUIRE(find(parts, 1)->value > 0);
                interned[entry.number][find(parts, 1)->value] = find(parts, 2)->bytes;
            }
        if (const Field* described = find(packet, 60)) {
            const std::vector<Field> track = decode(described->bytes);
            tracks[find(track, 1)->value] = find(track, 2) ? find(track, 2)->bytes : "process";
            if (find(track, 8) != nullptr) counters.insert(find(track, 1)->value);
            continue;
        }
        const std::vector<Field> event = decode(find(packet, 11)->bytes);
        const std::uint64_t track = find(event, 11)->value, type = find(event, 9)->value;
        const std::uint64_t ns = find(packet, 8)->value;
        REQUIRE(tracks.count(track) == 1);
        CHECK(ns >= lastNs[track]);
        lastNs[track] = ns;
        if (type == 4) {
            CHECK(counters.count(track) == 1);
            double value = 0;
            std::memcpy(&value, &find(event, 44)->value, 8);
            done.push_back({tracks[track],
                            "counter",
                            tracks[track],
                            ns,
                            ns,
                            {{"value", std::to_string(value)}},
                            {}});
            continue;
        }
        if (type == 2) {
            REQUIRE_FALSE(open[track].empty());
            open[track].back().endNs = ns;
            done.push_back(open[track].back());
            open[track].pop_back();
            continue;
        }
        Slice slice{interned[2].at(find(event, 10)->value),
                    interned[1].at(find(event, 3)->value),
                    tracks[track],
                    ns,
                    ns,
                    {},
                    {}};
        if (const Field* flow = find(event, 47)) {
            CHECK(flow->type == 1);
            slice.flow = flow->value;
        }
        for (const Field& field : event) {
            if (field.number != 4) continue;
            const std::vector<Field> note = decode(field.bytes);
            std::string value;
            if (const Field* text = find(note, 17)) value = interned[29].at(text->value);
            if (const Field* integer = find(note, 4))
                value = std::to_string(std::int64_t(integer->value));
            if (const Field* real = find(note, 5)) {
                double number = 0;
                std::memcpy(&number, &real->value, 8);
                value = std::to_string(number);
            }
            slice.annotations[interned[3].at(find(note, 1)->value)] = value;
        }
        if (type == 3)
            done.push_back(slice);
        else
            open[track].push_back(slice);
    }
    for (const auto& [track, slices] : open) CHECK(slices.empty());
    return done;
}

}  // namespace

TEST_CASE("exports of text match the approved files") {
    const TempDir dir;
    approve("cpu.json", exported(dir, "chrome", false));
    approve("device.json", exported(dir, "chrome", true));
    approve("cpu.csv", exported(dir, "csv", false));
    approve("device.csv", exported(dir, "csv", true));
}

TEST_CASE("a Chrome trace keeps slices of a thread apart and pairs its flows") {
    const TempDir dir;
    const nlohmann::json trace = parseJson(exported(dir, "chrome", true), "trace");
    CHECK(trace.at("schemaVersion") == 1);
    CHECK(trace.at("baseTimeNanoseconds") == 1767323045000000000);
    CHECK(trace.at("moescope_quality").at(0).at("value") == "activity (graph nodes)");
    std::map<std::pair<int, int>, double> busyUntil;
    std::map<int, int> begun, ended;
    int kernels = 0;
    bool named = true;  // names come before everything else
    for (const auto& event : trace.at("traceEvents")) {
        const std::string ph = event.at("ph");
        if (ph == "M") {
            CHECK(named);
            continue;
        }
        named = false;
        if (ph == "s") ++begun[event.at("id").get<int>()];
        if (ph == "f") {
            ++ended[event.at("id").get<int>()];
            CHECK(event.at("bp") == "e");
        }
        if (ph != "X" || event.at("cat") == "step") continue;
        double& until = busyUntil[{event.at("pid").get<int>(), event.at("tid").get<int>()}];
        CHECK(event.at("ts").get<double>() >= until - 1e-9);
        until = event.at("ts").get<double>() + event.at("dur").get<double>();
        if (event.at("cat") != "kernel") continue;
        ++kernels;
        CHECK(event.at("pid") == 0);
        CHECK(event.at("args").at("stream") == 7);
        CHECK(event.at("args").at("grid") == nlohmann::json{8, 2, 1});
    }
    CHECK(kernels == 4);
    CHECK(begun.size() == 5);
    CHECK(begun == ended);
}

TEST_CASE("a Perfetto trace is read back by an independent decoder") {
    const TempDir dir;
    const std::vector<Slice> slices = readPerfetto(exported(dir, "perfetto", false));
    REQUIRE(slices.size() == 1 + 2 + 5);
    CHECK(slices[0].category == "quality");
    CHECK(slices[0].annotations.at("mode") == "cpu spans");
    CHECK(slices[0].annotations.at("dropped") == "! 2 records: Two \"lost\".");
    CHECK(slices[1].name == "prefill");
    CHECK(slices[1].track == "steps");
    CHECK(slices[1].endNs == 2500);
    const Slice& gemm = slices[4];
    CHECK(gemm.name == "experts");
    CHECK(gemm.startNs == 1200);
    CHECK(gemm.endNs == 2500);
    CHECK(gemm.annotations.at("kernel") == "gemm \"a\\b\"");
    CHECK(gemm.annotations.at("layer") == "0");
    CHECK(gemm.annotations.at("flops") == "5200");
    CHECK(gemm.annotations.at("GB/s") == "2.000000");
    CHECK(slices[3].annotations.at("layer") == "-1");  // a negative varint has ten bytes
    CHECK(slices[6].track == "operations");
    CHECK(slices[7].track == "operations (2)");  // it overlaps the one before
    std::int64_t total = 0;
    for (const Slice& slice : slices)
        if (slice.category == "operation") total += std::int64_t(slice.endNs - slice.startNs);
    CHECK(total == 200 + 1300 + 100 + 800 + 500);
}

TEST_CASE("device work has tracks of its own in a Perfetto trace and flows from its launches") {
    const TempDir dir;
    std::map<std::string, int> byTrack;
    std::map<std::uint64_t, int> flows;
    for (const Slice& slice : readPerfetto(exported(dir, "perfetto", true))) {
        ++byTrack[slice.track];
        if (slice.flow) ++flows[*slice.flow];
        CHECK(slice.name != "synthetic_lost");
        if (slice.name == "Memcpy HtoD") CHECK(slice.annotations.at("bytes") == "4096");
    }
    CHECK(byTrack.at("GPU 0 stream 7") == 4);
    CHECK(byTrack.at("GPU 0 stream 7 (2)") == 1);
    CHECK(byTrack.at("launches") == 4);
    CHECK(flows == std::map<std::uint64_t, int>{{11, 2}, {12, 2}, {13, 2}, {14, 3}});
}

TEST_CASE("counters over time are counter tracks in both traces") {
    const TempDir dir;
    test::writeSampledRun(dir / "s.moescope");
    const RunReader run(dir / "s.moescope");
    CHECK(run.sampleCount() == 6);
    const auto written = [&](const char* format) {
        const auto out = dir / format;
        exporterFor(format, out).write(run, out);
        return readFile(out);
    };
    std::vector<std::string> chrome, perfetto;
    const nlohmann::json trace = parseJson(written("chrome"), "trace");
    for (const auto& event : trace.at("traceEvents"))
        if (event.at("ph") == "C")
            chrome.push_back(event.at("name").get<std::string>() + " " + event.at("ts").dump() +
                             " " + event.at("args").at("value").dump());
    CHECK(chrome ==
          std::vector<std::string>{"sm 1.0 43.25", "dram 1.0 1500000000000.0", "sm 2.0 12.0"});
    for (const Slice& slice : readPerfetto(written("perfetto")))
        if (slice.category == "counter")
            perfetto.push_back(slice.track + " " + std::to_string(slice.startNs) + " " +
                               slice.annotations.at("value"));
    CHECK(perfetto == std::vector<std::string>{"sm 1000 43.250000",
                                               "dram 1000 1500000000000.000000",
                                               "sm 2000 12.000000"});
}

TEST_CASE("an export like Nsight Systems' comes back through the importer") {
    const TempDir dir;
    test::writeCpuRun(dir / "cpu.moescope");
    writeNsysSqlite(RunReader(dir / "cpu.moescope"), dir / "cpu.sqlite");
    ImportRequest request;
    request.kind = "nsys";
    request.files = {dir / "cpu.sqlite"};
    request.out = dir / "back.moescope";
    importFiles(request);
    const RunReader before(dir / "cpu.moescope"), after(dir / "back.moescope");
    const AnalysedRun a = analyse(before), b = analyse(after);
    REQUIRE(b.steps.size() == 2);
    CHECK(b.steps[1].kind == "decode");
    CHECK(b.steps[1].firstPosition == 4);
    CHECK(b.operations.startNs == a.operations.startNs);
    CHECK(b.operations.endNs == a.operations.endNs);
    CHECK(b.operations.layer == a.operations.layer);
    CHECK(b.operations.step == a.operations.step);
    for (std::size_t i = 0; i < a.operations.size(); ++i)
        CHECK(b.operations.opNames[b.operations.op[i]] == a.operations.opNames[a.operations.op[i]]);
    CHECK(b.summary.decode.medianStepNs == a.summary.decode.medianStepNs);
    CHECK(before.meta("degradation") == "cpu spans");
    CHECK(after.meta("degradation") == "imported");
    for (const QualityRow& row : after.quality())
        if (row.name == "unattributed_kernels") CHECK(row.ok);
}

TEST_CASE("launches of the runtime decide which range a kernel belongs to") {
    const TempDir dir;
    test::writeDeviceRun(dir / "device.moescope");
    writeNsysSqlite(RunReader(dir / "device.moescope"), dir / "device.sqlite");
    ImportRequest request;
    request.kind = "nsys";
    request.files = {dir / "device.sqlite"};
    request.out = dir / "back.moescope";
    importFiles(request);
    std::map<std::string, std::pair<std::string, int>> found;  // kernel -> op, layer
    RunReader(request.out).operations([&](const OperationRow& row) {
        found[row.kernel.empty() ? row.op : row.kernel] = {row.op, row.layer};
        return true;
    });
    REQUIRE(found.size() == 4);
    CHECK(found.at("synthetic_up") == std::pair<std::string, int>("experts", 0));
    CHECK(found.at("synthetic_down") == std::pair<std::string, int>("experts", 1));
    CHECK(found.at("memcpy_htod") == std::pair<std::string, int>("memcpy_htod", 0));
    // A graph's nodes were launched in the step, in no operation of it.
    CHECK(found.at("synthetic_node").first == "kernel");
}

TEST_CASE("copies, sets and graphs as a whole have names, kinds and launches in every export") {
    const TempDir dir;
    test::writeKindsRun(dir / "kinds.moescope");
    const RunReader run(dir / "kinds.moescope");
    const auto written = [&](const char* format) {
        const auto out = dir / (std::string("kinds.") + format);
        exporterFor(format, out).write(run, out);
        return out;
    };
    const std::multiset<std::string> expected{"Memcpy device to another device",
                                              "Memcpy device to device",
                                              "Memcpy device to host",
                                              "Memcpy host to device",
                                              "Memcpy host to host",
                                              "graph 3",
                                              "memset"};
    std::multiset<std::string> chrome, perfetto;
    const nlohmann::json trace = parseJson(readFile(written("chrome")), "trace");
    for (const auto& event : trace.at("traceEvents"))
        if (event.at("ph") == "X" && event.at("pid") == 0) chrome.insert(event.at("name"));
    CHECK(chrome == expected);
    for (const Slice& slice : readPerfetto(readFile(written("perfetto"))))
        if (slice.track.starts_with("GPU")) perfetto.insert(slice.name);
    CHECK(perfetto == expected);

    const auto file = written("nsys");
    sqlite::Database db(sqlite::fileUri(file, "mode=ro"), SQLITE_OPEN_READONLY, file);
    const auto texts = [&](const char* sql) {
        std::vector<std::string> out;
        for (sqlite::Statement rows(db, sql); rows.step();) out.push_back(rows.text(0));
        return out;
    };
    CHECK(texts("SELECT copyKind||'' FROM CUPTI_ACTIVITY_KIND_MEMCPY ORDER BY copyKind") ==
          std::vector<std::string>{"1", "2", "8", "9", "10"});
    CHECK(texts("SELECT DISTINCT value FROM CUPTI_ACTIVITY_KIND_RUNTIME JOIN StringIds ON "
                "id=nameId ORDER BY value") ==
          std::vector<std::string>{"cudaGraphLaunch", "cudaMemcpyAsync", "cudaMemsetAsync"});
    CHECK(texts("SELECT graphId||'' FROM CUPTI_ACTIVITY_KIND_GRAPH_TRACE") ==
          std::vector<std::string>{"3"});
    CHECK(texts("SELECT name FROM sqlite_schema WHERE name LIKE '%KERNEL'").empty());
}

TEST_CASE("ranges that claim more tokens than any step has are not steps") {
    const TempDir dir;
    const auto file = dir / "cpu.sqlite";
    test::writeCpuRun(dir / "cpu.moescope");
    writeNsysSqlite(RunReader(dir / "cpu.moescope"), file);
    {
        sqlite::Database db(sqlite::fileUri(file, {}), SQLITE_OPEN_READWRITE, file);
        db.exec(
            "UPDATE NVTX_EVENTS SET text='step 0 decode sequence=0 position=0 "
            "tokens=9223372036854775807' WHERE text LIKE 'step %'");
    }
    ImportRequest request;
    request.kind = "nsys";
    request.files = {file};
    request.out = dir / "back.moescope";
    importFiles(request);
    const RunReader back(request.out);
    const AnalysedRun run = analyse(back);
    REQUIRE(run.steps.size() == 1);
    CHECK(run.steps[0].kind == "capture");
}

TEST_CASE("what is no export of Nsight Systems is refused by name") {
    const TempDir dir;
    writeFile(dir / "text.sqlite", "not a database, but long enough to be looked at as one");
    test::writeCpuRun(dir / "run.moescope");
    ImportRequest request;
    request.kind = "nsys";
    request.out = dir / "out.moescope";
    request.files = {dir / "text.sqlite"};
    CHECK(test::thrownBy<Error>([&] { importFiles(request); }).find("not a SQLite database") !=
          std::string::npos);
    request.files = {dir / "run.moescope"};
    CHECK(test::thrownBy<Error>([&] { importFiles(request); }).find("holds no kernels") !=
          std::string::npos);
    request.files = {dir / "absent.sqlite"};
    CHECK(test::thrownBy<Error>([&] { importFiles(request); }).find("no such file") !=
          std::string::npos);
    CHECK_FALSE(std::filesystem::exists(request.out));
}

TEST_CASE("a second export to the same name is refused and the first is whole") {
    const TempDir dir;
    const std::filesystem::path out = dir / "a.csv";
    {
        ExportFile first(out);
        first.put("one ");
        CHECK(test::thrownBy<Error>([&] { ExportFile{out}; }) ==
              out.string() + ".part: another process is writing it");
        first.put("two");
        first.close();
        CHECK_NOTHROW(ExportFile{out});  // which ends without having written
    }
    CHECK(readFile(out) == "one two");
    CHECK_FALSE(std::filesystem::exists(out.string() + ".part"));
}

TEST_CASE("the format of an export follows its name, and unknown formats are listed") {
    CHECK(exporterFor("", "a.pftrace").format == "perfetto");
    CHECK(exporterFor("", "a.sqlite").format == "nsys");
    CHECK(exporterFor("chrome", "a.bin").format == "chrome");
    try {
        exporterFor("", "a.foo");
        FAIL("accepted");
    } catch (const UsageError& error) {
        const std::string what = error.what();
        for (const char* part : {"a.foo", "\".foo\"", ".json", ".pftrace", ".sqlite", ".csv"})
            CHECK(what.find(part) != std::string::npos);
    }
    CHECK(exporterFor("csv", "a.json").format == "csv");
    CHECK_THROWS_AS(exporterFor("xml", "a"), UsageError);
}

TEST_CASE("idle time of a device is blamed on the launch that ended it") {
    const TempDir dir;
    test::writeDeviceRun(dir / "device.moescope");
    const AnalysedRun run = analyse(RunReader(dir / "device.moescope"));
    CHECK(&run.kernels() == &run.device);
    REQUIRE(run.device.size() == 5);
    CHECK(run.device.startNs == std::vector<std::int64_t>{1100, 1600, 1910, 2100, 2150});
    CHECK(run.device.kernelNames[run.device.kernel[1]] == "[CUDA memcpy HtoD]");
    const TimeParts& prefill = run.analysis.time[1].parts;
    REQUIRE(run.analysis.time[1].phase == "prefill");
    CHECK(prefill.wallNs == 1500);
    CHECK(prefill.computeNs == 400 + 90 + 300);  // the graph's nodes overlap: 2100 to 2400
    CHECK(prefill.copyNs == 300);
    // 1500 to 1600: launched at 1550, after the device fell idle; 2000 to 2100: at 2050. Before the
    // first kernel and after the last nothing was launched that could tell: the step's launch gap.
    CHECK(prefill.hostWaitNs == 200);
    CHECK(prefill.launchGapNs == 10 + 100 + 100);
    CHECK(prefill.computeNs + prefill.copyNs + prefill.idleNs() == prefill.wallNs);
}
