// SPDX-License-Identifier: Apache-2.0
// The denominator of bits per byte: how much of a text the scored tokens stand for.
#pragma once

#include <cstddef>
#include <span>

#include "engine/text/tokenizer.h"

namespace moescope::cli {

/// Bytes that tokens spell. Control tokens and the padding of a vocabulary are no text: their nats
/// count, bytes they have none.
std::size_t spelledBytes(const Tokenizer& tokenizer, std::span<const TokenId> tokens);

/// UTF-8 bytes of a text of `text` bytes behind tokens that spell `scored` of the `whole` bytes
/// that all its tokens spell. The two differ where a tokenizer normalises (NFC makes 2 or 3 bytes
/// of 6, SentencePiece puts a space in front): all tokens stand for the whole text as it was given,
/// as lm-evaluation-harness divides by it, and some of them for their share.
std::size_t textBytes(std::size_t text, std::size_t scored, std::size_t whole) noexcept;

}  // namespace moescope::cli
