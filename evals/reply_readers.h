// SPDX-License-Identifier: Apache-2.0
// How a written reply is scored: the table is in reply_readers.cpp, the reading in answer_text.h. A
// reply is what the model says to the reader: never its reasoning.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "datasets/suite.h"
#include "evals/scorers.h"

namespace moescope {

struct ReplyReader {
    std::string_view name;
    std::string_view summary;
    /// Throws Error when the suite lacks what the reader needs.
    void (*check)(const SuiteDefinition& suite);
    /// The right answer as text, "" when there is none or several. Throws Error, naming the item's
    /// place, for an item that has no answer that could be right.
    std::string (*expected)(const SuiteItem& item);
    /// An unread reply scores 0: neither right nor favourable. detail has "answered" and, when it
    /// is true, "read_by"; for choices also "answer_index" (-1: none), "target_index" and "right";
    /// for instructions, in place of "read_by", "followed_strict", "followed_loose" (of all) and
    /// "instructions": for each its "id", "kwargs" and the verdicts "strict" and "loose".
    ItemScore (*judge)(const SuiteDefinition& suite, const SuiteItem& item, std::string_view reply,
                       bool cutOff);
};

std::span<const ReplyReader> replyReaders();
/// Throws Error naming the nearest, and whatever ReplyReader::check throws.
const ReplyReader& replyReaderFor(const SuiteDefinition& suite);

}  // namespace moescope
