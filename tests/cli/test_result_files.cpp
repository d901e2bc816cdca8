// SPDX-License-Identifier: Apache-2.0
// Outputs of score and generate --input: replaced only when asked, finished once, resumed with the
// options they were begun with.
#include <algorithm>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "cli/result_file.h"
#include "engine/core/error.h"
#include "tests/cli/program.h"

using namespace moescope::test;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace {

/// A small input and the two commands that write results of it.
struct Inputs {
    Folder folder;

    Inputs() {
        std::ofstream(folder / "s") << "{\"id\":\"a\",\"text\":\"one two three\"}\n"
                                    << "{\"id\":\"b\",\"text\":\"one two\",\"continuations\":"
                                       "[\" three\",\" four\"],\"group\":\"g\"}\n";
        std::ofstream(folder / "g") << "{\"id\":\"a\",\"prompt\":\"one two\"}\n"
                                    << "{\"id\":\"b\",\"prompt\":\"three\"}\n";
    }
    Outcome operator()(const std::string& command, std::vector<std::string> more = {},
                       const std::string& model = "demo") const {
        std::vector<std::string> words =
            command == "score"
                ? std::vector<std::string>{"score", model, "--input", folder / "s"}
                : std::vector<std::string>{"generate", model, "--input", folder / "g"};
        words.insert(words.end(), {"--output", folder / (command + ".out")});
        if (command == "generate" && std::find(more.begin(), more.end(), "-n") == more.end())
            words.insert(words.end(), {"-n", "3"});
        words.insert(words.end(), more.begin(), more.end());
        return run(words);
    }
};

}  // namespace

TEST_CASE("a finished output is replaced only with --overwrite") {
    const Inputs inputs;
    for (const std::string command : {"score", "generate"}) {
        CAPTURE(command);
        REQUIRE(inputs(command).code == 0);
        const std::string out = inputs.folder / (command + ".out");
        const std::string first = contentOf(out);
        std::ofstream(out, std::ios::app) << "\n";
        const Outcome again = inputs(command);
        CHECK(again.code == 1);
        CHECK_THAT(again.err,
                   Contains("exists already\nhint: --overwrite replaces it; or choose another "
                            "--output"));
        CHECK_THAT(again.err, !Contains("loaded"));  // known before the model is read
        CHECK((contentOf(out) == first + "\n"));
        CHECK(inputs(command, {"--overwrite"}).code == 0);
        CHECK((contentOf(out) == first));
        CHECK(inputs(command, {"--overwrite", "--resume"}).code == 2);
    }
    REQUIRE(inputs("score", {"--overwrite", "--logits", inputs.folder / "l"}).code == 0);
    fs::remove(inputs.folder / "score.out");
    const Outcome logits = inputs("score", {"--logits", inputs.folder / "l"});
    CHECK(logits.code == 1);
    CHECK_THAT(logits.err, Contains("exists already") && Contains("another --logits"));
}

TEST_CASE("results of two processes do not mix in one output") {
    using moescope::Error;
    using moescope::cli::ResultFile;
    const Folder folder;
    const std::string path = folder / "out";
    const nlohmann::ordered_json header{{"-n", 1}};
    {
        ResultFile first(path, header, ResultFile::Mode::Fresh);
        first.add(0, {{"id", "a"}});
        for (const ResultFile::Mode mode : {ResultFile::Mode::Resume, ResultFile::Mode::Overwrite})
            CHECK_THROWS_WITH(ResultFile(path, header, mode),
                              path + ".part: another process is writing it");
        first.add(1, {{"id", "b"}});
        first.finish([](const json&) {});
    }
    CHECK((contentOf(path) == "{\"id\":\"a\"}\n{\"id\":\"b\"}\n"));
}

TEST_CASE("a finished output is left alone by --resume and said to be whole") {
    const Inputs inputs;
    for (const std::string command : {"score", "generate"}) {
        CAPTURE(command);
        const json made = json::parse(inputs(command, {"--json"}).out);
        const std::string out = inputs.folder / (command + ".out");
        const auto before = fs::last_write_time(out);
        const std::string first = contentOf(out);
        const Outcome again = inputs(command, {"--resume", "--json"});
        INFO(again.err);
        CHECK(again.code == 0);
        CHECK_THAT(again.err, Contains("all 2 results are there already"));
        CHECK((fs::last_write_time(out) == before));
        CHECK((contentOf(out) == first));
        CHECK_FALSE(fs::exists(out + ".part"));
        json totals = json::parse(again.out);
        CHECK(totals.at("items") == made.at("items"));
        if (command == "generate") {
            CHECK(totals.at("tokens") == made.at("tokens"));
        } else {
            CHECK(totals.at("mean") == made.at("mean"));
            CHECK(totals.at("groups") == made.at("groups"));
            CHECK(totals.at("evaluated_tokens") == 0);
        }
        std::ofstream(out, std::ios::app) << "\n";
        const Outcome changed = inputs(command, {"--resume"});
        CHECK(changed.code == 1);
        CHECK_THAT(changed.err, Contains("was changed after it was finished"));
        CHECK((contentOf(out) == first + "\n"));
    }
}

TEST_CASE("a finished output of another model or setting is not taken for this one's") {
    const Inputs inputs;
    for (const std::string command : {"score", "generate"}) {
        CAPTURE(command);
        REQUIRE(inputs(command).code == 0);
        const std::string out = inputs.folder / (command + ".out"), first = contentOf(out);
        const auto refused = [&](const std::string& model, std::vector<std::string> more,
                                 const std::string& why) {
            more.emplace_back("--resume");
            const Outcome outcome = inputs(command, more, model);
            INFO(outcome.err);
            CHECK(outcome.code == 1);
            CHECK(outcome.out.empty());
            CHECK_THAT(outcome.err, Contains(why));
            CHECK((contentOf(out) == first));
        };
        refused("demo-wide", {}, "is finished and of another model (");
        if (command == "score")
            refused("demo", {"--top", "2"}, "is finished and of another --top (0 there, 2 here)");
        else
            refused("demo", {"-n", "4"}, "is finished and of another -n (3 there, 4 here)");
        fs::remove(out + ".meta");
        refused("demo", {}, "it cannot be told which model and settings it is of");
        std::ofstream(out + ".meta") << "notes\n";
        refused("demo", {}, "out.meta: is no file of this command");
        CHECK(inputs(command, {"--overwrite"}).code == 1);
        CHECK(contentOf(out + ".meta") == "notes\n");
    }
}

TEST_CASE("an unfinished output does not replace a file that came beside it") {
    using moescope::cli::ResultFile;
    const Inputs inputs;
    const std::string out = inputs.folder / "score.out";
    const nlohmann::ordered_json header{{"version", 2}};
    { ResultFile(out, header, ResultFile::Mode::Fresh).add(0, {{"id", "a"}}); }
    std::ofstream(out) << "notes\n";
    const Outcome refused = inputs("score", {"--resume"});
    CHECK(refused.code == 1);
    CHECK_THAT(refused.err, Contains("which was not begun to replace it") && !Contains("loaded"));
    CHECK(contentOf(out) == "notes\n");
    CHECK(fs::exists(out + ".part"));
    // With --overwrite both were the user's to lose: a kill does not take that back.
    { ResultFile(out, header, ResultFile::Mode::Overwrite).add(0, {{"id", "a"}}); }
    CHECK_THAT(inputs("score", {"--resume"}).err, Contains("was begun with another"));
    ResultFile again(out, header, ResultFile::Mode::Resume);
    CHECK(again.count() == 1);
    again.finish([](const json&) {});
    CHECK(contentOf(out) == "{\"id\":\"a\"}\n");
    CHECK_FALSE(fs::exists(out + ".part"));
}

TEST_CASE("a file in shared memory is a file, the names of open ones are streams") {
    using moescope::cli::ResultFile;
    const nlohmann::ordered_json header{{"version", 2}};
    const Folder folder;
    CHECK_THAT(ResultFile("/dev/stdout", header, ResultFile::Mode::Fresh).kept(),
               Contains("no regular file"));
    CHECK_THAT(ResultFile("/dev/null", header, ResultFile::Mode::Fresh).kept(),
               Contains("no regular file"));
    std::FILE* open = std::fopen((folder / "open").c_str(), "w");
    REQUIRE(open != nullptr);
    for (const std::string fds : {"/dev/fd/", "/proc/self/fd/"})
        CHECK_THAT(ResultFile(fds + std::to_string(::fileno(open)), header, ResultFile::Mode::Fresh)
                       .kept(),
                   Contains("no regular file"));
    std::fclose(open);
    std::string shared = "/dev/shm/moescope-cli-XXXXXX";
    if (::mkdtemp(shared.data()) == nullptr) return;  // no such folder here
    { ResultFile(shared + "/out", header, ResultFile::Mode::Fresh).add(0, {{"id", "a"}}); }
    CHECK(fs::exists(shared + "/out.part"));
    CHECK(ResultFile(shared + "/out", header, ResultFile::Mode::Resume).count() == 1);
    fs::remove_all(shared);
}

TEST_CASE("an interruption before anything was complete gives no advice") {
    using moescope::cli::ResultFile;
    const Folder folder;
    ResultFile results(folder / "out", {{"version", 2}}, ResultFile::Mode::Fresh);
    CHECK(results.kept("start again") == "nothing is kept: no item was complete yet");
    results.add(0, {{"id", "a"}});
    CHECK_THAT(results.kept("start again"),
               Contains("1 item is kept in") && Contains("out.part; start again"));
}

TEST_CASE("a resumed output names the options that differ and both values") {
    const Folder folder;
    using moescope::cli::ResultFile;
    const nlohmann::ordered_json begun{{"version", 2}, {"-n", 16}, {"--temperature", 0.5}};
    { ResultFile(folder / "out", begun, ResultFile::Mode::Fresh).add(0, {{"id", "a"}}); }
    auto other = begun;
    other["-n"] = 32;
    CHECK_THROWS_WITH(ResultFile(folder / "out", other, ResultFile::Mode::Resume),
                      Contains("out.part: was begun with another -n (16 there, 32 here)"));
    other["--temperature"] = 0;
    CHECK_THROWS_WITH(ResultFile(folder / "out", other, ResultFile::Mode::Resume),
                      Contains("another -n (16 there, 32 here) and --temperature (0.5 there, 0 "
                               "here)"));
    CHECK(ResultFile(folder / "out", begun, ResultFile::Mode::Resume).count() == 1);
    CHECK_THROWS_WITH(ResultFile(folder / "out", begun, ResultFile::Mode::Fresh),
                      Contains("unfinished results are here"));
}

TEST_CASE("a generation begun with another number of tokens is not resumed") {
    const Folder folder;
    {
        std::ofstream file(folder / "in");
        for (int i = 0; i < 400; ++i) file << "{\"prompt\":\"number " << i << " is\"}\n";
    }
    const std::vector<std::string> words{"generate", "demo",         "--input",    folder / "in",
                                         "--output", folder / "out", "--progress", "json"};
    std::vector<std::string> first = words, second = words;
    first.insert(first.end(), {"-n", "16"});
    second.insert(second.end(), {"-n", "32", "--resume"});
    Child child(first);
    child.waitFor("\"done\":");
    child.kill(SIGINT);
    const Outcome stopped = child.wait();
    CHECK(stopped.code == 130);
    CHECK_THAT(stopped.err, Contains("items are kept in") && Contains("--resume continues"));
    const Outcome refused = run(second);
    CHECK(refused.code == 1);
    CHECK_THAT(refused.err, Contains("begun with another -n (16 there, 32 here)\n"));
}

TEST_CASE("an interrupted scoring with logits does not advise what is refused") {
    const Folder folder;
    {
        std::ofstream file(folder / "in");
        for (int i = 0; i < 1500; ++i)
            file << "{\"text\": \"Number " << i << " is one of the many numbers in this file.\"}\n";
    }
    std::vector<std::string> words{"score",    "demo",       "--input",    folder / "in",
                                   "--output", folder / "o", "--progress", "json",
                                   "--logits", folder / "l"};
    Child child(words);
    child.waitFor("\"done\":");
    child.kill(SIGINT);
    const Outcome outcome = child.wait();
    CHECK(outcome.code == 130);
    CHECK_THAT(outcome.err, Contains("--overwrite starts again") &&
                                Contains("without it --resume continues") &&
                                !Contains("the same command with --resume"));
    CHECK_FALSE(fs::exists(folder / "l.part"));
    words.resize(words.size() - 2);
    words.emplace_back("--resume");
    CHECK(run(words).code == 0);
    fs::remove(folder / "o");
    words.insert(words.end(), {"--logits", folder / "l"});
    const Outcome refused = run(words);
    CHECK(refused.code == 2);
    CHECK_THAT(refused.err, Contains("--logits cannot --resume"));
}

TEST_CASE("options that an output needs and others would ignore are refused by name") {
    const Folder folder;
    const auto refused = [&](const std::vector<std::string>& words, const std::string& why) {
        const Outcome outcome = run(words);
        INFO(outcome.err);
        CHECK(outcome.code == 2);
        CHECK_THAT(outcome.err, Contains(why));
    };
    for (const std::vector<std::string>& more : std::vector<std::vector<std::string>>{
             {"--output", folder / "o"}, {"--parallel", "2"}, {"--resume"}, {"--overwrite"}}) {
        std::vector<std::string> words{"generate", "demo", "--prompt", "hi"};
        words.insert(words.end(), more.begin(), more.end());
        refused(words, more.front() + " goes with --input");
    }
    std::ofstream(folder / "t") << "some words of a text\n";
    refused({"score", "demo", "--perplexity", folder / "t", "--top", "3"}, "--top goes with lines");
    refused({"score", "demo", "--input", folder / "t", "--output", folder / "o", "--window", "8"},
            "--window goes with --perplexity");
}

TEST_CASE("a result that another process has finished meanwhile is not replaced") {
    using moescope::cli::ResultFile;
    const Folder folder;
    // The options were read, and said "fresh", before it was there.
    std::ofstream(folder / "o") << "theirs\n";
    CHECK_THROWS_WITH(ResultFile(folder / "o", {{"model", "demo"}}, ResultFile::Mode::Fresh),
                      Contains("another process has finished it meanwhile"));
    std::string left;
    std::getline(std::ifstream(folder / "o") >> std::ws, left);
    CHECK(left == "theirs");
    CHECK_FALSE(std::filesystem::exists(folder / "o.part"));
}
