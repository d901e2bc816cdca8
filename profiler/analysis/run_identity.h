// SPDX-License-Identifier: Apache-2.0
// In what two runs that are compared differ besides their figures.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace moescope {

/// A phrase for each of model, back end, device, numerics, kind and set of texts that differs:
/// different model: "demo-wide" instead of "demo", of `run` beside `base`, both the meta of a run.
/// Routing and peak memory follow from the texts and the kind as much as from the model. What one
/// of them does not say is not compared; models of one name are told apart by their identities.
std::vector<std::string> identityDifferences(const std::map<std::string, std::string>& base,
                                             const std::map<std::string, std::string>& run);

}  // namespace moescope
