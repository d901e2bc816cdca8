// SPDX-License-Identifier: Apache-2.0
#include "evals/instructions/language.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>

#include "engine/text/unicode.h"
#include "evals/instructions/language_words.h"

namespace moescope::instructions {

namespace {

/// Fewer letters say nothing.
constexpr std::size_t kFewestLetters = 12;
/// Of the letters, those of the script that decides.
constexpr double kShareOfScript = 2.0 / 3;
/// Of the words, those that must speak for the language, ..
constexpr double kShareOfWords = 0.1;
/// .. how many at least, ..
constexpr double kFewestWords = 3;
/// .. and how many times as many as for any other.
constexpr double kLead = 1.25;

/// Stands inside Persian words.
constexpr char32_t kZeroWidthNonJoiner = 0x200C;

/// Code points of a script, in blocks.
struct Block {
    char32_t first, last;
    Script script;
};
constexpr Block kBlocks[] = {
    {'A', 'Z', Script::Latin},          {'a', 'z', Script::Latin},
    {0xC0, 0x24F, Script::Latin},       {0x370, 0x3FF, Script::Greek},
    {0x400, 0x52F, Script::Cyrillic},   {0x590, 0x5FF, Script::Hebrew},
    {0x600, 0x6FF, Script::Arabic},     {0x750, 0x77F, Script::Arabic},
    {0x900, 0x97F, Script::Devanagari}, {0x980, 0x9FF, Script::Bengali},
    {0xA00, 0xA7F, Script::Gurmukhi},   {0xA80, 0xAFF, Script::Gujarati},
    {0xB80, 0xBFF, Script::Tamil},      {0xC00, 0xC7F, Script::Telugu},
    {0xC80, 0xCFF, Script::Kannada},    {0xD00, 0xD7F, Script::Malayalam},
    {0xE00, 0xE7F, Script::Thai},       {0x1100, 0x11FF, Script::Hangul},
    {0x1E00, 0x1EFF, Script::Latin},    {0x3040, 0x30FF, Script::Kana},
    {0x3130, 0x318F, Script::Hangul},   {0x3400, 0x9FFF, Script::Han},
    {0xAC00, 0xD7AF, Script::Hangul},   {0xFB50, 0xFDFF, Script::Arabic},
    {0xFE70, 0xFEFF, Script::Arabic},
};

Script scriptOf(char32_t c) {
    for (const Block& block : kBlocks)
        if (c >= block.first && c <= block.last) return block.script;
    return Script::Other;
}

using Counts = std::array<std::size_t, static_cast<std::size_t>(Script::Other) + 1>;

/// The script of most letters, Other when too few are of one.
Script leadingScript(Text text) {
    Counts letters{};
    std::size_t all = 0;
    for (const char32_t c : text) {
        if (!isLetter(c)) continue;
        ++letters[static_cast<std::size_t>(scriptOf(c))];
        ++all;
    }
    if (all < kFewestLetters) return Script::Other;
    // Japanese is written in three at a time.
    std::size_t& kana = letters[static_cast<std::size_t>(Script::Kana)];
    std::size_t& han = letters[static_cast<std::size_t>(Script::Han)];
    if (kana * 10 >= han) kana += std::exchange(han, 0);
    const auto most = std::max_element(letters.begin(), letters.end());
    const bool enough = static_cast<double>(*most) >= kShareOfScript * static_cast<double>(all);
    return enough ? static_cast<Script>(most - letters.begin()) : Script::Other;
}

/// What speaks for which languages of one script: bits by index.
struct Evidence {
    std::unordered_map<std::u32string, std::uint64_t> words, beginnings, endings;
    std::unordered_map<char32_t, std::uint64_t> letters;
    std::size_t longestPart = 0;  ///< of beginnings and endings
};

/// Splits a list of words; "-x" is an ending, "x-" a beginning.
void addWords(Evidence& evidence, std::string_view list, std::uint64_t language) {
    for (std::size_t at = 0; at < list.size();) {
        const std::size_t end = std::min(list.find(' ', at), list.size());
        std::u32string word = decoded(list.substr(at, end - at));
        at = end + 1;
        if (word.front() == U'-' || word.back() == U'-') {
            const bool ending = word.front() == U'-';
            std::erase(word, U'-');
            evidence.longestPart = std::max(evidence.longestPart, word.size());
            (ending ? evidence.endings : evidence.beginnings)[word] |= language;
        } else {
            evidence.words[word] |= language;
        }
    }
}

Evidence evidenceOf(std::span<const LanguageWords> languages) {
    Evidence evidence;
    for (std::size_t i = 0; i < languages.size(); ++i) {
        addWords(evidence, languages[i].words, 1ULL << i);
        for (const char32_t letter : decoded(languages[i].letters))
            evidence.letters[letter] |= 1ULL << i;
    }
    return evidence;
}

const Evidence& evidence() {
    static const Evidence all = evidenceOf(languageWords());
    return all;
}

template <typename Map, typename Key>
std::uint64_t bitsOf(const Map& map, const Key& key) {
    const auto found = map.find(key);
    return found == map.end() ? 0 : found->second;
}

/// The languages that a word, in small letters, speaks for.
std::uint64_t languagesOf(const std::u32string& word) {
    const Evidence& known = evidence();
    std::uint64_t bits = bitsOf(known.words, word);
    for (std::size_t n = 1; n <= std::min(known.longestPart, word.size() - 1); ++n) {
        bits |= bitsOf(known.beginnings, word.substr(0, n));
        bits |= bitsOf(known.endings, word.substr(word.size() - n));
    }
    for (const char32_t c : word) bits |= bitsOf(known.letters, c);
    return bits;
}

/// How many words speak for each language of a script.
class Tally {
public:
    explicit Tally(Script script) : script_(script) {}

    void add(const std::u32string& word) {
        if (word.empty() || scriptOf(word.front()) != script_) return;
        ++words_;
        std::uint64_t bits = languagesOf(word);
        for (std::size_t i = 0; bits != 0; ++i, bits >>= 1U) hits_[i] += bits & 1U;
    }

    /// `wanted`: an index into languageWords().
    std::optional<bool> speaksFor(std::size_t wanted) const {
        std::size_t most = 0;  // of the others
        for (std::size_t i = 0; i < hits_.size(); ++i)
            if (i != wanted) most = std::max(most, hits_[i]);
        const auto ours = static_cast<double>(hits_[wanted]), theirs = static_cast<double>(most);
        const double fewest = std::max(kFewestWords, kShareOfWords * static_cast<double>(words_));
        if (ours >= fewest && ours >= kLead * theirs) return true;
        if (theirs >= fewest && theirs >= kLead * ours) return false;
        return std::nullopt;
    }

private:
    Script script_;
    std::size_t words_ = 0;
    std::array<std::size_t, 64> hits_{};
};

Tally tallyOf(Text text, Script script) {
    // Composed: the lists have no combining marks that a letter could hold.
    const std::u32string composed = decoded(unicode::toNfc(encoded(text)));
    Tally tally(script);
    std::u32string word;
    for (const char32_t c : composed) {
        if (isLetter(c) || isMark(c) || c == kZeroWidthNonJoiner) {
            word.push_back(lowerOf(c));
        } else {
            tally.add(word);
            word.clear();
        }
    }
    tally.add(word);
    return tally;
}

}  // namespace

std::optional<bool> isInLanguage(Text text, std::string_view code) {
    const std::span<const LanguageWords> languages = languageWords();
    const auto wanted = std::find_if(languages.begin(), languages.end(),
                                     [&](const LanguageWords& one) { return one.code == code; });
    const Script script = leadingScript(text);
    if (script == Script::Other) return std::nullopt;
    if (wanted == languages.end() || wanted->script != script) return false;
    if (wanted->words.empty()) return true;  // no other language has the script
    return tallyOf(text, script).speaksFor(static_cast<std::size_t>(wanted - languages.begin()));
}

std::vector<std::string> languageCodes() {
    std::vector<std::string> codes;
    for (const LanguageWords& one : languageWords()) codes.emplace_back(one.code);
    std::sort(codes.begin(), codes.end());
    return codes;
}

}  // namespace moescope::instructions
