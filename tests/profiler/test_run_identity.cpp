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

TEST_CASE("models of one name are told apart by their identities") {
    Meta other = kBase;
    other["model"] = R"({"name":"demo","identity":"bbbb"})";
    CHECK(identityDifferences(kBase, other) ==
          std::vector<std::string>{R"(different model: "demo bbbb" instead of "demo aaaa")"});
}
