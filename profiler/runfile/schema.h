// SPDX-License-Identifier: Apache-2.0
// The SQL schema of a run file. docs/run-file.md describes every table and column.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "profiler/runfile/rows.h"

namespace moescope {

/// `PRAGMA application_id` of a run file: the bytes 'MoSc', big-endian at offset 68 of the file.
inline constexpr std::int32_t kRunApplicationId = 0x4D6F5363;

/// Statements that make a file of the version before one of `version` (1 to kRunSchemaVersion):
/// only what that version added. An empty database is of version 0.
std::string_view runSchemaSql(int version) noexcept;

/// Names of the tables that every run file of that version has.
std::span<const std::string_view> runTables(int version = kRunSchemaVersion) noexcept;

}  // namespace moescope
