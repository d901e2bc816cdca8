// SPDX-License-Identifier: Apache-2.0
// What an item gives, checked against the table before a model is asked.
#include <algorithm>
#include <charconv>
#include <optional>
#include <system_error>

#include "datasets/suggest.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "evals/instructions/instruction.h"
#include "evals/instructions/language.h"

namespace moescope::instructions {

namespace {

using Json = nlohmann::json;

/// For a message of one line: an argument may be a whole prompt, or hold anything.
std::string quoted(std::string text) {
    constexpr std::size_t kMost = 60;
    if (text.size() > kMost) text = toValidUtf8(text.substr(0, kMost)) + "..";
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 0x7F; }, '?');
    return "'" + text + "'";
}

/// One argument of one instruction, with the words to complain about it.
class Argument {
public:
    Argument(const Parameter& parameter, const Json& value, std::string what)
        : parameter_(parameter),
          value_(value),
          what_(std::move(what) + ": " + std::string(parameter.name)) {}

    void addTo(Arguments& arguments) const {
        switch (parameter_.kind) {
            case ArgumentKind::Count:
                arguments.setCount(parameter_.name, count());
                return;
            case ArgumentKind::Phrases:
                arguments.setTexts(parameter_.name, phrases());
                return;
            case ArgumentKind::Relation:
                require({"at least", "less than"});
                break;
            case ArgumentKind::Language:
                require(languageCodes());
                break;
            case ArgumentKind::Character:
                if (phrase(text()).size() != 1)
                    throw Error(what_ + " is " + quoted(text()) + ", not one character");
                break;
            case ArgumentKind::Phrase:
                break;
        }
        arguments.setTexts(parameter_.name, {phrase(text())});
    }

private:
    std::string text() const {
        if (!value_.is_string()) throw Error(what_ + " is a list, not one value");
        return value_.get<std::string>();
    }

    std::u32string phrase(const std::string& utf8) const {
        const std::u32string all = decoded(utf8);
        const Text bare = stripped(all);
        if (bare.empty()) throw Error(what_ + " is blank");
        return std::u32string(bare);
    }

    std::int64_t count() const {
        const std::string digits = text();
        std::int64_t value = 0;
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (error == std::errc::invalid_argument || end != digits.data() + digits.size())
            throw Error(what_ + " is " + quoted(digits) + ", not a whole number");
        if (error != std::errc() || value < 1 || value > kMostCount)
            throw Error(what_ + " is " + quoted(digits) + ", not between 1 and " +
                        std::to_string(kMostCount));
        return value;
    }

    std::vector<std::u32string> phrases() const {
        if (!value_.is_array()) throw Error(what_ + " is one value, not a list");
        std::vector<std::u32string> all;
        for (const Json& one : value_) all.push_back(phrase(one.get<std::string>()));
        return all;
    }

    void require(const std::vector<std::string>& known) const {
        if (std::find(known.begin(), known.end(), text()) == known.end())
            throw Error(what_ + " is " + quoted(text()) + ", none of " + someOf(known));
    }

    const Parameter& parameter_;
    const Json& value_;
    std::string what_;
};

const Instruction& instructionNamed(const std::string& id, const std::string& place) {
    std::vector<std::string> known;
    for (const Instruction& one : table()) {
        if (one.id == id) return one;
        known.emplace_back(one.id);
    }
    throw Error(place + ": unknown instruction " + quoted(id) + didYouMean(id, known));
}

Arguments argumentsOf(const Instruction& instruction, const Json& kwargs, const std::string& what) {
    Arguments arguments;
    std::vector<std::string> names;
    for (const Parameter& parameter : instruction.parameters) {
        if (parameter.name.empty()) continue;
        names.emplace_back(parameter.name);
        const auto value = kwargs.find(parameter.name);
        if (value == kwargs.end()) throw Error(what + ": " + names.back() + " is missing");
        Argument(parameter, *value, what).addTo(arguments);
    }
    for (const auto& [name, value] : kwargs.items())
        if (std::find(names.begin(), names.end(), name) == names.end())
            throw Error(what + ": unknown argument " + quoted(name) + didYouMean(name, names));
    return arguments;
}

}  // namespace

Verdict Arguments::compare(std::size_t actual, std::string_view countName,
                           std::string_view relation) const {
    const auto wanted = static_cast<std::size_t>(count(countName));
    return verdictOf(text(relation) == U"less than" ? actual < wanted : actual >= wanted);
}

std::vector<Given> parseGiven(const std::string& json, const std::string& place) {
    std::vector<Given> all;
    const Json list = parseJson(json, place);
    try {
        for (const Json& one : list) {
            Given given;
            const std::string id = one.at("id").get<std::string>();
            given.instruction = &instructionNamed(id, place);
            given.kwargs = one.at("kwargs");
            // The data set's copy on Hugging Face gives every instruction all names, mostly null.
            for (auto value = given.kwargs.begin(); value != given.kwargs.end();)
                value = *value == "" ? given.kwargs.erase(value) : std::next(value);
            given.arguments =
                argumentsOf(*given.instruction, given.kwargs, place + ": instruction '" + id + "'");
            all.push_back(std::move(given));
        }
    } catch (const Json::exception& error) {
        throw Error(place + ": these are no instructions: " + error.what());
    }
    if (all.empty()) throw Error(place + ": there are no instructions");
    return all;
}

}  // namespace moescope::instructions
