// SPDX-License-Identifier: Apache-2.0
// A run file of one evaluated suite, with each token's expert, for tests of groups of items.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "profiler/runfile/run_reader.h"
#include "profiler/runfile/run_writer.h"

namespace moescope::test {

inline constexpr int kExperts = 4;  ///< of its only layer, which takes one a token

/// A run file of one suite, filled item by item.
class Suite {
public:
    explicit Suite(const std::filesystem::path& path)
        : path_(path), writer_(path, RunWriter::Mode::Create) {
        writer_.setMeta("kind", "eval");
        writer_.setMeta("routing", nlohmann::json{{"experts", kExperts}, {"top_k", 1}});
        SuiteRow suite;
        suite.id = 1;
        suite.name = "loans";
        suite.settings = std::string("{}");
        writer_.add(suite);
    }

    /// `words` are the prompt's tokens, each of which goes to the expert beside it.
    void item(const std::string& id, const std::string& groups, const std::string& cluster,
              const std::vector<std::pair<int, int>>& words, double score = 1, int repeat = 0,
              bool byToken = true) {
        const std::int64_t sequence = next_++;
        std::vector<AnyRow> rows;
        RoutingTokensRow routed{sequence, 0, 0, std::int32_t(words.size()), 1, {}, {}};
        std::vector<std::int64_t> counts(kExperts);
        for (std::size_t i = 0; i < words.size(); ++i) {
            TokenRow token;
            token.sequence = sequence;
            token.position = std::int64_t(i);
            token.token = words[i].first;
            token.text = std::to_string(words[i].first);
            token.prompt = true;
            if (byToken) rows.emplace_back(token);
            routed.experts.push_back(std::int16_t(words[i].second));
            ++counts[std::size_t(words[i].second)];
        }
        if (byToken) rows.emplace_back(routed);
        for (int e = 0; e < kExperts; ++e)
            if (counts[std::size_t(e)] > 0)
                rows.emplace_back(
                    RoutingCountRow{sequence, "prefill", 0, e, counts[std::size_t(e)]});
        ItemRow row;
        row.suite = 1;
        row.id = id;
        row.ordinal = sequence;
        row.groups = groups;
        row.detail = nlohmann::json{{"cluster", cluster}}.dump();
        row.score = score;
        row.sequence = sequence;
        row.repeat = repeat;
        rows.emplace_back(row);
        SequenceRow of;
        of.id = sequence;
        of.group = "loans";
        rows.emplace_back(of);
        writer_.add(std::move(rows));
    }

    RunReader read() {
        writer_.finish(RunStatus::Done);
        return RunReader(path_);
    }

private:
    std::filesystem::path path_;
    RunWriter writer_;
    std::int64_t next_ = 0;
};

}  // namespace moescope::test
