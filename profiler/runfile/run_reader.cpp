// SPDX-License-Identifier: Apache-2.0
#include "profiler/runfile/run_reader.h"

#include <sqlite3.h>

#include <charconv>
#include <cstring>
#include <map>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/runfile/process_stamp.h"
#include "profiler/runfile/schema.h"
#include "profiler/runfile/sqlite.h"

namespace moescope {
namespace {

using sqlite::Database;
using sqlite::Statement;
namespace fs = std::filesystem;

bool isEmptyOrAbsent(const fs::path& path) {
    std::error_code error;
    const auto size = fs::file_size(path, error);
    return error || size == 0;
}

std::unique_ptr<Database> connect(const std::string& uri, const fs::path& path) {
    auto db = std::make_unique<Database>(uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, path);
    db->integer("SELECT count(*) FROM sqlite_schema");  // reads the header and opens the WAL
    return db;
}

/// A file in WAL mode needs its -shm beside it even to be read. Where that cannot be made (a
/// read-only folder) and no WAL holds rows, the file cannot change either: `immutable` reads it
/// without locks. With rows in the WAL that would silently leave them out, so it is refused.
std::unique_ptr<Database> openReadOnly(const fs::path& path) {
    try {
        return connect(sqlite::fileUri(path, "mode=ro"), path);
    } catch (const Error& error) {
        std::unique_ptr<Database> db;
        try {
            db = connect(sqlite::fileUri(path, "mode=ro&immutable=1"), path);
        } catch (const Error&) {
            throw error;
        }
        if (isEmptyOrAbsent(path.string() + "-wal")) return db;
        throw Error(path.string() + ": its -wal file holds rows and the folder cannot be written",
                    "copy the file and its -wal to a writable folder");
    }
}

void checkIdentity(Database& db) {
    const std::string name = db.path().string();
    if (db.integer("PRAGMA application_id") != kRunApplicationId) {
        throw Error(name + ": a SQLite database, but not a MoEScope run file");
    }
    const std::int64_t version = db.integer("PRAGMA user_version");
    if (version > kRunSchemaVersion) {
        throw Error(name + ": run file schema version " + std::to_string(version) +
                        " is newer than this program's version " +
                        std::to_string(kRunSchemaVersion),
                    "use a newer moescope");
    }
    if (version < 1) db.damaged("schema version " + std::to_string(version));
    // A view or virtual table under a table's name could run any query: only plain tables pass.
    for (const std::string_view table : runTables(int(version))) {
        Statement statement(
            db, "SELECT count(*) FROM sqlite_schema WHERE type='table' AND rootpage>0 AND name=?");
        statement.bind(table);
        if (!statement.step() || statement.integer(0) != 1) {
            db.damaged("table " + std::string(table) + " is absent");
        }
    }
}

/// Refuses what is no regular file before SQLite sees it, with a clearer cause than SQLite's.
void checkFile(const fs::path& path) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (status.type() == fs::file_type::not_found) {
        throw Error(path.string() + ": no such file");
    }
    if (error) throw Error(path.string() + ": " + error.message());
    if (fs::is_directory(status)) throw Error(path.string() + ": is a folder, not a run file");
    if (!fs::is_regular_file(status)) throw Error(path.string() + ": not a regular file");
    if (fs::file_size(path, error) == 0) throw Error(path.string() + ": empty, not a run file");
}

template <typename T>
std::vector<T> arrayOf(const Database& db, std::string_view bytes, std::int64_t cells,
                       std::string_view what) {
    if (bytes.size() % sizeof(T) != 0 || std::int64_t(bytes.size() / sizeof(T)) != cells) {
        db.damaged("routing_tokens." + std::string(what) + " has " + std::to_string(bytes.size()) +
                   " bytes where tokens times top_k is " + std::to_string(cells));
    }
    std::vector<T> values(bytes.size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
}

StepRow stepOf(const Statement& s, const Database& db) {
    StepRow row{s.integer(0), s.integer(1), s.text(2), s.count(3),
                s.count(4),   s.count(5),   s.count(6)};
    if (row.endNs < row.startNs) {
        db.damaged("step " + std::to_string(row.id) + " ends before it begins");
    }
    return row;
}

}  // namespace

struct RunReader::Impl {
    Impl(fs::path file, const StopFlag* stop) : path(std::move(file)) {
        checkFile(path);
        db = openReadOnly(path);
        checkIdentity(*db);
        db->stopOn(stop);
    }

    /// Runs `sql` and collects one T a row.
    template <typename T, typename Make>
    std::vector<T> all(std::string_view sql, Make make) const {
        std::vector<T> rows;
        Statement statement(*db, sql);
        while (statement.step()) rows.push_back(make(statement));
        return rows;
    }

    /// The same with one bound integer.
    template <typename T, typename Make>
    std::vector<T> allOf(std::string_view sql, std::int64_t key, Make make) const {
        std::vector<T> rows;
        Statement statement(*db, sql);
        statement.bind(key);
        while (statement.step()) rows.push_back(make(statement));
        return rows;
    }

    std::int64_t version() const { return db->integer("PRAGMA user_version"); }

    std::string meta(std::string_view key) const {
        Statement statement(*db, "SELECT value FROM meta WHERE key=?");
        statement.bind(key);
        return statement.step() ? statement.text(0) : std::string{};
    }

    /// Files of earlier revisions name no more than a number, which another process may have now.
    bool writerLives() const {
        int pid = 0;
        const std::string number = meta("writer_pid"), recorded = meta("writer_stamp");
        std::from_chars(number.data(), number.data() + number.size(), pid);
        const std::string now = processStamp(pid);
        return !now.empty() && (recorded.empty() || recorded == now);
    }

    fs::path path;
    std::unique_ptr<Database> db;
};

RunReader::RunReader(const fs::path& path, const StopFlag* stop)
    : impl_(std::make_unique<Impl>(path, stop)) {}
RunReader::~RunReader() = default;
RunReader::RunReader(RunReader&&) noexcept = default;
RunReader& RunReader::operator=(RunReader&&) noexcept = default;

const fs::path& RunReader::path() const noexcept {
    return impl_->path;
}

RunStatus RunReader::status() const {
    const std::string name = meta("status");
    // What was killed could not say so itself.
    if (name == runStatusName(RunStatus::Running) && !impl_->writerLives())
        return RunStatus::Interrupted;
    for (const RunStatus status :
         {RunStatus::Running, RunStatus::Done, RunStatus::Failed, RunStatus::Interrupted}) {
        if (name == runStatusName(status)) return status;
    }
    impl_->db->damaged("status is \"" + name + "\"");
}

std::map<std::string, std::string> RunReader::meta() const {
    std::map<std::string, std::string> values;
    Statement statement(*impl_->db, "SELECT key, value FROM meta");
    while (statement.step()) values[statement.text(0)] = statement.text(1);
    return values;
}

std::string RunReader::meta(const std::string& key) const {
    return impl_->meta(key);
}

nlohmann::json RunReader::metaJson(const std::string& key) const {
    const std::string text = meta(key);
    if (text.empty()) return nullptr;
    try {
        return parseJson(text, impl_->path.string() + ": meta " + key);
    } catch (const Error&) {
        return nullptr;
    }
}

std::vector<SequenceRow> RunReader::sequences() const {
    return impl_->all<SequenceRow>(
        "SELECT id, label, group_name, prompt_tokens, generated_tokens FROM sequence ORDER BY id",
        [](const Statement& s) {
            return SequenceRow{s.integer(0), s.text(1), s.text(2), s.count(3), s.count(4)};
        });
}

std::vector<TokenRow> RunReader::tokens(std::int64_t sequence) const {
    return impl_->allOf<TokenRow>(
        "SELECT sequence, position, token, text, prompt, log_probability FROM token "
        "WHERE sequence=? ORDER BY position",
        sequence, [](const Statement& s) {
            return TokenRow{s.integer(0),           s.count(1),        s.int32(2),
                            std::string(s.blob(3)), s.integer(4) != 0, s.optionalReal(5)};
        });
}

std::vector<StepRow> RunReader::steps() const {
    return impl_->all<StepRow>(
        "SELECT id, sequence, kind, first_position, tokens, start_ns, end_ns FROM step ORDER BY id",
        [this](const Statement& s) { return stepOf(s, *impl_->db); });
}

void RunReader::operations(const std::function<bool(const OperationRow&)>& visit) const {
    // A join of the names costs more than all the rest of a row: there are few of them, and they
    // repeat, so that each is looked up here.
    std::unordered_map<std::int64_t, std::string> names;
    Statement listed(*impl_->db, "SELECT id, text FROM name");
    while (listed.step()) names.emplace(listed.integer(0), listed.text(1));
    const auto nameOf = [&](std::int64_t id) -> const std::string& {
        const auto found = names.find(id);
        if (found == names.end())
            impl_->db->damaged("name " + std::to_string(id) + " holds no text");
        return found->second;
    };
    Statement s(*impl_->db,
                "SELECT id, step, layer, op, kernel, start_ns, end_ns, bytes, flops, threads "
                "FROM operation_event ORDER BY id");
    OperationRow row;
    while (s.step()) {
        row.id = s.integer(0);
        row.step = s.integer(1);
        row.layer = s.int32(2);
        row.op = nameOf(s.integer(3));
        row.kernel = nameOf(s.integer(4));
        row.startNs = s.count(5);
        row.endNs = s.count(6);
        row.bytes = s.count(7);
        row.flops = s.count(8);
        row.threads = s.int32(9);
        if (row.endNs < row.startNs) {
            impl_->db->damaged("operation " + std::to_string(row.id) + " ends before it begins");
        }
        if (!visit(row)) return;
    }
}

std::int64_t RunReader::operationCount() const {
    return impl_->db->integer("SELECT count(*) FROM operation_event");
}

std::int64_t RunReader::deviceEventCount() const {
    if (impl_->version() < 2) return 0;
    return impl_->db->integer("SELECT count(*) FROM device_event");
}

std::vector<CounterRow> RunReader::counters() const {
    if (impl_->version() < 2) return {};
    return impl_->all<CounterRow>(
        "SELECT c.operation, n.text, c.value FROM counter_value AS c JOIN name AS n ON "
        "n.id=c.metric "
        "ORDER BY c.operation, c.metric",
        [](const Statement& s) {
            return CounterRow{s.integer(0), s.text(1), s.real(2)};
        });
}

void RunReader::samples(const std::function<bool(const SampleRow&)>& visit) const {
    if (impl_->version() < 3) return;
    Statement s(*impl_->db,
                "SELECT v.start_ns, v.end_ns, n.text, v.value FROM sample_value AS v "
                "JOIN name AS n ON n.id=v.metric ORDER BY v.id");
    SampleRow row;
    while (s.step()) {
        row = {s.integer(0), s.integer(1), s.text(2), s.real(3)};
        if (!visit(row)) return;
    }
}

std::int64_t RunReader::sampleCount() const {
    return impl_->version() < 3 ? 0 : impl_->db->integer("SELECT count(*) FROM sample_value");
}

void RunReader::deviceEvents(const std::function<bool(const DeviceEventRow&)>& visit) const {
    if (impl_->version() < 2) return;
    // Names and shapes are few and repeat: looked up here, which is cheaper than a join a row.
    std::map<std::int64_t, std::string> names;
    for (Statement s(*impl_->db, "SELECT id, text FROM name"); s.step();)
        names[s.integer(0)] = s.text(1);
    std::map<std::int64_t, LaunchShapeRow> shapes;
    for (Statement s(*impl_->db, "SELECT * FROM launch_shape"); s.step();)
        shapes[s.integer(0)] = {{s.int32(1), s.int32(2), s.int32(3)},
                                {s.int32(4), s.int32(5), s.int32(6)},
                                {s.int32(7), s.int32(8), s.int32(9)},
                                s.int32(10),
                                s.int32(11),
                                s.int32(12)};
    const auto time = [](const Statement& s, int column) -> std::optional<std::int64_t> {
        if (s.isNull(column)) return std::nullopt;
        return s.integer(column);
    };
    Statement s(*impl_->db,
                "SELECT step, layer, op, operation, kind, name, shape, device, stream, start_ns, "
                "end_ns, valid, launch_start_ns, launch_end_ns, correlation, graph, node, bytes "
                "FROM device_event ORDER BY id");
    DeviceEventRow row;
    while (s.step()) {
        row.step = s.integer(0);
        row.layer = s.int32(1);
        row.op = names[s.integer(2)];
        row.operation = s.integer(3);
        row.kind = names[s.integer(4)];
        row.name = names[s.integer(5)];
        row.shape = shapes[s.integer(6)];
        row.device = s.int32(7);
        row.stream = s.int32(8);
        row.startNs = s.integer(9);
        row.endNs = s.integer(10);
        row.valid = s.integer(11) != 0;
        row.launchStartNs = time(s, 12);
        row.launchEndNs = time(s, 13);
        row.correlation = s.count(14);
        row.graph = s.count(15);
        row.node = s.count(16);
        row.bytes = s.count(17);
        if (row.valid && row.endNs < row.startNs)
            impl_->db->damaged("a device event ends before it begins");
        if (!visit(row)) return;
    }
}

std::vector<RoutingCountRow> RunReader::routingCounts() const {
    return impl_->all<RoutingCountRow>(
        "SELECT sequence, phase, layer, expert, count FROM routing_count "
        "ORDER BY sequence, phase, layer, expert",
        [this](const Statement& s) {
            RoutingCountRow row{s.integer(0), s.text(1), s.int32(2), s.int32(3), s.count(4)};
            if (row.layer < 0 || row.expert < 0 || row.expert > INT16_MAX) {
                impl_->db->damaged("routing_count has layer " + std::to_string(row.layer) +
                                   ", expert " + std::to_string(row.expert));
            }
            return row;
        });
}

std::vector<RoutingTokensRow> RunReader::routingTokens(std::int64_t sequence) const {
    return impl_->allOf<RoutingTokensRow>(
        "SELECT sequence, layer, first_position, tokens, top_k, experts, weights "
        "FROM routing_tokens WHERE sequence=? ORDER BY first_position, layer",
        sequence, [this](const Statement& s) {
            RoutingTokensRow row;
            row.sequence = s.integer(0);
            row.layer = s.int32(1);
            row.firstPosition = s.count(2);
            row.tokens = s.int32(3);
            row.topK = s.int32(4);
            // No expert for any number of tokens: a number that no byte of the file stands behind.
            if (row.tokens < 0 || row.topK < 0 || (row.topK == 0 && row.tokens > 0))
                impl_->db->damaged("impossible routing_tokens size");
            const std::int64_t cells = std::int64_t{row.tokens} * row.topK;
            row.experts = arrayOf<std::int16_t>(*impl_->db, s.blob(5), cells, "experts");
            const std::string_view weights = s.blob(6);
            if (!weights.empty()) {
                row.weights = arrayOf<float>(*impl_->db, weights, cells, "weights");
            }
            return row;
        });
}

bool RunReader::hasRoutingTokens() const {
    return impl_->db->integer("SELECT EXISTS (SELECT 1 FROM routing_tokens)") != 0;
}

std::vector<QualityRow> RunReader::quality() const {
    return impl_->all<QualityRow>(
        "SELECT name, value, unit, ok, note FROM quality ORDER BY name", [](const Statement& s) {
            return QualityRow{s.text(0), s.real(1), s.text(2), s.integer(3) != 0, s.text(4)};
        });
}

std::vector<MemoryRow> RunReader::memory() const {
    return impl_->all<MemoryRow>("SELECT name, bytes FROM memory ORDER BY name",
                                 [](const Statement& s) {
                                     return MemoryRow{s.text(0), s.count(1)};
                                 });
}

std::vector<SuiteRow> RunReader::suites() const {
    return impl_->all<SuiteRow>(
        "SELECT id, name, version, title, kind, source, items, settings FROM suite ORDER BY id",
        [](const Statement& s) {
            return SuiteRow{s.integer(0), s.text(1), s.text(2),  s.text(3),
                            s.text(4),    s.text(5), s.count(6), s.text(7)};
        });
}

std::vector<ItemRow> RunReader::items(std::int64_t suite) const {
    const std::string repeat = impl_->version() < 5 ? "0 AS repeat" : "repeat";
    return impl_->allOf<ItemRow>(
        "SELECT suite, id, ordinal, groups, prompt, choices, log_likelihoods, answer, target, "
        "score, tokens, duration_ns, sequence, detail, " +
            repeat + " FROM item WHERE suite=? ORDER BY ordinal, id, repeat",
        suite, [](const Statement& s) {
            return ItemRow{s.integer(0), s.text(1),   s.integer(2),  s.text(3),  s.text(4),
                           s.text(5),    s.text(6),   s.text(7),     s.text(8),  s.real(9),
                           s.count(10),  s.count(11), s.integer(12), s.text(13), s.count(14)};
        });
}

ItemCounts RunReader::itemCounts(std::int64_t suite) const {
    const auto rows = impl_->allOf<ItemCounts>(
        "SELECT count(*), count(score) FROM item WHERE suite=?", suite, [](const Statement& s) {
            return ItemCounts{s.count(0), s.count(1)};
        });
    return rows.empty() ? ItemCounts{} : rows.front();
}

std::vector<MetricRow> RunReader::metrics() const {
    // Before version 4 there were neither clusters nor an order.
    const std::string added =
        impl_->version() < 4 ? "0 AS clusters, -1 AS ordinal" : "clusters, ordinal";
    return impl_->all<MetricRow>(
        "SELECT suite, name, group_name, value, low, high, standard_error, chance, method, n, " +
            added + " FROM metric ORDER BY suite, ordinal < 0, ordinal, name, group_name",
        [](const Statement& s) {
            return MetricRow{s.integer(0),      s.text(1),         s.text(2),
                             s.real(3),         s.optionalReal(4), s.optionalReal(5),
                             s.optionalReal(6), s.optionalReal(7), s.text(8),
                             s.count(9),        s.count(10),       s.integer(11)};
        });
}

}  // namespace moescope
