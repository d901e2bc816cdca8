// SPDX-License-Identifier: Apache-2.0
#include "profiler/runfile/schema.h"

#include <array>

#include "profiler/runfile/rows.h"

namespace moescope {
namespace {

// Tables whose rows are small and looked up by their whole key are WITHOUT ROWID: one b-tree
// instead of two. Rows that hold blobs or long texts keep the rowid, where SQLite is faster.
// REAL columns allow NULL because SQLite stores NaN as NULL.
constexpr std::string_view kSchema1 = R"sql(
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE name (
    id   INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
);

CREATE TABLE sequence (
    id               INTEGER PRIMARY KEY,
    label            TEXT NOT NULL,
    group_name       TEXT NOT NULL,
    prompt_tokens    INTEGER NOT NULL,
    generated_tokens INTEGER NOT NULL
);

CREATE TABLE token (
    sequence        INTEGER NOT NULL,
    position        INTEGER NOT NULL,
    token           INTEGER NOT NULL,
    text            BLOB NOT NULL,
    prompt          INTEGER NOT NULL,
    log_probability REAL,
    PRIMARY KEY (sequence, position)
) WITHOUT ROWID;

CREATE TABLE step (
    id             INTEGER PRIMARY KEY,
    sequence       INTEGER NOT NULL,
    kind           TEXT NOT NULL,
    first_position INTEGER NOT NULL,
    tokens         INTEGER NOT NULL,
    start_ns       INTEGER NOT NULL,
    end_ns         INTEGER NOT NULL
);

CREATE TABLE operation_event (
    id       INTEGER PRIMARY KEY,
    step     INTEGER NOT NULL,
    layer    INTEGER NOT NULL,
    op       INTEGER NOT NULL REFERENCES name(id),
    kernel   INTEGER NOT NULL REFERENCES name(id),
    start_ns INTEGER NOT NULL,
    end_ns   INTEGER NOT NULL,
    bytes    INTEGER NOT NULL,
    flops    INTEGER NOT NULL,
    threads  INTEGER NOT NULL
);

CREATE TABLE routing_count (
    sequence INTEGER NOT NULL,
    phase    TEXT NOT NULL,
    layer    INTEGER NOT NULL,
    expert   INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (sequence, phase, layer, expert)
) WITHOUT ROWID;

CREATE TABLE routing_tokens (
    sequence       INTEGER NOT NULL,
    layer          INTEGER NOT NULL,
    first_position INTEGER NOT NULL,
    tokens         INTEGER NOT NULL,
    top_k          INTEGER NOT NULL,
    experts        BLOB NOT NULL,
    weights        BLOB NOT NULL,
    PRIMARY KEY (sequence, layer, first_position)
);

CREATE TABLE quality (
    name  TEXT PRIMARY KEY,
    value REAL,
    unit  TEXT NOT NULL,
    ok    INTEGER NOT NULL,
    note  TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE memory (
    name  TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE suite (
    id       INTEGER PRIMARY KEY,
    name     TEXT NOT NULL,
    version  TEXT NOT NULL,
    title    TEXT NOT NULL,
    kind     TEXT NOT NULL,
    source   TEXT NOT NULL,
    items    INTEGER NOT NULL,
    settings TEXT NOT NULL
);

CREATE TABLE item (
    suite           INTEGER NOT NULL,
    id              TEXT NOT NULL,
    ordinal         INTEGER NOT NULL,
    groups          TEXT NOT NULL,
    prompt          TEXT NOT NULL,
    choices         TEXT NOT NULL,
    log_likelihoods TEXT NOT NULL,
    answer          TEXT NOT NULL,
    target          TEXT NOT NULL,
    score           REAL,
    tokens          INTEGER NOT NULL,
    duration_ns     INTEGER NOT NULL,
    sequence        INTEGER NOT NULL,
    detail          TEXT NOT NULL,
    PRIMARY KEY (suite, id)
);
CREATE INDEX item_by_ordinal ON item (suite, ordinal, id);

CREATE TABLE metric (
    suite          INTEGER NOT NULL,
    name           TEXT NOT NULL,
    group_name     TEXT NOT NULL,
    value          REAL,
    low            REAL,
    high           REAL,
    standard_error REAL,
    chance         REAL,
    method         TEXT NOT NULL,
    n              INTEGER NOT NULL,
    PRIMARY KEY (suite, name, group_name)
) WITHOUT ROWID;

CREATE VIEW operation AS
    SELECT e.id, e.step, e.layer, o.text AS op, k.text AS kernel, e.start_ns, e.end_ns,
           e.bytes, e.flops, e.threads
    FROM operation_event AS e JOIN name AS o ON o.id = e.op JOIN name AS k ON k.id = e.kernel;
)sql";

/// Added by version 2: work on a device. Its rows are many, so that names and shapes are ids.
constexpr std::string_view kSchema2 = R"sql(
CREATE TABLE launch_shape (
    id             INTEGER PRIMARY KEY,
    grid_x         INTEGER NOT NULL,
    grid_y         INTEGER NOT NULL,
    grid_z         INTEGER NOT NULL,
    block_x        INTEGER NOT NULL,
    block_y        INTEGER NOT NULL,
    block_z        INTEGER NOT NULL,
    cluster_x      INTEGER NOT NULL,
    cluster_y      INTEGER NOT NULL,
    cluster_z      INTEGER NOT NULL,
    registers      INTEGER NOT NULL,
    static_shared  INTEGER NOT NULL,
    dynamic_shared INTEGER NOT NULL
);

CREATE TABLE device_event (
    id              INTEGER PRIMARY KEY,
    step            INTEGER NOT NULL,
    layer           INTEGER NOT NULL,
    op              INTEGER NOT NULL REFERENCES name(id),
    operation       INTEGER NOT NULL,
    kind            INTEGER NOT NULL REFERENCES name(id),
    name            INTEGER NOT NULL REFERENCES name(id),
    shape           INTEGER NOT NULL REFERENCES launch_shape(id),
    device          INTEGER NOT NULL,
    stream          INTEGER NOT NULL,
    start_ns        INTEGER NOT NULL,
    end_ns          INTEGER NOT NULL,
    valid           INTEGER NOT NULL,
    launch_start_ns INTEGER,
    launch_end_ns   INTEGER,
    correlation     INTEGER NOT NULL,
    graph           INTEGER NOT NULL,
    node            INTEGER NOT NULL,
    bytes           INTEGER NOT NULL
);

CREATE TABLE counter_value (
    operation INTEGER NOT NULL,
    metric    INTEGER NOT NULL REFERENCES name(id),
    value     REAL,
    PRIMARY KEY (operation, metric)
) WITHOUT ROWID;

CREATE VIEW counter AS
    SELECT c.operation, n.text AS metric, c.value
    FROM counter_value AS c JOIN name AS n ON n.id = c.metric;

CREATE VIEW device AS
    SELECT e.id, e.step, e.layer, o.text AS op, e.operation, k.text AS kind, n.text AS name,
           s.grid_x, s.grid_y, s.grid_z, s.block_x, s.block_y, s.block_z, s.cluster_x, s.cluster_y,
           s.cluster_z, s.registers, s.static_shared, s.dynamic_shared, e.device, e.stream,
           e.start_ns, e.end_ns, e.valid, e.launch_start_ns, e.launch_end_ns, e.correlation,
           e.graph, e.node, e.bytes
    FROM device_event AS e JOIN name AS o ON o.id = e.op JOIN name AS k ON k.id = e.kind
         JOIN name AS n ON n.id = e.name JOIN launch_shape AS s ON s.id = e.shape;
)sql";

/// Added by version 3: hardware counters over time. Samples are kept in the order in which they
/// came and with the stamps that they came with, so that nothing is a key.
constexpr std::string_view kSchema3 = R"sql(
CREATE TABLE sample_value (
    id       INTEGER PRIMARY KEY,
    start_ns INTEGER NOT NULL,
    end_ns   INTEGER NOT NULL,
    metric   INTEGER NOT NULL REFERENCES name(id),
    value    REAL
);

CREATE VIEW sample AS
    SELECT v.id, v.start_ns, v.end_ns, n.text AS metric, v.value
    FROM sample_value AS v JOIN name AS n ON n.id = v.metric;
)sql";

/// Added by version 4: on how many independent groups of items a metric rests, and its place.
constexpr std::string_view kSchema4 = R"sql(
ALTER TABLE metric ADD COLUMN clusters INTEGER NOT NULL DEFAULT 0;
ALTER TABLE metric ADD COLUMN ordinal INTEGER NOT NULL DEFAULT -1;
)sql";

/// Added by version 5: several replies to one item. SQLite changes no primary key in place.
constexpr std::string_view kSchema5 = R"sql(
ALTER TABLE item RENAME TO item_of_version_4;
CREATE TABLE item (
    suite           INTEGER NOT NULL,
    id              TEXT NOT NULL,
    ordinal         INTEGER NOT NULL,
    groups          TEXT NOT NULL,
    prompt          TEXT NOT NULL,
    choices         TEXT NOT NULL,
    log_likelihoods TEXT NOT NULL,
    answer          TEXT NOT NULL,
    target          TEXT NOT NULL,
    score           REAL,
    tokens          INTEGER NOT NULL,
    duration_ns     INTEGER NOT NULL,
    sequence        INTEGER NOT NULL,
    detail          TEXT NOT NULL,
    repeat          INTEGER NOT NULL,
    PRIMARY KEY (suite, id, repeat)
);
INSERT INTO item SELECT *, 0 FROM item_of_version_4;
DROP TABLE item_of_version_4;
CREATE INDEX item_by_ordinal ON item (suite, ordinal, id, repeat);
)sql";

constexpr std::array<std::string_view, kRunSchemaVersion> kSchemas{kSchema1, kSchema2, kSchema3,
                                                                   kSchema4, kSchema5};

/// In the order of the versions that added them.
constexpr std::array<std::string_view, 17> kTables{
    "meta",          "name",           "sequence",
    "token",         "step",           "operation_event",
    "routing_count", "routing_tokens", "quality",
    "memory",        "suite",          "item",
    "metric",        "launch_shape",   "device_event",
    "counter_value", "sample_value"};
constexpr std::array<std::size_t, kRunSchemaVersion + 1> kTablesThrough{0, 13, 16, 17, 17, 17};

}  // namespace

std::string_view runSchemaSql(int version) noexcept {
    return kSchemas[static_cast<std::size_t>(version) - 1];
}

std::span<const std::string_view> runTables(int version) noexcept {
    return std::span(kTables).first(kTablesThrough[static_cast<std::size_t>(version)]);
}

std::string_view runStatusName(RunStatus status) noexcept {
    switch (status) {
        case RunStatus::Running:
            return "running";
        case RunStatus::Done:
            return "done";
        case RunStatus::Failed:
            return "failed";
        case RunStatus::Interrupted:
            return "interrupted";
    }
    return "running";
}

}  // namespace moescope
