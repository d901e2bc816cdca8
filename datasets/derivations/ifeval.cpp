// SPDX-License-Identifier: Apache-2.0
// IFEval (Zhou et al. 2023): the instructions of a record as one field. Whether they are known and
// their arguments fit is checked by evals, which has the table of them.
#include <charconv>
#include <set>
#include <system_error>

#include <nlohmann/json.hpp>

#include "datasets/derivation.h"
#include "engine/core/error.h"
#include "engine/core/file.h"

namespace moescope {

namespace {

using Json = nlohmann::json;

/// Takes "12." off the front of a name; throws for a name that does not begin so.
std::size_t takeIndex(std::string_view& name, const std::string& field, const std::string& place) {
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
    const auto length = static_cast<std::size_t>(end - name.data());
    const bool whole = length == name.size() || name[length] == '.';
    if (error != std::errc() || !whole)
        throw Error(place + ": '" + field + "' is not as the data set has it");
    name.remove_prefix(std::min(length + 1, name.size()));
    return index;
}

/// Adds kwargs.I.NAME, or kwargs.I.NAME.K of a list, to the arguments of instruction I. Elements of
/// a list come in the order of the alphabet, in which "10" stands before "2": their order says
/// nothing to any instruction.
void addArgument(Json& instructions, const std::string& field, const std::string& value,
                 const std::string& place) {
    std::string_view name = std::string_view(field).substr(std::string_view("kwargs.").size());
    const std::size_t index = takeIndex(name, field, place);
    if (index >= instructions.size())
        throw Error(place + ": '" + field + "' belongs to no instruction");
    const std::size_t point = name.find('.');
    const std::string key(name.substr(0, point));
    Json& kwargs = instructions[index]["kwargs"];
    if (point == std::string_view::npos) {
        kwargs[key] = value;
        return;
    }
    std::string_view rest = name.substr(point + 1);
    takeIndex(rest, field, place);
    if (!rest.empty()) throw Error(place + ": '" + field + "' is not as the data set has it");
    Json& list = kwargs[key];
    if (list.is_string()) throw Error(place + ": '" + field + "' has two values");
    list.push_back(value);
}

}  // namespace

/// Adds `instructions`, a JSON list of {"id", "kwargs"} whose arguments are texts or lists of
/// texts, `count` (of them) and `family` (what stands before the colon of their names, "several"
/// when these differ).
std::string deriveIfeval(FieldMap& fields, const SideTables&, const std::string& place) {
    Json instructions = Json::array();
    std::set<std::string> families;
    for (std::size_t i = 0;; ++i) {
        const auto id = fields.find("instruction_id_list." + std::to_string(i));
        if (id == fields.end()) break;
        instructions.push_back({{"id", id->second}, {"kwargs", Json::object()}});
        families.insert(id->second.substr(0, id->second.find(':')));
    }
    if (instructions.empty()) throw Error(place + ": instruction_id_list is missing or empty");
    for (auto field = fields.lower_bound("kwargs.");
         field != fields.end() && field->first.starts_with("kwargs."); ++field)
        addArgument(instructions, field->first, field->second, place);
    fields["instructions"] = dumpJson(instructions);
    fields["count"] = std::to_string(instructions.size());
    fields["family"] = families.size() == 1 ? *families.begin() : "several";
    return {};
}

}  // namespace moescope
