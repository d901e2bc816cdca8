// SPDX-License-Identifier: Apache-2.0
// How the rows of activations of a product are cut into tiles.
#pragma once

#include "engine/backend/cuda/prefill_product.h"

namespace moescope::cuda {

/// The part of an expert's slots, or of all tokens, that a block multiplies.
struct TokenTile {
    int expert = 0;
    int first = 0;
    int count = 0;  ///< 0: no such tile
};

/// Part `within` of the [begin, end) of an expert, cut into `tiles` of the same size but for the
/// last: what is left over is seldom small then, and no weight is decoded for a few tokens only.
__host__ __device__ inline TokenTile partOf(int expert, int begin, int end, int tiles, int within) {
    const int size = (end - begin + tiles - 1) / tiles;
    const int first = begin + within * size;
    return {expert, first, first + size < end ? size : end - first};
}

/// In which order the tiles of a product are taken: those that run at the same time are to share
/// weights and activations, so that these come from the second-level cache.
class TileOrder {
public:
    /// `tokenTiles`: with groups, at most as many; those past the last have no tokens.
    __device__ TileOrder(const Product& p, int tokenTiles, int blockRows)
        : tokenTiles_(tokenTiles),
          rowBlocks_((p.weights.rows + blockRows - 1) / blockRows),
          grouped_(p.groups.offsets != nullptr) {}

    __device__ int count() const { return tokenTiles_ * rowBlocks_; }
    // An expert's rows one after another, since no other has a use for them; but all tokens of some
    // rows of a dense matrix, since that is more than its tokens.
    __device__ int tokenTile(int i) const { return grouped_ ? i / rowBlocks_ : i % tokenTiles_; }
    __device__ int rowBlock(int i) const { return grouped_ ? i % rowBlocks_ : i / tokenTiles_; }

private:
    int tokenTiles_, rowBlocks_;
    bool grouped_;
};

/// All lanes of a warp find the `tile`-th tile of the groups together.
__device__ inline TokenTile findTile(const Product& p, int tileTokens, int tile) {
    if (p.groups.offsets == nullptr) {
        const int tiles = (p.tokens + tileTokens - 1) / tileTokens;
        return tile < tiles ? partOf(0, 0, p.tokens, tiles, tile) : TokenTile{};
    }
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    for (int base = 0; base < p.nExpert; base += kWarp) {
        const int expert = base + lane;
        const int begin = expert < p.nExpert ? p.groups.offsets[expert] : 0;
        const int end = expert < p.nExpert ? p.groups.offsets[expert + 1] : 0;
        const int tiles = (end - begin + tileTokens - 1) / tileTokens;
        int upTo = tiles;
        for (int delta = 1; delta < kWarp; delta *= 2) {
            const int below = __shfl_up_sync(kAllLanes, upTo, delta);
            if (lane >= delta) upTo += below;
        }
        const unsigned beyond = __ballot_sync(kAllLanes, upTo > tile);
        if (beyond != 0) {
            const int owner = __ffs(static_cast<int>(beyond)) - 1;
            const int within = tile - __shfl_sync(kAllLanes, upTo - tiles, owner);
            const int first = __shfl_sync(kAllLanes, begin, owner);
            const int last = __shfl_sync(kAllLanes, end, owner);
            return partOf(base + owner, first, last, __shfl_sync(kAllLanes, tiles, owner), within);
        }
        tile -= __shfl_sync(kAllLanes, upTo, kWarp - 1);
    }
    return {};
}

}  // namespace moescope::cuda
