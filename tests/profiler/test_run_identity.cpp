// SPDX-License-Identifier: Apache-2.0
// What two runs that are compared are not the same in.
#include "profiler/analysis/run_identity.h"

#include <catch2/catch.hpp>

using namespace moescope;

namespace {

using Meta = std::map<std::string, std::string>;

const Meta kBase{{"model", R"({"name":"demo","identity":"aaaa"})"},
                 {"settings", R"({"backend":"cpu","numerics":"exact"})"},
                 {"machine", R"({"cpu_model":"A CPU"})"}};

}  // namespace

TEST_CASE("runs of the same thing do not differ, and what a run does not say is not compared") {
    CHECK(identityDifferences(kBase, kBase).empty());
    CHECK(identityDifferences(kBase, {}).empty());
    CHECK(identityDifferences({{"model", "not JSON"}}, kBase).empty());
}

TEST_CASE("model, back end, device and numerics that differ are named with both values") {
    const Meta other{{"model", R"({"name":"demo-wide","identity":"bbbb"})"},
                     {"settings", R"({"backend":"cuda","numerics":"fast"})"},
                     {"machine", R"({"cpu_model":"A CPU"})"},
                     {"device", R"({"device":"NVIDIA H100"})"}};
    CHECK(identityDifferences(kBase, other) ==
          std::vector<std::string>{R"(different model: "demo-wide" instead of "demo")",
                                   R"(different back end: "cuda" instead of "cpu")",
                                   R"(different device: "NVIDIA H100" instead of "A CPU")",
                                   R"(different numerics: "fast" instead of "exact")"});
}

TEST_CASE("a profile that was warmed up is none that was not") {
    const auto profile = [](const char* settings) {
        return Meta{{"kind", "profile"}, {"settings", settings}};
    };
    CHECK(identityDifferences(profile(R"({"warmup":true})"), profile(R"({"warmup":false})")) ==
          std::vector<std::string>{R"(different warm-up: "no" instead of "yes")"});
    // Runs from before there was one had none.
    CHECK(identityDifferences(profile(R"({"warmup":false})"), profile("{}")).empty());
    CHECK(identityDifferences(profile(R"({"warmup":true})"), profile("{}")).size() == 1);
}

TEST_CASE("models of one name are told apart by their identities") {
    Meta other = kBase;
    other["model"] = R"({"name":"demo","identity":"bbbb"})";
    CHECK(identityDifferences(kBase, other) ==
          std::vector<std::string>{R"(different model: "demo bbbb" instead of "demo aaaa")"});
}

TEST_CASE("runs of other texts say so whatever tells the texts") {
    using Strings = std::vector<std::string>;
    const auto of = [](const char* kind, const char* settings) {
        return Meta{{"kind", kind}, {"settings", settings}};
    };
    const Meta profile = of("profile", R"({"texts_sha256":"aaaa","threads":2})");
    CHECK(identityDifferences(profile, of("profile", R"({"texts_sha256":"aaaa"})")).empty());
    CHECK(identityDifferences(profile, of("profile", R"({"of":"an older run"})")).empty());
    CHECK(identityDifferences(profile, of("profile", R"({"texts_sha256":"bbbb"})")) ==
          Strings{"different set of texts"});
    const Meta eval = of("eval", R"({"suites":"boolq","limit":9})");
    CHECK(identityDifferences(profile, eval) ==
          Strings{R"(different kind: "eval" instead of "profile")", "different set of texts"});
    CHECK(identityDifferences(eval, eval).empty());
    CHECK(identityDifferences(eval, of("eval", R"({"suites":"boolq","limit":8})")) ==
          Strings{"different set of texts"});
    const Meta numerics = of("numerics", R"({"texts":[{"file":"a","sha256":"cc"}]})");
    CHECK(identityDifferences(numerics, of("numerics", R"({"texts":[{"file":"b","sha256":"cc"}]})"))
              .empty());
    CHECK(identityDifferences(numerics, of("numerics", R"({"texts":[{"file":"a","sha256":"dd"}]})"))
              .size() == 1);
    CHECK(identityDifferences(profile, of("profile", R"({"texts":[3],"suites":4})")).empty());
}
