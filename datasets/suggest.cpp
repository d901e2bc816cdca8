// SPDX-License-Identifier: Apache-2.0
#include "datasets/suggest.h"

#include <algorithm>

#include "engine/core/count_text.h"
#include "engine/core/edit_distance.h"

namespace moescope {

std::string didYouMean(std::string_view word, const std::vector<std::string>& known) {
    constexpr std::size_t kLongestWord = 64;  // the distance costs the product of both lengths
    const std::string* best = nullptr;
    std::size_t bestDistance = 0;
    for (const std::string& name : known) {
        if (word.size() > kLongestWord || name.size() > kLongestWord) continue;
        const std::size_t distance = editDistance(word, name);
        if (distance * 3 > std::max(word.size(), name.size())) continue;
        if (best == nullptr || distance < bestDistance) {
            best = &name;
            bestDistance = distance;
        }
    }
    if (best != nullptr) return "; did you mean '" + *best + "'?";
    if (known.empty()) return {};
    std::string list = "; known: ";
    constexpr std::size_t kMost = 20;
    for (std::size_t i = 0; i < std::min(known.size(), kMost); ++i)
        list += (i > 0 ? ", " : "") + known[i];
    return known.size() > kMost ? list + ", ..." : list;
}

std::string someOf(const std::vector<std::string>& names) {
    constexpr std::size_t kNamed = 12;
    std::string text;
    for (std::size_t i = 0; i < std::min(names.size(), kNamed); ++i)
        text += (i > 0 ? ", " : "") + names[i];
    return names.size() > kNamed ? text + " and " + groupedDigits(names.size() - kNamed) + " more"
                                 : text;
}

}  // namespace moescope
