// SPDX-License-Identifier: Apache-2.0
// How a written reply becomes an answer. The table of readers is in reply_readers.cpp; what each
// accepts, in which order, is in docs/suites.md.
//
// A reply is what the model says to the reader: never its reasoning. One that was cut off counts
// only where it has said "Answer: X" before, since its last number or first letter may be anything.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "datasets/suite.h"
#include "evals/scorers.h"

namespace moescope {

/// An answer and the rule that found it, by name: "marker", "box", "hashes", "whole",
/// "last"; of choices also "named": the reply is the choice's own text.
struct ReadAnswer {
    std::string text;  ///< a letter, "yes" or "no", a number in canonical form
    std::string_view rule;
};

struct ReplyReader {
    std::string_view name;
    std::string_view summary;
    /// Throws Error when the suite lacks what the reader needs.
    void (*check)(const SuiteDefinition& suite);
    /// The right answer as text, "" when there is none. Throws Error for an item that has no
    /// answer that could be right.
    std::string (*expected)(const SuiteItem& item);
    /// An unread reply scores 0: neither right nor favourable. detail has "answered" and, when it
    /// is true, "read_by"; for choices also "answer_index" (-1: none), "target_index" and "right".
    ItemScore (*judge)(const SuiteDefinition& suite, const SuiteItem& item, std::string_view reply,
                       bool cutOff);
};

std::span<const ReplyReader> replyReaders();
/// Throws Error naming the nearest, and whatever ReplyReader::check throws.
const ReplyReader& replyReaderFor(const SuiteDefinition& suite);

/// A letter of the first `letters` of the alphabet, in this order: the last "Answer: X"; the last
/// "\boxed{X}"; a reply that is the letter, or begins with it and ".", ")" or ":" - unless
/// other lines begin with other letters.
std::optional<ReadAnswer> readLetter(std::string_view reply, int letters, bool cutOff);
/// "yes" or "no": the last "Answer: yes"; a reply that begins with the word.
std::optional<ReadAnswer> readYesNo(std::string_view reply, bool cutOff);
/// A decimal number: the last "#### N"; the last "Answer: N"; the last "\boxed{N}"; the last number
/// of the reply. In canonical form: "-1234.5", without separators, "+", "$", zeros that say
/// nothing.
std::optional<ReadAnswer> readNumber(std::string_view reply, bool cutOff);

}  // namespace moescope
