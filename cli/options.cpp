// SPDX-License-Identifier: Apache-2.0
#include "cli/options.h"

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <limits>
#include <sstream>

#include "engine/core/edit_distance.h"
#include "engine/core/error.h"

namespace moescope::cli {
namespace {

constexpr unsigned kHelpWidth = 100;
constexpr std::uint64_t kMaxWhole = std::numeric_limits<std::int64_t>::max();

const Command* findCommand(std::string_view name) {
    for (const Command& command : commands()) {
        if (command.name == name) return &command;
    }
    return nullptr;
}

/// "model" -> "MODEL"
std::string shownName(std::string name) {
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return name;
}

}  // namespace

Options::Options(std::string_view command)
    : command_(command), description_("Options", kHelpWidth, kHelpWidth / 2) {
    flag("help,h", "print this help");
}

void Options::add(const char* name, const po::value_semantic* value, const char* help) {
    description_.add_options()(name, value, help);
    const std::string_view whole = name;
    const std::size_t comma = whole.find(',');
    names_.push_back("--" + std::string(whole.substr(0, comma)));
    if (comma != std::string_view::npos)
        letters_[whole[comma + 1]] = std::string(whole.substr(0, comma));
}

void Options::refuse(std::initializer_list<const char*> names, const char* why) const {
    for (const char* name : names)
        if (has(name)) throw UsageError("--" + std::string(name) + " " + why);
}

void Options::flag(const char* name, const char* help) {
    add(name, po::bool_switch(), help);
}

void Options::positional(const char* name, int count, const char* help, bool optional) {
    hidden_.add_options()(name, po::value<std::vector<std::string>>());
    positions_.add(name, count);
    positionals_.push_back({name, help, count, optional});
}

std::string Options::bothSpellings(std::string message) const {
    for (const auto& [letter, name] : letters_) {
        const std::string longName = "'--" + name + "'";
        const std::size_t at = message.find(longName);
        if (at != std::string::npos)
            message.replace(at, longName.size(), std::string("'-") + letter + "/--" + name + "'");
    }
    return message;
}

bool Options::parse(const Invocation& invocation) {
    stop_ = invocation.stop;
    po::options_description all;
    all.add(description_).add(hidden_);
    using Style = po::command_line_style::style_t;
    const int style = po::command_line_style::unix_style & ~Style::allow_guessing;
    const std::string see = "see 'moescope " + command_ + " --help'";
    // "-n=5": Boost would take "=5" for the value.
    const auto shortWithSign = [&](const std::string& word) -> std::pair<std::string, std::string> {
        if (word.size() < 3 || word[0] != '-' || word[2] != '=') return {};
        const auto letter = letters_.find(word[1]);
        if (letter == letters_.end()) return {};
        if (word.size() == 3)
            throw UsageError(
                "the required argument for option '" + word.substr(0, 2) + "' is missing", see);
        return {letter->second, word.substr(3)};
    };
    try {
        po::store(po::command_line_parser(invocation.arguments)
                      .options(all)
                      .positional(positions_)
                      .style(style)
                      .extra_parser(shortWithSign)
                      .run(),
                  values_);
    } catch (const po::unknown_option& e) {
        const std::string guess = nearest(e.get_option_name(), names_);
        throw UsageError("unknown option '" + e.get_option_name() + "' for '" + command_ + "'",
                         guess.empty() ? see : "did you mean '" + guess + "'?");
    } catch (const po::too_many_positional_options_error&) {
        throw UsageError("'" + command_ + "' was given more arguments than it takes", see);
    } catch (const po::error& e) {
        throw UsageError(bothSpellings(e.what()), see);
    }
    if (isSet("help")) {
        printHelp();
        return false;
    }
    for (const auto& [name, value] : values_) {
        // A stream reads "-1" into an unsigned number as the largest one.
        if (value.value().type() != typeid(std::uint64_t) || value.defaulted()) continue;
        if (value.as<std::uint64_t>() > kMaxWhole)
            throw UsageError(
                bothSpellings("'--" + name + "'") + " takes 0 to " + std::to_string(kMaxWhole),
                see);
    }
    for (const Positional& p : positionals_) {
        const bool given = values_.count(p.name) > 0;
        for (const std::string& value :
             given ? get<std::vector<std::string>>(p.name) : std::vector<std::string>{}) {
            if (value.empty())
                throw UsageError("'" + command_ + "' was given an empty " + shownName(p.name));
        }
        if (!p.optional && !given) {
            throw UsageError("'" + command_ + "' needs " + shownName(p.name) + " (" + p.help + ")",
                             see);
        }
    }
    return true;
}

void Options::printHelp() const {
    std::ostringstream out;
    const Command* command = findCommand(command_);
    out << "usage: moescope " << command_;
    if (command != nullptr) out << ' ' << command->synopsis << "\n\n" << command->summary;
    out << "\n\n";
    for (const Positional& p : positionals_) {
        const std::string shown = shownName(p.name);
        out << "  " << shown << std::string(shown.size() < 24 ? 24 - shown.size() : 1, ' ')
            << p.help << '\n';
    }
    out << '\n' << description_;
    if (!epilog_.empty()) out << '\n' << epilog_ << '\n';
    std::cout << out.str();
}

}  // namespace moescope::cli
