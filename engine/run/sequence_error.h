// SPDX-License-Identifier: Apache-2.0
// What is wrong with one of the sequences that are evaluated together.
#pragma once

#include <cstddef>

#include "engine/core/error.h"

namespace moescope {

/// Says which: callers name the line or the item that it came from.
class SequenceError : public Error {
public:
    SequenceError(std::size_t sequence, const Error& cause)
        : Error(cause.what(), cause.hint()), sequence_(sequence) {}
    std::size_t sequence() const noexcept { return sequence_; }

private:
    std::size_t sequence_;
};

}  // namespace moescope
