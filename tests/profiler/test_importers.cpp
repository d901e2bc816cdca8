// SPDX-License-Identifier: Apache-2.0
// What holds for imports of every kind: which files are written, replaced and left alone, and that
// no run is made that no command can read.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <fstream>
#include <set>
#include <thread>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "profiler/analysis/run_summary.h"
#include "profiler/import/importers.h"
#include "profiler/import/routed_facts.h"
#include "tests/profiler/temp_dir.h"

using namespace moescope;
using Catch::Matchers::Contains;
using nlohmann::json;
using test::TempDir;
using test::thrownBy;

namespace {

constexpr const char* kLine = R"({"routed_experts": [[[0, 5]], [[1, 2]]]})";

std::set<std::string> namesIn(const TempDir& dir) {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(dir.path()))
        names.insert(entry.path().filename().string());
    return names;
}

ImportRequest requestOf(const TempDir& dir, const std::string& content, bool overwrite = true) {
    writeFile(dir / "f.jsonl", content);
    return {"routed-experts", {dir / "f.jsonl"}, dir / "r.moescope", {}, overwrite, nullptr, {}};
}

/// (1 token, `layers`, top-2), the second id of each choice `greatest`.
json lineOf(int layers, int greatest) {
    json token = json::array();
    for (int layer = 0; layer < layers; ++layer) token.push_back({0, greatest});
    return {{"routed_experts", json::array({token})}};
}

}  // namespace

TEST_CASE("an import touches no file but its own, whether it ends well or not") {
    const TempDir dir;
    const std::array names{"r.moescope.importing", "r.moescope.importing-1",
                           "r.moescope.importing-2-wal"};
    for (const char* name : names) writeFile(dir / name, "a user's");
    importFiles(requestOf(dir, kLine));
    const std::string before = readFile(dir / "r.moescope");
    const ImportRequest bad = requestOf(dir, "{");
    CHECK_THROWS_AS(importFiles(bad), Error);
    CHECK(readFile(dir / "r.moescope") == before);
    importFiles(requestOf(dir, kLine));
    std::set<std::string> left(names.begin(), names.end());
    left.insert({"f.jsonl", "r.moescope"});
    CHECK(namesIn(dir) == left);
    for (const char* name : names) CHECK(readFile(dir / name) == "a user's");
    CHECK_THAT(thrownBy<Error>([&] { importFiles(requestOf(dir, kLine, false)); }),
               Contains("r.moescope: exists already"));
}

TEST_CASE("a run has its name only once it is whole") {
    const TempDir dir;
    // The pipe opens for writing once the import reads, and so has begun the run.
    REQUIRE(::mkfifo((dir / "f.json").c_str(), 0600) == 0);
    std::set<std::string> during;
    std::thread watcher([&] {
        std::ofstream pipe(dir / "f.json");
        during = namesIn(dir);
        pipe << "{";
    });
    const ImportRequest request{
        "fingerprint", {dir / "f.json"}, dir / "r.moescope", {}, false, nullptr, {}};
    CHECK_THROWS_AS(importFiles(request), Error);
    // A watcher that still waits for a reader gets one.
    const int reader = ::open((dir / "f.json").c_str(), O_RDONLY | O_NONBLOCK);
    watcher.join();
    ::close(reader);
    CHECK(during.count("r.moescope") == 0);
    CHECK(during.count("r.moescope.importing-1") == 1);
    CHECK(namesIn(dir) == std::set<std::string>{"f.json"});
}

TEST_CASE("of a link the file behind it is overwritten") {
    const TempDir dir;
    importFiles(requestOf(dir, kLine));
    std::filesystem::create_symlink(dir / "r.moescope", dir / "link.moescope");
    ImportRequest request = requestOf(dir, R"({"routed_experts": [[[3, 4]]]})");
    request.out = dir / "link.moescope";
    importFiles(request);
    CHECK(std::filesystem::is_symlink(dir / "link.moescope"));
    CHECK(RunReader(dir / "r.moescope").sequences()[0].promptTokens == 1);
}

TEST_CASE("a file that is given twice is not counted twice") {
    const TempDir dir;
    ImportRequest request = requestOf(dir, kLine);
    request.files.push_back(dir.path() / "." / "f.jsonl");
    CHECK_THAT(thrownBy<UsageError>([&] { importFiles(request); }),
               Contains("f.jsonl: is given twice"));
}

TEST_CASE("more experts than the analyses take are refused before a run is replaced") {
    json stated = lineOf(1, 3);
    const std::pair<json, const char*> cases[] = {
        {40'000, "\"experts\" is 40000, no count from 1 to 32767"},
        {0, "\"experts\" is 0, no count from 1 to 32767"},
        {-8, "\"experts\" is -8, no count from 1 to 32767"},
    };
    const TempDir dir;
    importFiles(requestOf(dir, kLine));
    const std::string before = readFile(dir / "r.moescope");
    for (const auto& [experts, cause] : cases) {
        stated["experts"] = experts;
        CHECK_THAT(thrownBy<Error>([&] { importFiles(requestOf(dir, stated.dump())); }),
                   Contains(cause));
    }
    // Each number is one of a model's, the product is not.
    json many = lineOf(40, 3);
    many["experts"] = 32'767;
    CHECK_THAT(thrownBy<Error>([&] { importFiles(requestOf(dir, many.dump())); }),
               Contains("40 layers x 32767 experts are more than analyses take"));
    ImportRequest option = requestOf(dir, lineOf(40, 3).dump());
    option.facts.experts = 32'767;
    CHECK_THAT(thrownBy<Error>([&] { importFiles(option); }), Contains("more than analyses take"));
    CHECK(readFile(dir / "r.moescope") == before);
    // What is taken can be read.
    many = lineOf(32, 3);
    many["experts"] = 32'767;
    importFiles(requestOf(dir, many.dump()));
    CHECK(summarize(RunReader(dir / "r.moescope")).experts == 32'767);
}

TEST_CASE("options that the files contradict are refused, and who said it is named") {
    const TempDir dir;
    writeFile(dir / "config.json", R"({"num_experts": 4, "num_experts_per_tok": 2})");
    const auto refused = [&](const ModelFacts& facts, bool config) {
        ImportRequest request = requestOf(dir, kLine);
        request.facts = facts;
        if (config) request.config = dir / "config.json";
        return thrownBy<Error>([&] { importFiles(request); });
    };
    CHECK_THAT(refused({0, 99, 0, {}}, false), Contains("of 1 layer, not of 99 as --layers says"));
    CHECK_THAT(refused({0, 0, 3, {}}, false), Contains("of top-2, not of top-3 as --top-k says"));
    CHECK_THAT(refused({4, 0, 0, {}}, false), Contains("expert 5 is not one of 4 (by --experts)"));
    const std::string blamed = refused({}, true);
    CHECK_THAT(blamed, Contains("expert 5 is not one of 4 (in ") && Contains("config.json"));
    CHECK_THAT(blamed, !Contains("--experts"));
    CHECK(refused({6, 0, 0, {}}, true).empty());  // the option comes before the config.json
}

TEST_CASE("files of one name in several folders are groups of their own") {
    using Groups = std::vector<std::string>;
    const std::pair<Paths, Groups> cases[] = {
        {{"a/x.pt"}, {""}},
        {{"a/x.pt", "a/y.pt"}, {"x", "y"}},
        {{"x.pt", "x.bin"}, {"x.pt", "x.bin"}},
        {{"a/x.pt", "b/x.pt", "b/y.pt"}, {"a/x.pt", "b/x.pt", "b/y.pt"}},
        {{"/r/a/s/x.pt", "/r/b/s/x.pt"}, {"a/s/x.pt", "b/s/x.pt"}},
        {{"x.pt", "a/x.pt"}, {"x.pt", "a/x.pt"}},
    };
    for (const auto& [files, groups] : cases) CHECK(groupsOf(files) == groups);
}
