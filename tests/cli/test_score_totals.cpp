// SPDX-License-Identifier: Apache-2.0
// Sums of scores by hand: 8 nats over 4 tokens and 16 bytes, 2 ln 2 nats over 1 token and 2 bytes.
#include "cli/score_totals.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <numbers>

using moescope::cli::ScoreTotals;
using nlohmann::json;

namespace {

ScoreTotals example() {
    ScoreTotals totals;
    totals.add("prose", {1, 3, -6.0, 10});
    totals.add("code", {1, 1, -2 * std::numbers::ln2, 2});
    totals.add("prose", {1, 1, -2.0, 6});
    return totals;
}

}  // namespace

TEST_CASE("totals by group are sums and not means of means") {
    const json body = example().json();
    REQUIRE(body.at("groups").size() == 2);
    const json prose = body.at("groups").at(0), code = body.at("groups").at(1);
    CHECK(prose.at("group") == "prose");
    CHECK(prose.at("items") == 2);
    CHECK(prose.at("scored_tokens") == 4);
    CHECK(prose.at("sum") == -8.0);
    CHECK(prose.at("nats_per_token") == 2.0);
    CHECK(prose.at("bytes") == 16);
    CHECK(prose.at("bits_per_byte").get<double>() == Approx(0.5 / std::numbers::ln2));
    CHECK(code.at("nats_per_token").get<double>() == Approx(2 * std::numbers::ln2));
    CHECK(code.at("bits_per_byte").get<double>() == Approx(1.0));
}

TEST_CASE("the overall value weighs tokens and the macro mean weighs groups alike") {
    const json body = example().json();
    const double nats = 8 + 2 * std::numbers::ln2;
    CHECK(body.at("items") == 3);
    CHECK(body.at("scored_tokens") == 5);
    CHECK(body.at("nats_per_token").get<double>() == Approx(nats / 5));
    CHECK(body.at("mean").get<double>() == Approx(-nats / 5));
    CHECK(body.at("perplexity").get<double>() == Approx(std::exp(nats / 5)));
    CHECK(body.at("bits_per_byte").get<double>() == Approx(nats / std::numbers::ln2 / 18));
    CHECK(body.at("macro").at("groups") == 2);
    CHECK(body.at("macro").at("nats_per_token").get<double>() == Approx(1 + std::numbers::ln2));
    CHECK(body.at("macro").at("bits_per_byte").get<double>() ==
          Approx(0.25 / std::numbers::ln2 + 0.5));
}

TEST_CASE("items without a group count in the overall totals alone") {
    ScoreTotals totals;
    totals.add("", {1, 2, -3.0, 4});
    CHECK(totals.table().empty());
    CHECK(totals.json().at("groups").empty());
    CHECK(totals.json().at("macro").is_null());
    totals.add("prose", {1, 2, -1.0, 4});
    CHECK(totals.json().at("groups").size() == 1);
    CHECK(totals.json().at("macro").at("nats_per_token") == 0.5);
    CHECK(totals.json().at("nats_per_token") == 1.0);
    CHECK_THAT(totals.table(), Catch::Contains("overall") && Catch::Contains("macro mean"));
}

TEST_CASE("figures of nothing are unknown and not zero") {
    CHECK(std::isnan(ScoreTotals().overall().natsPerToken()));
    CHECK(std::isnan(ScoreTotals().overall().bitsPerByte()));
    ScoreTotals totals;  // one control token: nats, but no text
    totals.add("chat", {1, 1, -2.0, 0});
    CHECK(totals.overall().natsPerToken() == 2.0);
    CHECK(std::isnan(totals.overall().bitsPerByte()));
    totals.add("chat", {1, 1, -2.0, std::nullopt});  // a model without a tokenizer
    CHECK(totals.json().at("bytes").is_null());
}
