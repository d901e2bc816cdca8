// SPDX-License-Identifier: Apache-2.0
// What the text tests share: a small vocabulary made in memory and the files that may be absent.
#pragma once

#include <unistd.h>

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/text/bpe_tokenizer.h"
#include "engine/text/byte_alphabet.h"
#include "engine/text/chat.h"

namespace moescope::text {

using Ids = std::vector<TokenId>;

/// Folder of the project's shared reference data; tests that need it are skipped where it is
/// absent.
inline std::filesystem::path sharedFile(const std::string& name) {
    return std::filesystem::path(MOESCOPE_SOURCE_DIR) / ".." / "shared" / name;
}

inline bool present(const std::filesystem::path& path) {
    if (std::filesystem::exists(path)) return true;
    WARN("skipped: " << path << " is not here");
    return false;
}

/// An unpacked .xz file, removed at the end; an empty path when xz is not installed.
struct Unpacked {
    explicit Unpacked(const std::filesystem::path& archive) {
        std::string pattern = (std::filesystem::temp_directory_path() / "moescope-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        folder = pattern;
        const auto file = folder / "tokenizer.json";
        const auto command = "xz -dc '" + archive.string() + "' > '" + file.string() + "'";
        if (std::system(command.c_str()) == 0) path = file;
    }
    ~Unpacked() { std::filesystem::remove_all(folder); }
    Unpacked(const Unpacked&) = delete;
    Unpacked& operator=(const Unpacked&) = delete;

    std::filesystem::path folder, path;
};

struct Vector {
    std::string text;
    Ids ids;
    bool special = false;
};

/// Lines {"text", "ids", "special"}; returns how many lines were not JSON in `broken`.
inline std::vector<Vector> readVectors(const std::filesystem::path& path, int& broken) {
    std::vector<Vector> vectors;
    std::ifstream in(path);
    broken = 0;
    for (std::string line; std::getline(in, line);) {
        const auto row = nlohmann::json::parse(line, nullptr, false);
        if (row.is_discarded()) {
            ++broken;
            continue;
        }
        vectors.push_back(
            {row["text"].get<std::string>(), row["ids"].get<Ids>(), row.value("special", false)});
    }
    return vectors;
}

/// 256 byte tokens (id = byte), then merges "a"+"b" given as raw bytes, then special tokens.
inline TokenizerData smallData(const std::string& preTokenizer,
                               const std::vector<std::pair<std::string, std::string>>& merges,
                               const std::vector<std::string>& specials) {
    TokenizerData data;
    data.origin = "test";
    data.preTokenizer = findPreTokenizer(preTokenizer);
    auto& v = data.vocabulary;
    const auto add = [&](std::string bytes, TokenKind kind) {
        v.tokens.push_back(std::move(bytes));
        v.kinds.push_back(kind);
        return static_cast<TokenId>(v.tokens.size() - 1);
    };
    const auto idOf = [&](const std::string& bytes) {
        for (std::size_t i = 0; i < v.tokens.size(); ++i)
            if (v.tokens[i] == bytes) return static_cast<TokenId>(i);
        throw std::logic_error("no token " + bytes);
    };
    for (int b = 0; b < 256; ++b) add(std::string(1, static_cast<char>(b)), TokenKind::Normal);
    for (const auto& [left, right] : merges) {
        const Merge m{idOf(left), idOf(right), add(left + right, TokenKind::Normal)};
        v.merges.push_back(m);
    }
    for (const std::string& name : specials) add(name, TokenKind::Control);
    return data;
}

}  // namespace moescope::text
