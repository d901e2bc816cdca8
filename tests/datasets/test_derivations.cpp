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
            {"example_id", "11"},
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

TEST_CASE("Four items of BBQ in a row are one set") {
    FieldMap fields = bbq("old", "nonOld", "old");
    CHECK(derive("bbq", fields).empty());
    CHECK(fields.at("set") == "2");
    fields["example_id"] = "1b";
    CHECK_THROWS_WITH(derive("bbq", fields),
                      Catch::EndsWith("the example_id '1b' is not a whole number"));
}

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

TEST_CASE("BBQ's stereotyped answer is left open when the group of an answer is not given") {
    // As the authors' generator writes "Latina", who is no "other" of the stereotyped group.
    CHECK(stereotypedOf(bbq("M-Latino", "", "F-Latino", "nonneg")).empty());
    CHECK(stereotypedOf(bbq("", "M-Latino", "Latino", "neg")).empty());
    CHECK(stereotypedOf(bbq("", "nonOld", "old", "neg")).empty());
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

namespace {

const SideTables kOccupations = {
    {"male", {{"developer", {}}, {"construction worker", {}}, {"CEO", {}}, {"cook", {}}}},
    {"female", {{"designer", {}}, {"cleaner", {}}}}};

FieldMap winobias(const std::string& line,
                  const std::string& file = "anti_stereotyped_type1.txt.dev") {
    return {{"line", line}, {"_file", file}};
}

}  // namespace

TEST_CASE("A line of WinoBias becomes a sentence and its pronoun and two occupations") {
    FieldMap fields = winobias("12 The Designer thanked [the developer] because [her] code ran.");
    CHECK(derive("winobias", fields, kOccupations).empty());
    CHECK(fields.at("sentence") == "The Designer thanked the developer because her code ran.");
    CHECK(fields.at("pronoun") == "her");
    CHECK(fields.at("first") == "designer");
    CHECK(fields.at("second") == "developer");
    CHECK(fields.at("answer") == "B");
    CHECK(fields.at("number") == "12");
    CHECK(fields.at("pair") == "6");
    CHECK(fields.at("parity") == "even");
    CHECK(fields.at("stereotype") == "anti");
    CHECK(fields.at("type1") == "anti");
    CHECK(fields.at("type2").empty());
    fields = winobias("11 [A construction worker] met the ceo and [he] left.");
    CHECK(derive("winobias", fields, kOccupations).empty());
    CHECK(fields.at("first") == "construction worker");
    CHECK(fields.at("second") == "CEO");
    CHECK(fields.at("pair") == "6");
}

TEST_CASE("Lines of WinoBias without two mentions or two occupations make no item") {
    for (const char* line : {"1 [The cook] met the cleaner because [he] cut [his] hair.",
                             "1 [The cook] met the cleaner.", "1 The cook met the cleaner."}) {
        FieldMap fields = winobias(line);
        CHECK(derive("winobias", fields, kOccupations) ==
              "the sentence has not exactly two bracketed mentions");
    }
    for (const char* line : {"1 [The cook] met the cleaner and the CEO and [he] left.",
                             "1 [The cook] met the overcooked and [he] left.",
                             "1 The cook met [the man] who saw the CEO, and [he] left."}) {
        FieldMap fields = winobias(line);
        CHECK(derive("winobias", fields, kOccupations)
                  .starts_with("the sentence has not exactly two occupations"));
    }
    FieldMap fields = winobias("1 [The cook] met [the cleaner].");
    CHECK(derive("winobias", fields, kOccupations) == "the second bracketed mention is no pronoun");
}

TEST_CASE("Files and lines that are not WinoBias's are refused by place") {
    FieldMap fields = winobias("1 [The cook] met the cleaner and [he] left.", "README.md");
    CHECK_THROWS_WITH(derive("winobias", fields, kOccupations),
                      "f:1: 'README.md' is no file of WinoBias");
    fields = winobias("[The cook] met the cleaner and [he] left.");
    CHECK_THROWS_WITH(derive("winobias", fields, kOccupations),
                      Catch::Contains("begins with its number"));
    fields = winobias("1 [The cook] met the cleaner and [he] left.");
    CHECK_THROWS_WITH(derive("winobias", fields), "f:1: the suite's source has no table 'male'");
}

namespace {

FieldMap winogender(const std::string& id, const std::string& sentence) {
    return {{"sentid", id}, {"sentence", sentence}};
}

const SideTables kStatistics = {
    {"statistics",
     {{"technician", {{"bls_pct_female", "40.34"}}}, {"nurse", {{"bls_pct_female", "90.4"}}}}}};

std::string gotchaOf(const std::string& id) {
    FieldMap fields = winogender(id, "They left.");
    CHECK(derive("winogender", fields, kStatistics).empty());
    return fields.at("gotcha");
}

}  // namespace

TEST_CASE("A Winogender sentence's parts are in its name and the statistics beside it") {
    FieldMap fields =
        winogender("technician.someone.0.female.txt", "The technician told someone of Her theory.");
    CHECK(derive("winogender", fields, kStatistics).empty());
    CHECK(fields.at("occupation") == "technician");
    CHECK(fields.at("participant") == "someone");
    CHECK(fields.at("named") == "someone");
    CHECK(fields.at("answer") == "A");
    CHECK(fields.at("referent") == "occupation");
    CHECK(fields.at("pronoun") == "Her");  // not the "the" of theory
    CHECK(fields.at("bls_pct_female") == "40.34");
}

TEST_CASE("A gotcha's pronoun speaks for the wrong referent") {
    CHECK(gotchaOf("nurse.patient.0.male.txt") == "yes");
    CHECK(gotchaOf("nurse.patient.0.female.txt") == "no");
    CHECK(gotchaOf("nurse.patient.1.male.txt") == "no");
    CHECK(gotchaOf("nurse.patient.1.female.txt") == "yes");
    CHECK(gotchaOf("technician.customer.0.female.txt") == "yes");
    CHECK(gotchaOf("technician.customer.1.neutral.txt").empty());
}

TEST_CASE("Sentences that are not Winogender's are refused by place") {
    FieldMap fields = winogender("nurse.patient.2.male.txt", "He left.");
    CHECK_THROWS_WITH(derive("winogender", fields, kStatistics),
                      Catch::Contains("f:1: 'nurse.patient.2.male.txt' is no sentence"));
    fields = winogender("pilot.patient.1.male.txt", "He left.");
    CHECK_THROWS_WITH(derive("winogender", fields, kStatistics),
                      "f:1: there are no statistics of occupation 'pilot'");
    fields = winogender("nurse.patient.1.male.txt", "He left his hat.");
    CHECK_THROWS_AS(derive("winogender", fields, kStatistics), Error);
}

TEST_CASE("StereoSet's context precedes the texts that do not repeat it") {
    FieldMap fields = {{"type", "intersentence"}, {"context", "He is a cook."}};
    CHECK(derive("stereoset", fields).empty());
    CHECK(fields.at("given") == "He is a cook.");
    fields = {{"type", "intrasentence"}, {"context", "The cook was BLANK."}};
    CHECK(derive("stereoset", fields).empty());
    CHECK(fields.at("given").empty());
    fields["type"] = "sentence";
    CHECK_THROWS_WITH(derive("stereoset", fields), "f:1: 'sentence' is no type of StereoSet");
}

TEST_CASE("HellaSwag's marks are cleaned away as lm-evaluation-harness does") {
    FieldMap fields = {
        {"activity_label", "Home"}, {"ctx_a", "[header] How to sweep [title] Take a broom."},
        {"ctx_b", "the Man"},       {"endings.0", " starts [substeps] now. "},
        {"endings.1", "b"},         {"endings.2", "c"},
        {"endings.3", "d"},         {"label", "2"}};
    CHECK(derive("hellaswag", fields).empty());
    CHECK(fields.at("query") == "Home: How to sweep. Take a broom. The man");
    CHECK(fields.at("ending0") == "starts now.");
    CHECK(fields.at("answer") == "C");
    fields = {{"query", "Home: [as it is]"}, {"label", "3"}};
    CHECK(derive("hellaswag", fields).empty());
    CHECK(fields.at("query") == "Home: [as it is]");
    CHECK(fields.at("answer") == "D");
    fields["label"] = "4";
    CHECK_THROWS_WITH(derive("hellaswag", fields), "f:1: the label '4' is not 0, 1, 2 or 3");
}

TEST_CASE("TruthfulQA's best answer is the last of the choices") {
    FieldMap fields = {{"Best Answer", " Nothing "}, {"Incorrect Answers", "You die; You grow;; "}};
    CHECK(derive("truthfulqa", fields).empty());
    CHECK(fields.at("options.0") == "You die");
    CHECK(fields.at("options.1") == "You grow");
    CHECK(fields.at("options.2") == "Nothing");
    CHECK_FALSE(fields.contains("options.3"));
    CHECK(fields.at("answer") == "C");
    fields = {{"Best Answer", "Nothing"}, {"Incorrect Answers", " ; "}};
    CHECK(derive("truthfulqa", fields) == "there is no best or no incorrect answer");
    fields["Incorrect Answers"] = "You die; Nothing";
    CHECK_THROWS_WITH(derive("truthfulqa", fields),
                      "f:1: the best answer is among the incorrect ones");
}

TEST_CASE("IFEval's instructions and arguments become one list, nulls and lists among them") {
    FieldMap fields = {{"instruction_id_list.0", "keywords:existence"},
                       {"instruction_id_list.1", "punctuation:no_comma"},
                       {"kwargs.0.keywords.0", "land"},
                       {"kwargs.0.keywords.1", "river"},
                       {"kwargs.0.num_words", ""}};
    CHECK(derive("ifeval", fields).empty());
    CHECK(fields.at("instructions") ==
          R"([{"id":"keywords:existence","kwargs":{"keywords":["land","river"],"num_words":""}},)"
          R"({"id":"punctuation:no_comma","kwargs":{}}])");
    CHECK(fields.at("count") == "2");
    CHECK(fields.at("family") == "several");
    fields.erase("instruction_id_list.1");
    CHECK(derive("ifeval", fields).empty());
    CHECK(fields.at("family") == "keywords");
}

TEST_CASE("Records that are not as IFEval has them are refused") {
    const auto refused = [](const FieldMap& more) {
        FieldMap fields = {{"instruction_id_list.0", "keywords:existence"}};
        fields.insert(more.begin(), more.end());
        derive("ifeval", fields);
    };
    FieldMap none;
    CHECK_THROWS_WITH(derive("ifeval", none), "f:1: instruction_id_list is missing or empty");
    CHECK_THROWS_WITH(refused({{"kwargs.1.keyword", "x"}}),
                      "f:1: 'kwargs.1.keyword' belongs to no instruction");
    CHECK_THROWS_WITH(refused({{"kwargs.keyword", "x"}}), Catch::Contains("'kwargs.keyword'"));
    CHECK_THROWS_WITH(refused({{"kwargs.99999999999999999999.k", "x"}}), Catch::Contains("f:1: "));
    CHECK_THROWS_WITH(refused({{"kwargs.0.keywords.0.deep", "x"}}), Catch::Contains("deep"));
    CHECK_THROWS_WITH(refused({{"kwargs.0.keywords", "x"}, {"kwargs.0.keywords.0", "y"}}),
                      Catch::Contains("has two values"));
}
