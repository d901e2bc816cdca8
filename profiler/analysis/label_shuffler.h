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
    Texts,        ///< all of them
    WholeBlocks,  ///< blocks of texts that share their group, each as one
    /// The groups of each block swap their names, for all its texts alike: what is balanced within
    /// a block (each group with as many texts that say "he" as "she") stays so, and texts of one
    /// block do not count as independent.
    WithinBlocks,
};

/// Deterministic. The sizes of the groups stay (WholeBlocks: in blocks; WithinBlocks: where the
/// groups of a block have as many texts each).
class LabelShuffler {
public:
    /// group, block: (n_text). `block` is not looked at for Texts. Of WholeBlocks the group of a
    /// block's first text is that of all.
    LabelShuffler(std::span<const std::size_t> group, std::span<const std::size_t> block,
                  Exchange exchange, std::uint64_t seed);

    /// (n_text) the groups' names in another order, until the next call.
    std::span<const std::size_t> next();

private:
    /// Names that are exchanged with each other. Each stands for some texts.
    struct Set {
        std::vector<std::size_t> names;               ///< groups, in some order
        std::vector<std::vector<std::size_t>> texts;  ///< (n_name) that take the name
    };

    void shuffle(std::vector<std::size_t>& names);

    std::vector<Set> sets_;
    std::vector<std::size_t> group_;  ///< (n_text) what next() returns
    std::mt19937_64 random_;
};

}  // namespace moescope
