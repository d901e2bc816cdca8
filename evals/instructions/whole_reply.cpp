// SPDX-License-Identifier: Apache-2.0
// combination: and startend:, what a reply as a whole begins, ends and is divided with.
#include "evals/instructions/instruction.h"

namespace moescope::instructions {

/// Two that differ, with "******" between them; before the first and behind the second is allowed.
Verdict twoResponses(Text reply, const Arguments&) {
    const std::vector<Text> parts = splitAt(reply, U"******");
    std::vector<Text> responses;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (!isBlank(parts[i]))
            responses.push_back(stripped(parts[i]));
        else if (i > 0 && i + 1 < parts.size())
            return Verdict::NotFollowed;
    }
    return verdictOf(responses.size() == 2 && responses[0] != responses[1]);
}

Verdict repeatPrompt(Text reply, const Arguments& arguments) {
    return verdictOf(
        lowered(stripped(reply)).starts_with(lowered(arguments.text("prompt_to_repeat"))));
}

Verdict endChecker(Text reply, const Arguments& arguments) {
    Text text = stripped(reply);
    while (text.starts_with(U'"')) text.remove_prefix(1);
    while (text.ends_with(U'"')) text.remove_suffix(1);
    return verdictOf(lowered(text).ends_with(lowered(arguments.text("end_phrase"))));
}

/// Straight quotes.
Verdict quotation(Text reply, const Arguments&) {
    const Text text = stripped(reply);
    return verdictOf(text.size() > 1 && text.starts_with(U'"') && text.ends_with(U'"'));
}

}  // namespace moescope::instructions
