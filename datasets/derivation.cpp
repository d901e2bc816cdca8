// SPDX-License-Identifier: Apache-2.0
// The table of rules. A new rule is one file in derivations/ and one line here.
#include "datasets/derivation.h"

#include <vector>

#include "datasets/suggest.h"
#include "engine/core/error.h"

namespace moescope {

namespace {

constexpr Derivation kDerivations[] = {
    {"bbq", deriveBbq},
    {"hellaswag", deriveHellaswag},
    {"ifeval", deriveIfeval},
    {"stereoset", deriveStereoset},
    {"truthfulqa", deriveTruthfulqa},
    {"winobias", deriveWinobias},
    {"winogender", deriveWinogender},
};

}  // namespace

const Derivation& derivationNamed(std::string_view name) {
    std::vector<std::string> known;
    for (const Derivation& one : kDerivations) {
        if (one.name == name) return one;
        known.emplace_back(one.name);
    }
    throw Error("unknown rule '" + std::string(name) + "'" + didYouMean(name, known));
}

const std::string& requiredField(const FieldMap& fields, std::string_view name,
                                 const std::string& place) {
    const auto found = fields.find(name);
    if (found == fields.end())
        throw Error(place + ": there is no field '" + std::string(name) + "'");
    return found->second;
}

const SideTable& requiredTable(const SideTables& tables, std::string_view name,
                               const std::string& place) {
    const auto found = tables.find(name);
    if (found == tables.end())
        throw Error(place + ": the suite's source has no table '" + std::string(name) + "'");
    return found->second;
}

std::string choiceLabel(std::size_t index) {
    return std::string(1, static_cast<char>('A' + index));
}

}  // namespace moescope
