// SPDX-License-Identifier: Apache-2.0
// Rules that add fields to published records, on records made for the purpose.
#include <catch2/catch.hpp>

#include "datasets/derivation.h"
#include "engine/core/error.h"

using namespace moescope;

namespace {

std::string derive(const char* rule, FieldMap& fields, const SideTables& tables = {}) {
    return derivationNamed(rule).derive(fields, tables, "f:1");
}

/// Answers: of group `first`, unknown, of group `second`.
FieldMap bbq(const std::string& first, const std::string& second, const std::string& stereotyped,
             const std::string& polarity = "neg") {
    return {{"category", "C"},
            {"question_polarity", polarity},
            {"context_condition", "ambig"},
            {"label", "1"},
            {"answer_info.ans0.0", "one"},
            {"answer_info.ans0.1", first},
            {"answer_info.ans1.0", "Unknown"},
            {"answer_info.ans1.1", "unknown"},
            {"answer_info.ans2.0", "other"},
            {"answer_info.ans2.1", second},
            {"additional_metadata.stereotyped_groups.0", stereotyped}};
}

std::string stereotypedOf(FieldMap fields) {
    CHECK(derive("bbq", fields).empty());
    return fields.at("stereotyped");
}

}  // namespace

TEST_CASE("An unknown rule is refused with the nearest") {
    CHECK_THROWS_WITH(derivationNamed("bbg"), "unknown rule 'bbg'; did you mean 'bbq'?");
}

TEST_CASE("BBQ's stereotyped answer is the group's for a negative question else the other") {
    CHECK(stereotypedOf(bbq("old", "nonOld", "old")) == "A");
    CHECK(stereotypedOf(bbq("nonOld", "old", "old")) == "C");
    CHECK(stereotypedOf(bbq("old", "nonOld", "old", "nonneg")) == "C");
    FieldMap byText = bbq("Africa", "Europe", "Other");
    byText["answer_info.ans2.0"] = "Other";  // Nationality names the groups in the texts
    CHECK(stereotypedOf(byText) == "C");
}

TEST_CASE("BBQ's groups are matched across their spellings") {
    CHECK(stereotypedOf(bbq("lowSES", "highSES", "low SES")) == "A");
    CHECK(stereotypedOf(bbq("M-White", "F-Black", "Black")) == "C");
    CHECK(stereotypedOf(bbq("highSES-F-White", "lowSES-F-Black", "Black")) == "C");
    CHECK(stereotypedOf(bbq("boy", "girl", "F")) == "C");
    CHECK(stereotypedOf(bbq("nonTrans_F", "trans_M", "trans")) == "C");
}

TEST_CASE("BBQ's stereotyped answer is left open when both groups match or none does") {
    CHECK(stereotypedOf(bbq("lowSES-Black", "highSES-Black", "Black")).empty());
    CHECK(stereotypedOf(bbq("man", "boy", "F")).empty());
}

TEST_CASE("BBQ's labels and contexts become what templates need") {
    FieldMap fields = bbq("old", "nonOld", "old");
    derive("bbq", fields);
    CHECK(fields.at("answer") == "B");
    CHECK(fields.at("unknown") == "B");
    CHECK(fields.at("context_kind") == "ambiguous");
    CHECK(fields.at("ambiguous") == "C");
    CHECK(fields.at("disambiguated").empty());
}

TEST_CASE("Records that are not BBQ's are refused by place") {
    FieldMap fields = bbq("old", "nonOld", "old");
    fields["label"] = "0";  // an ambiguous item whose answer is known
    CHECK_THROWS_WITH(derive("bbq", fields), Catch::Contains("f:1: this is no item of BBQ"));
    fields["label"] = "3";
    CHECK_THROWS_WITH(derive("bbq", fields), Catch::Contains("label '3'"));
    fields.erase("label");
    CHECK_THROWS_WITH(derive("bbq", fields), "f:1: there is no field 'label'");
}
