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

std::vector<fs::path> write(const std::vector<ReportRun>& runs,
                            const std::vector<std::string>& formats, const fs::path& out) {
    return writeReport(runs, formats, out);
}

/// A run that was read from `path`; the file need not be one.
ReportRun readFrom(const fs::path& path) {
    ReportRun run = testing::smallRun();
    run.source = path.string();
    writeFile(path, "a run");
    return run;
}

}  // namespace

TEST_CASE("a run file of gpt-oss-20b shape becomes every format") {
    const Folder folder;
    const fs::path run = folder.path / "run.moescope";
    testing::writeRealisticRun(run);
    const std::vector<ReportRun> runs = {loadReportRun(run)};
    const auto html = write(runs, {"html"}, folder.path / "page.html");
    REQUIRE(html == std::vector<fs::path>{folder.path / "page.html"});
    const std::string page = readFile(html[0]);
    CHECK(page.find("accumulated over 300 tokens") != std::string::npos);
    CHECK(page.find("the first 240 of 300 tokens") != std::string::npos);
    CHECK(page.find("layer 23, expert 31: ") != std::string::npos);

    const auto csv = write(runs, {"csv"}, folder.path / "tables");
    CHECK(csv.size() == 18);
    for (const fs::path& path : csv) CHECK(fs::file_size(path) > 0);

    const nlohmann::json document =
        parseJson(readFile(write(runs, {"json"}, folder.path / "out")[0]), "report");
    CHECK(document["runs"][0]["sha256"] == sha256Hex(readFile(run)));
    std::int64_t assignments = 0;
    for (const auto& layer : document["runs"][0]["routing"]["layers"]) {
        for (const auto& count : layer["counts"]) assignments += count.get<std::int64_t>();
    }
    CHECK(assignments == 300 * 4 * 24);  // tokens x top-k x layers
    // A copy for the eye, in a browser.
    if (const char* keep = std::getenv("MOESCOPE_KEEP_REPORT")) {
        write(runs, {"html"}, keep);
        write({runs[0], runs[0]}, {"html"}, fs::path(keep).parent_path() / "two.html");
    }
}

TEST_CASE("a report never replaces a run that it is of") {
    const Folder folder;
    fs::create_directories(folder.path / "t");
    fs::create_directories(folder.path / "link");
    const std::vector<ReportRun> file = {testing::smallRun(), readFrom(folder.path / "a.json")};
    CHECK_THROWS_AS(write(file, {"json"}, folder.path / "a.json"), UsageError);
    CHECK_THROWS_AS(write(file, {"json"}, folder.path / "t/../a.json"), UsageError);
    // The second of two formats, in a folder and under a link: the first is not written either.
    const std::vector<ReportRun> within = {readFrom(folder.path / "t/report.md")};
    CHECK_THROWS_AS(write(within, {"html", "md"}, folder.path / "t"), UsageError);
    CHECK_FALSE(fs::exists(folder.path / "t/report.html"));
    fs::create_hard_link(folder.path / "a.json", folder.path / "link/report.json");
    CHECK_THROWS_AS(write(file, {"json"}, folder.path / "link"), UsageError);
    CHECK(readFile(folder.path / "a.json") == "a run");
    CHECK(readFile(folder.path / "t/report.md") == "a run");
    CHECK(write(file, {"json"}, folder.path / "b.json").size() == 1);
}

TEST_CASE("several files do not go where one is named") {
    const Folder folder;
    const std::vector<ReportRun> runs = {testing::smallRun()};
    const fs::path out = folder.path / "x.html";
    CHECK_THROWS_WITH(write(runs, {"html", "json"}, out),
                      Catch::EndsWith("x.html: names one file, but 2 files are due"));
    CHECK_THROWS_AS(write(runs, {"json", "html"}, out), UsageError);
    CHECK_THROWS_AS(write(runs, {"csv"}, folder.path / "x.csv"), UsageError);
    CHECK_FALSE(fs::exists(out));
    fs::create_directories(out);  // whoever has such a folder means it
    CHECK(write(runs, {"html", "json"}, out).size() == 2);
}

TEST_CASE("a file of another format is not made a folder of that name") {
    const Folder folder;
    const std::vector<ReportRun> runs = {testing::smallRun()};
    CHECK_THROWS_WITH(write(runs, {"html"}, folder.path / "x.json"),
                      Catch::EndsWith("x.json: its ending is not that of the format html"));
    for (const char* name : {"x.htm", "x.pdf", "x.moescope"})
        CHECK_THROWS_AS(write(runs, {"html"}, folder.path / name), UsageError);
    CHECK(fs::is_empty(folder.path));
    CHECK(write(runs, {"html"}, folder.path / "v1.2").size() == 1);
    fs::create_directories(folder.path / "x.json");
    CHECK(write(runs, {"html"}, folder.path / "x.json").size() == 1);
}

TEST_CASE("a report that is stopped, or of a format that is none, leaves nothing behind") {
    const Folder folder;
    const std::vector<ReportRun> runs = {testing::smallRun()};
    const std::vector<std::string> html = {"html"};
    const StopFlag stop = true;
    CHECK_THROWS_AS(writeReport(runs, html, folder.path / "out", &stop), Interrupted);
    CHECK_THROWS_AS(write(runs, {"html", "pdf"}, folder.path / "out"), UsageError);
    CHECK_THROWS_AS(loadReportRun(folder.path / "absent.moescope"), Error);
    CHECK_FALSE(fs::exists(folder.path / "out"));
}
