// SPDX-License-Identifier: Apache-2.0
// Shuffles the groups' names over texts, as the design of the texts allows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace moescope {

/// Between which texts the names of groups are exchanged: those that would be alike if the groups
/// made no difference. Whole texts always: tokens of one text are alike, so shuffling tokens would
/// find differences between any two sets of texts. (Winkler, Webster, Vidaurre, Nichols and Smith
/// 2015, NeuroImage 123: whole-block and within-block exchangeability.)
enum class Exchange : std::uint8_t {
    Texts,         ///< all of them
    WholeBlocks,   ///< blocks of texts that share their group, each as one
    WithinBlocks,  ///< the texts of each block: counterparts, of which only the group differs
};

/// Deterministic. The sizes of the groups stay, of WholeBlocks in blocks.
class LabelShuffler {
public:
    /// group, block: (n_text). `block` numbers blocks from 0 and is not looked at for Texts. Of
    /// WholeBlocks the group of a block's first text is that of all.
    LabelShuffler(std::span<const std::size_t> group, std::span<const std::size_t> block,
                  Exchange exchange, std::uint64_t seed);

    /// (n_text) the groups' names in another order, until the next call.
    std::span<const std::size_t> next();

private:
    void shuffle(std::vector<std::size_t>& names);

    std::vector<std::vector<std::size_t>> members_;  ///< (n_set) texts of what is exchanged at once
    std::vector<std::vector<std::size_t>> names_;    ///< (n_set) groups of these, in some order
    std::vector<std::size_t> block_;                 ///< of WholeBlocks: (n_text)
    std::vector<std::size_t> group_;                 ///< (n_text) what next() returns
    std::mt19937_64 random_;
};

}  // namespace moescope
