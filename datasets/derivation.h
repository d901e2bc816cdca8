// SPDX-License-Identifier: Apache-2.0
// What templates cannot say: rules in C++ that add fields to the records of one published data set,
// named by "derive" in a suite's source. Table in derivation.cpp, one rule a file in derivations/.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "datasets/text_template.h"

namespace moescope {

/// A file beside the data, by the values of its key column.
using SideTable = std::map<std::string, FieldMap, std::less<>>;
using SideTables = std::map<std::string, SideTable, std::less<>>;

struct Derivation {
    std::string_view name;
    /// Adds fields to a record. Returns why the record makes no item, for people ("" when it makes
    /// one). Throws Error "<place>: ..." for a record that is not of this data set.
    std::string (*derive)(FieldMap& fields, const SideTables& tables, const std::string& place);
};

/// Throws Error with the nearest name.
const Derivation& derivationNamed(std::string_view name);

/// For rules: a field that must be there. Throws Error "<place>: ...".
const std::string& requiredField(const FieldMap& fields, std::string_view name,
                                 const std::string& place);
/// For rules: a table that the suite must name in "tables". Throws Error "<place>: ...".
const SideTable& requiredTable(const SideTables& tables, std::string_view name,
                               const std::string& place);
/// "A" for 0, as choices are labelled.
std::string choiceLabel(std::size_t index);

std::string deriveBbq(FieldMap& fields, const SideTables& tables, const std::string& place);
std::string deriveHellaswag(FieldMap& fields, const SideTables& tables, const std::string& place);
std::string deriveIfeval(FieldMap& fields, const SideTables& tables, const std::string& place);
std::string deriveStereoset(FieldMap& fields, const SideTables& tables, const std::string& place);
std::string deriveTruthfulqa(FieldMap& fields, const SideTables& tables, const std::string& place);
std::string deriveWinobias(FieldMap& fields, const SideTables& tables, const std::string& place);
std::string deriveWinogender(FieldMap& fields, const SideTables& tables, const std::string& place);

}  // namespace moescope
