// SPDX-License-Identifier: Apache-2.0
// Sentences and tokens of English text, as far as IFEval's counts need them. It counts with NLTK's
// Punkt, a trained splitter (Kiss and Strunk, "Unsupervised Multilingual Sentence Boundary
// Detection", Computational Linguistics 32, 2006), and its Treebank tokenizer. Here are their
// rules, without the model: in place of its statistics stand two short lists. How often the counts
// agree is in docs/suites.md.
#pragma once

#include <cstddef>
#include <vector>

#include "evals/instructions/reply_text.h"

namespace moescope::instructions {

/// Views into `text`, in order, none empty. A "." ends a sentence where white space or a bracket
/// follows it, unless it belongs to an abbreviation, an initial, a number or an ellipsis that the
/// text goes on behind; "!" and "?" always do. Line ends are white space: headings and lines
/// without a mark are part of what follows them.
std::vector<Text> sentencesOf(Text text);

/// How many tokens of the Treebank tokenizer are in capitals: hyphens, digits, apostrophes inside
/// and periods leave a word whole, "DON'T" and "CANNOT" are two.
std::size_t capitalWords(Text text);

}  // namespace moescope::instructions
