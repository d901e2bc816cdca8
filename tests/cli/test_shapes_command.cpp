// SPDX-License-Identifier: Apache-2.0
// moescope shapes: families at one number of parameters, and models beside each other.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

using namespace moescope::test;
using Catch::Matchers::Contains;

namespace {

nlohmann::json shapesOf(std::vector<std::string> words) {
    words.insert(words.begin(), "shapes");
    words.emplace_back("--json");
    const Outcome outcome = run(words);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    return nlohmann::json::parse(outcome.out);
}

std::string textsIn(const Folder& folder, int count) {
    std::string path = folder / "texts.jsonl";
    std::ofstream file(path);
    for (int i = 0; i < count; ++i)
        file << nlohmann::json{{"id", i},
                               {"group", i % 2 == 0 ? "sea" : "land"},
                               {"text", "The captain said that day " + std::to_string(i) +
                                            " was a good one for the old ship."}}
                    .dump()
             << '\n';
    return path;
}

}  // namespace

TEST_CASE("a family of shapes keeps the parameters and is written for synth") {
    const Folder folder;
    const auto json =
        shapesOf({"demo", "--layers", "4,16", "--experts", "48", "--write", folder / "family"});
    CHECK(json.at("schema") == "moescope.shapes");
    const auto& shapes = json.at("shapes");
    REQUIRE(shapes.size() == 3);
    CHECK(shapes.at(0).at("name") == "demo");
    CHECK(shapes.at(0).at("layers") == 8);
    CHECK(shapes.at(0).at("random_weights") == true);
    CHECK(shapes.at(1).at("name") == "demo-l4-e48");
    CHECK(shapes.at(1).at("top_k") == 8);
    CHECK(shapes.at(1).at("dependent_operations") == 3 + 5 * 4);
    CHECK(shapes.at(1).at("decode").at(0).at("distinct_experts") == Approx(8));
    REQUIRE(json.at("files").size() == 3);
    // What was written is the shape that was shown.
    const std::string file = json.at("files").at(1);
    const auto again = shapesOf({"synth:" + file});
    CHECK(again.at("shapes").at(0).at("parameters") == shapes.at(1).at("parameters"));
    CHECK(again.at("shapes").at(0).at("weight_bytes") == shapes.at(1).at("weight_bytes"));
    CHECK(run({"inspect", "synth:" + file, "--json"}).code == 0);

    const std::vector<std::string> same{"shapes",    "demo", "--layers", "4,16",
                                        "--experts", "48",   "--write",  folder / "family"};
    const Outcome refused = run(same);
    CHECK(refused.code == 1);
    CHECK_THAT(refused.err, Contains("exists already") && Contains("--overwrite"));
    auto replaced = same;
    replaced.emplace_back("--overwrite");
    CHECK(run(replaced).code == 0);
}

TEST_CASE("shapes says which are no equals and which cannot be") {
    const Outcome table = run({"shapes", "gpt-oss-20b", "--experts", "128,20"});
    CHECK(table.code == 0);
    CHECK_THAT(table.out, Contains("gpt-oss-20b-e128 *") && Contains("20.9 B") &&
                              Contains("no shape gpt-oss-20b-e20: 20 experts of 32"));
    const Outcome none = run({"shapes", "gpt-oss-20b", "--experts", "20"});
    CHECK(none.code == 1);
    CHECK_THAT(none.err, Contains("a token would choose 80/32 of them, no whole number"));
    CHECK(none.out.empty());
}

TEST_CASE("a configuration's name leads no file out of its folder") {
    const Folder folder;
    std::ofstream(folder / "x.json") << R"({"base":"demo-synthetic","name":"../../up"})";
    const auto json = shapesOf({folder / "x.json", "--layers", "4", "--write", folder / "here"});
    CHECK(json.at("files").at(0) == folder / "here/_._.._up.json");
    CHECK(fs::exists(folder / "here/_._.._up-l4.json"));
}

TEST_CASE("shapes refuses what it would ignore or cannot do") {
    const Folder folder;
    const auto refused = [](std::vector<std::string> words, int code, const std::string& why) {
        words.insert(words.begin(), "shapes");
        const Outcome outcome = run(words);
        INFO(outcome.err);
        CHECK(outcome.code == code);
        CHECK_THAT(outcome.err, Contains(why));
        CHECK(errorLines(outcome.err) == 1);
        CHECK(outcome.out.empty());
    };
    refused({}, 2, "needs");
    refused({"gpt-oss-20c"}, 1, "no such file or folder");
    refused({"demo", "--layers", "0"}, 2, "--layers takes whole numbers from 1 to 1024");
    refused({"demo", "--layers", "4,nan"}, 2, "--layers takes");
    refused({"demo", "--experts", "9999999"}, 2, "--experts takes");
    refused({"demo", "demo-wide", "--layers", "4"}, 2, "make a family of one model");
    refused({"demo", "--keep", "total"}, 2, "--keep goes with --layers");
    refused({"demo", "--layers", "4", "--keep", "half"}, 2, "--keep takes one of");
    refused({"demo", "--hardware", "tpu"}, 2, "no GPU 'tpu' is known");
    refused({"demo", "--context", "1025"}, 2, "--context takes 1 to 1024");
    refused({"demo", "--chance-tokens", "0"}, 2, "--chance-tokens takes 1 to");
    refused({"demo", "-p", "64"}, 2, "goes with --measure");
    refused({"demo", "--backend", "cpu"}, 2, "goes with --measure or --text");
    refused({"demo", "--measure", "-p", "2000"}, 2, "2000 tokens are more than the 1024");
    refused({"demo", "--measure", "--rounds", "0"}, 2, "--rounds takes 1 to 1000");
    refused({"demo", "--write", folder / "x"}, 2, "--write writes a family");
    refused({"demo", "--overwrite"}, 2, "has no meaning without --write");
    std::string many = "1";
    for (int i = 2; i < 70; ++i) many += "," + std::to_string(i);
    refused({"demo", "--layers", many}, 2, "more than 64 shapes");
}

TEST_CASE("shapes that cannot be in memory together are refused before one is drawn") {
    const Folder folder;
    std::ofstream(folder / "huge.json") << R"({"base":"gpt-oss-120b","n_expert":4096,)"
                                        << R"("d_model":131072,"ffn":131072,"n_layer":1024})";
    const Outcome outcome = run({"shapes", folder / "huge.json", "demo", "--measure"});
    CHECK(outcome.code == 1);
    CHECK_THAT(outcome.err, Contains("the weights of 2 shapes at once need "));
    CHECK(errorLines(outcome.err) == 1);
    CHECK_THAT(outcome.err, !Contains("loaded"));
}

TEST_CASE("shapes measures models in rounds and each ratio is to the first") {
    const auto json = shapesOf({"demo", "demo-wide", "--measure", "-r", "6", "-p", "8", "-n", "4"});
    const auto& speeds = json.at("speeds");
    CHECK(speeds.at("rounds") == 6);
    CHECK(speeds.at("interrupted") == false);
    REQUIRE(speeds.at("shapes").size() == 2);
    const auto& first = speeds.at("shapes").at(0);
    CHECK(first.at("decode").at("ratio").at("value") == 1.0);
    CHECK(first.at("decode").at("ratio").at("low") == 1.0);
    const auto& second = speeds.at("shapes").at(1);
    std::vector<double> ratios;
    for (std::size_t i = 0; i < 6; ++i)
        ratios.push_back(first.at("decode").at("seconds").at(i).get<double>() /
                         second.at("decode").at("seconds").at(i).get<double>());
    std::sort(ratios.begin(), ratios.end());
    const auto& ratio = second.at("decode").at("ratio");
    CHECK(ratio.at("value") == Approx((ratios[2] + ratios[3]) / 2));
    CHECK(ratio.at("low") == Approx(ratios.front()));
    CHECK(ratio.at("high") == Approx(ratios.back()));
    CHECK(second.at("planned_memory_bytes") > 8e6);
    CHECK_FALSE(json.contains("quality"));
}

TEST_CASE("shapes scores trained models as score does, and pairs them by text") {
    const Folder folder;
    const std::string texts = textsIn(folder, 12);
    const auto json = shapesOf({"demo", "demo-wide", "--text", texts});
    CHECK_FALSE(json.contains("speeds"));
    const auto& quality = json.at("quality");
    CHECK(quality.at("texts") == 12);
    std::vector<double> bits;
    for (std::size_t i = 0; i < 2; ++i) {
        const std::string name = i == 0 ? "demo" : "demo-wide";
        const Outcome score =
            run({"score", name, "--input", texts, "--output", folder / name, "--json"});
        REQUIRE(score.code == 0);
        bits.push_back(nlohmann::json::parse(score.out).at("bits_per_byte"));
        const auto& shape = quality.at("shapes").at(i);
        CHECK(shape.at("bits_per_byte").at("value") == Approx(bits.back()));
        CHECK(shape.at("bits_per_byte").at("low") < shape.at("bits_per_byte").at("high"));
        REQUIRE(shape.at("balance").size() == 5);
        CHECK(shape.at("balance").at(4).at("layers") == (i == 0 ? 8 : 4));
        CHECK(shape.at("balance").at(0).at("layers") == (i == 0 ? 2 : 1));
        CHECK(shape.at("balance").at(4).at("excess") > 1.0);
        CHECK(shape.at("balance").at(4).at("effective_share") < 1.0);
    }
    CHECK(quality.at("shapes").at(0).at("difference").at("value") == 0.0);
    CHECK(quality.at("shapes").at(1).at("difference").at("value") == Approx(bits[1] - bits[0]));

    // The balance is that of the same texts' routing: all their tokens but each last one.
    const std::string out = folder / "r.moescope";
    REQUIRE(run({"profile", "demo", "-w", texts, "-n", "0", "--out", out}).code == 0);
    const auto routing = nlohmann::json::parse(run({"routing", out, "--json"}).out);
    double excess = 0;
    for (const auto& layer : routing.at("layers")) excess += layer.at("excess").get<double>() / 8;
    CHECK(quality.at("shapes").at(0).at("balance").at(4).at("excess") ==
          Approx(excess).epsilon(0.1));
}

TEST_CASE("shapes shows no quality of random weights and says why") {
    const Folder folder;
    const std::string texts = textsIn(folder, 10);
    const Outcome mixed = run({"shapes", "demo", "synth:demo-synthetic", "--text", texts});
    CHECK(mixed.code == 0);
    CHECK_THAT(mixed.out, Contains("bits per byte") &&
                              Contains("synth:demo-synthetic: no quality and no balance, for its "
                                       "weights are random"));
    // Nothing is made of random weights, so they are not drawn: the one here would need petabytes.
    std::ofstream(folder / "huge.json") << R"({"base":"gpt-oss-120b","n_expert":4096,)"
                                        << R"("d_model":131072,"ffn":131072,"n_layer":1024})";
    const Outcome huge = run({"shapes", "demo", folder / "huge.json", "--text", texts});
    INFO(huge.err);
    CHECK(huge.code == 0);
    CHECK_THAT(huge.out, Contains("bits per byte") && Contains("no quality and no balance"));
    CHECK_THAT(huge.err, !Contains("SYNTHETIC"));
    const auto json = shapesOf({"demo", "synth:demo-synthetic", "--text", texts});
    const auto& random = json.at("quality").at("shapes").at(1);
    CHECK(random.at("trained") == false);
    CHECK(random.at("bits_per_byte").at("value").is_null());
    CHECK_THAT(random.at("reason").get<std::string>(), Contains("random"));
    const Outcome family = run({"shapes", "demo", "--layers", "4", "--text", texts});
    CHECK(family.code == 2);  // the base's weights are random, too, in a family
    CHECK_THAT(family.err, Contains("a family has random weights"));
}

TEST_CASE("texts that cannot be scored are refused before anything is measured") {
    const Folder folder;
    const auto failing = [&](const std::string& text) {
        std::ofstream(folder / "bad.jsonl") << text;
        const Outcome outcome =
            run({"shapes", "demo", "--measure", "-r", "1000", "--text", folder / "bad.jsonl"});
        CHECK(outcome.code == 1);
        CHECK(errorLines(outcome.err) == 1);
        CHECK_THAT(outcome.err, !Contains("round"));
        return outcome.err;
    };
    CHECK_THAT(failing("{\"id\": 1, \"text\": \"a\"\n"), Contains("bad.jsonl: line 1"));
    CHECK_THAT(failing("{\"id\": 1, \"text\": \"\"}\n"), Contains("nothing to score"));
    CHECK_THAT(failing("{\"id\": 1, \"text\": \"a b\", \"continuations\": [\"c\"]}\n"),
               Contains("one text a line"));
    CHECK_THAT(failing(""), Contains("bad.jsonl"));
    const Outcome absent = run({"shapes", "demo", "--text", folder / "absent"});
    CHECK(absent.code == 1);
    CHECK_THAT(absent.err, Contains("absent"));
    CHECK(run({"shapes", "demo", "--text="}).code == 2);
}

TEST_CASE("shapes stopped in the middle keeps the rounds that are whole") {
    Child child({"shapes", "demo", "demo-wide", "--measure", "-r", "1000", "-p", "8", "-n", "2",
                 "--progress", "json", "--json"});
    child.waitFor("\"done\":");
    child.kill(SIGINT);
    const Outcome outcome = child.wait();
    INFO(outcome.err);
    CHECK(outcome.code == 130);
    CHECK_THAT(outcome.err, Contains("whole round"));
    const auto json = nlohmann::json::parse(outcome.out);
    CHECK(json.at("interrupted") == true);
    const int rounds = json.at("speeds").at("rounds");
    CHECK(rounds >= 1);
    CHECK(rounds < 1000);
    for (const auto& shape : json.at("speeds").at("shapes")) {
        CHECK(shape.at("prefill").at("seconds").size() == static_cast<std::size_t>(rounds));
        CHECK(shape.at("decode").at("seconds").size() == static_cast<std::size_t>(rounds));
    }
}
