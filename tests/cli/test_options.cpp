// SPDX-License-Identifier: Apache-2.0
// Options, lists, number formatting and tables, without a process.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <thread>

#include "cli/console.h"
#include "cli/lists.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/run_names.h"
#include "engine/core/error.h"

using namespace moescope;
using namespace moescope::cli;

namespace {

/// What is written to stderr while this object lives.
class StderrCapture {
public:
    StderrCapture() {
        REQUIRE(file_ != nullptr);
        std::fflush(stderr);
        ::dup2(::fileno(file_), STDERR_FILENO);
    }
    ~StderrCapture() {
        std::fflush(stderr);
        ::dup2(saved_, STDERR_FILENO);
        ::close(saved_);
        std::fclose(file_);
    }
    StderrCapture(const StderrCapture&) = delete;
    StderrCapture& operator=(const StderrCapture&) = delete;

    std::string text() const {
        std::fflush(stderr);
        std::string out(4096, '\0');
        const auto read = ::pread(::fileno(file_), out.data(), out.size(), 0);
        out.resize(static_cast<std::size_t>(read));
        return out;
    }

private:
    std::FILE* file_ = std::tmpfile();
    int saved_ = ::dup(STDERR_FILENO);
};

Options parsed(std::vector<std::string> arguments) {
    Options options("profile");
    options.add("tokens,n", po::value<int>()->default_value(7), "tokens");
    options.flag("json", "document");
    options.positional("model", 1, "a model");
    Invocation invocation;
    invocation.arguments = std::move(arguments);
    const bool run = options.parse(invocation);  // outside REQUIRE: it throws where wanted
    REQUIRE(run);
    return options;
}

}  // namespace

TEST_CASE("runs of one name are told apart by folders and then by number") {
    using Names = std::vector<std::string>;
    CHECK(runNames({"x/a.moescope", "y/b.moescope"}) == Names{"a", "b"});
    CHECK(runNames({"a/run.moescope", "b/run.moescope", "c.moescope"}) ==
          Names{"a/run", "b/run", "c"});
    CHECK(runNames({"1/x/run.moescope", "2/x/run.moescope", "2/y/run.moescope"}) ==
          Names{"1/x/run", "2/x/run", "y/run"});
    CHECK(runNames({"run.moescope", "b/run.moescope"}) == Names{"run", "b/run"});
    CHECK(runNames({"a/r.moescope", "a/r.moescope"}) == Names{"a/r (1)", "a/r (2)"});
    CHECK(runNames({"/r.moescope", "/r.moescope"}) == Names{"r (1)", "r (2)"});
}

TEST_CASE("lists ignore spaces around their parts") {
    CHECK(splitList("html, md ,,csv") == std::vector<std::string>{"html", "md", "csv"});
    CHECK(splitList(" , ").empty());
}

TEST_CASE("what is said and tabled shows control characters and does not send them") {
    TextTable table({"a\x1b", "b"});
    table.row({"x\u009b31m\ny", "2"});
    const std::string text = table.text();
    CHECK(text.find("x\u27e8U+009B\u27e931m y") != std::string::npos);
    CHECK(text.find("a\u241b") != std::string::npos);
    const StderrCapture capture;
    note("loaded \x1b]0;title\x07");
    printError("bad \x1b[2J", "hint \u009b");
    const std::string said = capture.text();
    CHECK(said.find("loaded \u241b]0;title\u2407\n") != std::string::npos);
    CHECK(said.find("\x1b[2J") == std::string::npos);
    CHECK(said.find("\u009b") == std::string::npos);
}

TEST_CASE("options know what was given and what is a default") {
    const Options plain = parsed({"m.gguf"});
    CHECK_FALSE(plain.has("tokens"));
    CHECK(plain.get<int>("tokens") == 7);
    CHECK_FALSE(plain.isSet("json"));
    const Options full = parsed({"--json", "-n", "3", "m.gguf"});
    CHECK(full.has("tokens"));
    CHECK(full.get<int>("tokens") == 3);
    CHECK(full.isSet("json"));
    CHECK(full.get<std::vector<std::string>>("model").front() == "m.gguf");
}

TEST_CASE("options are never guessed from a prefix") {
    CHECK_THROWS_AS(parsed({"--toke", "3", "m"}), UsageError);
    CHECK_THROWS_AS(parsed({"--js", "m"}), UsageError);
    CHECK_THROWS_AS(parsed({}), UsageError);
    CHECK_THROWS_AS(parsed({"a", "b"}), UsageError);
}

TEST_CASE("a short option takes its value after an equals sign too") {
    CHECK(parsed({"-n=3", "m"}).get<int>("tokens") == 3);
    CHECK(parsed({"-n=-3", "m"}).get<int>("tokens") == -3);
    CHECK(parsed({"-n", "-3", "m"}).get<int>("tokens") == -3);
    CHECK_THROWS_WITH(parsed({"-n=x", "m"}), Catch::Contains("'x'"));
    CHECK_THROWS_AS(parsed({"-n=", "m"}), UsageError);
}

TEST_CASE("an option with a letter is named in both spellings whichever was written") {
    CHECK_THROWS_WITH(parsed({"-n", "abc", "m"}),
                      Catch::Contains("'abc'") && Catch::Contains("'-n/--tokens'"));
    CHECK_THROWS_WITH(parsed({"--tokens", "abc", "m"}), Catch::Contains("'-n/--tokens'"));
}

TEST_CASE("an option that would be ignored is refused by its name") {
    const Options given = parsed({"--json", "m"});
    given.refuse({"tokens"}, "goes with something else");  // a default is not given
    CHECK_THROWS_WITH(given.refuse({"tokens", "json"}, "goes with --out"),
                      "--json goes with --out");
}

TEST_CASE("the rate of what is resumed leaves out what was done before") {
    const auto lastLine = [](std::uint64_t done) {
        const StderrCapture capture;
        Progress progress(ProgressStyle::Json, "eval", "items");
        progress.setResumed(1000);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        progress.update(done, 2000);
        return nlohmann::json::parse(capture.text());
    };
    const auto begun = lastLine(1000);  // all of it from before: nothing is known yet
    CHECK(begun.at("rate") == 0);
    CHECK(begun.at("eta_s").is_null());
    const auto next = lastLine(1001);
    CHECK(next.at("done") == 1001);
    CHECK(next.at("rate") > 0);
    CHECK(next.at("rate") <= 1 / 0.020);  // one item in what was slept at least
    CHECK(next.at("eta_s") >= 999 * 0.020);
}

TEST_CASE("a short job that nobody watches leaves one line of progress") {
    const StderrCapture capture;
    Progress progress(ProgressStyle::Auto, "profile", "tokens");
    for (std::uint64_t done = 1; done <= 20; ++done) progress.update(done, 20);
    const std::string text = capture.text();
    CHECK_THAT(text, Catch::StartsWith("profile 20/20 tokens"));
    CHECK(std::count(text.begin(), text.end(), '\n') == 1);
}

TEST_CASE("lists of integers are strict") {
    CHECK(parseIntList("1,20,300", "-p") == std::vector<int>{1, 20, 300});
    for (const char* wrong : {"", "0", "-1", "1,", ",1", "1,,2", "1 2", "x", "99999999999"}) {
        CAPTURE(wrong);
        CHECK_THROWS_AS(parseIntList(wrong, "-p"), UsageError);
    }
    CHECK_THROWS_WITH(parseIntList("1,9", "-b", 8),
                      "-b takes whole numbers from 1 to 8 separated by commas, not '1,9'");
    CHECK(parseIntList("0,256", "-d", 512, 0) == std::vector<int>{0, 256});
    CHECK_THROWS_WITH(parseIntList("-1", "-d", 8, 0), Catch::Contains("from 0 to 8"));
    CHECK(splitList("a,,b,") == std::vector<std::string>{"a", "b"});
}

TEST_CASE("tables align numbers to the right and count characters rather than bytes") {
    TextTable table({"name", "value"});
    table.row({"größe", "7"});
    table.row({"x", "1234"});
    CHECK(table.text() == "name   value\ngröße      7\nx       1234\n");
}
