// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/label_shuffler.h"

#include <map>
#include <utility>

namespace moescope {

LabelShuffler::LabelShuffler(std::span<const std::size_t> group, std::span<const std::size_t> block,
                             Exchange exchange, std::uint64_t seed)
    : group_(group.begin(), group.end()), random_(seed) {
    // Which set of names a text takes part in, and which place in it is the text's.
    std::map<std::size_t, std::size_t> setOf;
    std::map<std::pair<std::size_t, std::size_t>, std::size_t> placeOf;
    for (std::size_t i = 0; i < group.size(); ++i) {
        const bool within = exchange == Exchange::WithinBlocks;
        const std::size_t key = within ? block[i] : 0;
        const std::size_t place = within ? group[i] : exchange == Exchange::Texts ? i : block[i];
        const std::size_t at = setOf.emplace(key, sets_.size()).first->second;
        if (at == sets_.size()) sets_.emplace_back();
        Set& set = sets_[at];
        const auto [found, fresh] = placeOf.emplace(std::pair(at, place), set.names.size());
        if (fresh) {
            set.names.push_back(group[i]);
            set.texts.emplace_back();
        }
        set.texts[found->second].push_back(i);
    }
}

std::span<const std::size_t> LabelShuffler::next() {
    for (Set& set : sets_) {
        shuffle(set.names);
        for (std::size_t n = 0; n < set.names.size(); ++n)
            for (const std::size_t text : set.texts[n]) group_[text] = set.names[n];
    }
    return group_;
}

void LabelShuffler::shuffle(std::vector<std::size_t>& names) {
    for (std::size_t i = names.size(); i > 1; --i) {
        const auto j = std::size_t(((random_() >> 32U) * std::uint64_t(i)) >> 32U);
        std::swap(names[i - 1], names[j]);
    }
}

}  // namespace moescope
