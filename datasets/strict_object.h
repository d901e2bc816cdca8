// SPDX-License-Identifier: Apache-2.0
// A JSON object of which every key must be known: typos in suite files become errors, not defaults.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace moescope {

/// Throws Error "<place>: unknown key; did you mean 'x'?"; all of `known` are in the message or,
/// when it has a guess, in the hint. place: "<origin>: <path>.<key>".
[[noreturn]] void refuseKey(const std::string& place, const std::string& key,
                            const std::vector<std::string>& known);

/// Ask for each key, then call finish(). All methods throw Error "<origin>: <path>: <cause>".
class StrictObject {
public:
    StrictObject(const nlohmann::json& value, std::string origin, std::string path = {});

    std::string text(const std::string& key);  ///< required, not empty
    std::string text(const std::string& key, std::string fallback);
    bool flag(const std::string& key, bool fallback);
    int integer(const std::string& key, int fallback, int low, int high);
    std::vector<std::string> texts(const std::string& key);  ///< absent: empty; a string: one
    const nlohmann::json* find(const std::string& key);      ///< null when absent
    const nlohmann::json& get(const std::string& key);

    /// Rejects keys that were never asked for, with the nearest that were.
    void finish() const;
    /// "<origin>: <path>.<key>", for messages about the value of a key.
    std::string place(const std::string& key) const;
    const std::string& origin() const noexcept { return origin_; }

private:
    const nlohmann::json& value_;
    std::string origin_, path_;
    std::vector<std::string> asked_;
};

}  // namespace moescope
