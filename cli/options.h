// SPDX-License-Identifier: Apache-2.0
// Command-line options of one command: Boost.Program_options without guessing, with suggestions.
#pragma once

#include <boost/program_options.hpp>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"

namespace moescope::cli {

namespace po = boost::program_options;

/// Options and positional arguments of one command.
///     Options options("generate");
///     options.add("prompt,p", po::value<std::string>()->value_name("TEXT"), "continue this text");
///     options.positional("model", 1, "a file, folder or name");
///     if (!options.parse(invocation)) return kDone;   // --help was asked and printed
class Options {
public:
    explicit Options(std::string_view command);

    void add(const char* name, const po::value_semantic* value, const char* help);
    void flag(const char* name, const char* help);
    /// count -1: all that remain. Positional arguments are required unless `optional`.
    void positional(const char* name, int count, const char* help, bool optional = false);
    /// A paragraph printed after the options.
    void epilog(std::string text) { epilog_ = std::move(text); }

    /// False when --help was printed. Throws UsageError for unknown options (with the nearest),
    /// missing or malformed values.
    bool parse(const Invocation& invocation);

    /// Of the invocation that was parsed; null before.
    const StopFlag* stop() const noexcept { return stop_; }
    bool has(const std::string& name) const {
        return values_.count(name) > 0 && !values_[name].defaulted();
    }
    template <typename T>
    T get(const std::string& name) const {
        return values_[name].as<T>();
    }
    template <typename T>
    T get(const std::string& name, T fallback) const {
        return values_.count(name) > 0 ? values_[name].as<T>() : fallback;
    }
    bool isSet(const std::string& name) const {
        return values_.count(name) > 0 && values_[name].as<bool>();
    }

    /// UsageError "--<name> <why>" for the first of `names` that is given: an option that would be
    /// ignored is refused.
    void refuse(std::initializer_list<const char*> names, const char* why) const;

private:
    void printHelp() const;
    /// Boost names the long one only, whichever was written: "'--tokens'" becomes "'-n/--tokens'".
    std::string bothSpellings(std::string message) const;

    struct Positional {
        std::string name, help;
        int count;
        bool optional;
    };
    std::string command_;
    po::options_description description_;
    po::options_description hidden_;
    po::positional_options_description positions_;
    std::vector<Positional> positionals_;
    std::vector<std::string> names_;
    std::map<char, std::string> letters_;  ///< short name -> long name
    po::variables_map values_;
    std::string epilog_;
    const StopFlag* stop_ = nullptr;
};

}  // namespace moescope::cli
