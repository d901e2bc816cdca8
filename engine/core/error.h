// SPDX-License-Identifier: Apache-2.0
// The one exception type that crosses module borders.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace moescope {

/// Thrown for bad input, absent files, failing devices: anything a user can cause or mend.
/// `what()` is one sentence that names the file (or option) and the cause, without a trailing
/// newline; `hint()` says what to do about it and may be empty. Programmer mistakes are asserts.
class Error : public std::runtime_error {
public:
    explicit Error(const std::string& what, std::string hint = {})
        : std::runtime_error(what), hint_(std::move(hint)) {}

    const std::string& hint() const noexcept { return hint_; }

private:
    std::string hint_;
};

/// Wrong command line: exit code 2 instead of 1.
class UsageError : public Error {
public:
    using Error::Error;
};

/// The user asked to stop (Ctrl-C). What was measured so far has been kept. Exit code 130.
class Interrupted : public Error {
public:
    using Error::Error;
};

}  // namespace moescope
