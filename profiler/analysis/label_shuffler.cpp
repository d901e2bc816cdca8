// SPDX-License-Identifier: Apache-2.0
#include "profiler/analysis/label_shuffler.h"

#include <utility>

namespace moescope {

LabelShuffler::LabelShuffler(std::span<const std::size_t> group, std::span<const std::size_t> block,
                             Exchange exchange, std::uint64_t seed)
    : group_(group.begin(), group.end()), random_(seed) {
    if (exchange == Exchange::WithinBlocks) {
        for (std::size_t i = 0; i < group.size(); ++i) {
            if (block[i] >= members_.size()) members_.resize(block[i] + 1);
            members_[block[i]].push_back(i);
        }
    } else if (exchange == Exchange::Texts) {
        members_.emplace_back();
        for (std::size_t i = 0; i < group.size(); ++i) members_.front().push_back(i);
    } else {
        // One set, whose members are blocks.
        block_.assign(block.begin(), block.end());
        std::vector<std::size_t> first;
        for (std::size_t i = 0; i < group.size(); ++i) {
            if (block[i] >= first.size()) first.resize(block[i] + 1, group.size());
            if (first[block[i]] == group.size()) first[block[i]] = i;
        }
        members_.push_back(std::move(first));
    }
    for (const std::vector<std::size_t>& members : members_) {
        names_.emplace_back();
        for (const std::size_t text : members) names_.back().push_back(group[text]);
    }
}

std::span<const std::size_t> LabelShuffler::next() {
    for (std::vector<std::size_t>& names : names_) shuffle(names);
    if (!block_.empty()) {
        for (std::size_t i = 0; i < group_.size(); ++i) group_[i] = names_.front()[block_[i]];
        return group_;
    }
    for (std::size_t s = 0; s < members_.size(); ++s)
        for (std::size_t i = 0; i < members_[s].size(); ++i) group_[members_[s][i]] = names_[s][i];
    return group_;
}

void LabelShuffler::shuffle(std::vector<std::size_t>& names) {
    for (std::size_t i = names.size(); i > 1; --i) {
        const auto j = std::size_t(((random_() >> 32U) * std::uint64_t(i)) >> 32U);
        std::swap(names[i - 1], names[j]);
    }
}

}  // namespace moescope
