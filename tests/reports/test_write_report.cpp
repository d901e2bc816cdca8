// SPDX-License-Identifier: Apache-2.0
// From a run file on disk to report files on disk.
#include <unistd.h>
#include <catch2/catch.hpp>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/core/sha256.h"
#include "tests/reports/sample_run.h"

using namespace moescope;
namespace fs = std::filesystem;

namespace {

struct Folder {
    fs::path path = fs::path(MOESCOPE_BINARY_DIR) / ("report-test-" + std::to_string(getpid()));
    Folder() { fs::create_directories(path); }
    ~Folder() { fs::remove_all(path); }
};

}  // namespace

TEST_CASE("a run file of gpt-oss-20b shape becomes every format") {
    const Folder folder;
    const fs::path run = folder.path / "run.moescope";
    testing::writeRealisticRun(run);
    const std::vector<fs::path> runs = {run};

    const auto html = writeReport(runs, "html", folder.path / "page.html");
    REQUIRE(html == std::vector<fs::path>{folder.path / "page.html"});
    const std::string page = readFile(html[0]);
    CHECK(page.find("accumulated over 300 tokens") != std::string::npos);
    CHECK(page.find("the first 240 of 300 tokens") != std::string::npos);
    CHECK(page.find("layer 23, expert 31: ") != std::string::npos);

    const auto csv = writeReport(runs, "csv", folder.path / "tables");
    CHECK(csv.size() == 12);
    for (const fs::path& path : csv) CHECK(fs::file_size(path) > 0);

    const nlohmann::json document =
        parseJson(readFile(writeReport(runs, "json", folder.path / "out")[0]), "report");
    CHECK(document["runs"][0]["sha256"] == sha256Hex(readFile(run)));
    std::int64_t assignments = 0;
    for (const auto& layer : document["runs"][0]["routing"]["layers"]) {
        for (const auto& count : layer["counts"]) assignments += count.get<std::int64_t>();
    }
    CHECK(assignments == 300 * 4 * 24);  // tokens x top-k x layers
    // A copy for the eye, in a browser.
    if (const char* keep = std::getenv("MOESCOPE_KEEP_REPORT")) {
        writeReport(runs, "html", keep);
        const std::vector<fs::path> twice = {run, run};
        writeReport(twice, "html", fs::path(keep).parent_path() / "two.html");
    }
}

TEST_CASE("an unreadable run leaves nothing behind") {
    const Folder folder;
    const fs::path run = folder.path / "run.moescope";
    testing::writeRealisticRun(run, 40);
    const std::vector<fs::path> runs = {run, folder.path / "absent.moescope"};
    CHECK_THROWS_AS(writeReport(runs, "html", folder.path / "out"), Error);
    CHECK_FALSE(fs::exists(folder.path / "out"));
}
