// SPDX-License-Identifier: Apache-2.0
// Typed access with errors that name the key.
#include "datasets/strict_object.h"

#include <algorithm>

#include "datasets/suggest.h"
#include "engine/core/error.h"

namespace moescope {

void refuseKey(const std::string& place, const std::string& key,
               const std::vector<std::string>& known) {
    std::string all;
    for (const std::string& name : known) all += (all.empty() ? "known keys: " : ", ") + name;
    const std::string guess = didYouMean(key, known);
    const bool lists = guess.starts_with("; known");
    throw Error(place + ": unknown key" + guess, lists ? std::string() : all);
}

StrictObject::StrictObject(const nlohmann::json& value, std::string origin, std::string path)
    : value_(value), origin_(std::move(origin)), path_(std::move(path)) {
    if (!value_.is_object())
        throw Error(origin_ + ": " + (path_.empty() ? "the file" : path_) +
                    " must be a JSON object");
}

std::string StrictObject::place(const std::string& key) const {
    return origin_ + ": " + (path_.empty() ? "" : path_ + ".") + key;
}

const nlohmann::json* StrictObject::find(const std::string& key) {
    asked_.push_back(key);
    const auto found = value_.find(key);
    return found == value_.end() ? nullptr : &*found;
}

const nlohmann::json& StrictObject::get(const std::string& key) {
    const nlohmann::json* found = find(key);
    if (found == nullptr) throw Error(place(key) + " is missing");
    return *found;
}

std::string StrictObject::text(const std::string& key, std::string fallback) {
    const nlohmann::json* found = find(key);
    if (found == nullptr) return fallback;
    if (!found->is_string()) throw Error(place(key) + " must be a string");
    return found->get<std::string>();
}

std::string StrictObject::text(const std::string& key) {
    std::string value = text(key, {});
    if (value.empty()) throw Error(place(key) + " is missing or empty");
    return value;
}

bool StrictObject::flag(const std::string& key, bool fallback) {
    const nlohmann::json* found = find(key);
    if (found == nullptr) return fallback;
    if (!found->is_boolean()) throw Error(place(key) + " must be true or false");
    return found->get<bool>();
}

int StrictObject::integer(const std::string& key, int fallback, int low, int high) {
    const nlohmann::json* found = find(key);
    if (found == nullptr) return fallback;
    // Unsigned values beyond int64 would wrap in get<int64_t>, hence the double in the comparison.
    if (!found->is_number_integer() || found->get<double>() < low || found->get<double>() > high)
        throw Error(place(key) + " must be an integer from " + std::to_string(low) + " to " +
                    std::to_string(high));
    return found->get<int>();
}

std::vector<std::string> StrictObject::texts(const std::string& key) {
    const nlohmann::json* found = find(key);
    if (found == nullptr) return {};
    if (found->is_string()) return {found->get<std::string>()};
    if (!found->is_array()) throw Error(place(key) + " must be a list of strings");
    std::vector<std::string> values;
    for (const nlohmann::json& one : *found) {
        if (!one.is_string()) throw Error(place(key) + " must be a list of strings");
        values.push_back(one.get<std::string>());
    }
    return values;
}

void StrictObject::finish() const {
    for (const auto& [key, value] : value_.items())
        if (std::find(asked_.begin(), asked_.end(), key) == asked_.end())
            refuseKey(place(key), key, asked_);
}

}  // namespace moescope
