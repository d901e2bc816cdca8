// SPDX-License-Identifier: Apache-2.0
// Choices as they are shown to a model that answers with a letter.
#pragma once

#include <string>
#include <vector>

namespace moescope {

/// An order of `count` choices, the same for every item of a cluster (counterfactual twins must
/// differ in nothing else) and on every platform. Uniform over clusters, so that a model which
/// prefers a letter does not favour a choice.
std::vector<int> drawnOrder(const std::string& suite, const std::string& cluster, int count);

/// "A. first\nB. second"; order[i]: the choice behind letter i.
std::string letteredLines(const std::vector<std::string>& choices, const std::vector<int>& order);
/// "A or B", "A, B or C"; count 1 to kMostChoices.
std::string lettersUpTo(int count);

}  // namespace moescope
