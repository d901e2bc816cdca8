// SPDX-License-Identifier: Apache-2.0
// What every format says of groups of texts that use different experts.
#include <catch2/catch.hpp>

#include "reports/html/figures.h"
#include "reports/specialization_json.h"
#include "reports/specialization_text.h"
#include "tests/reports/sample_run.h"

using namespace moescope;

namespace {

/// Expert 0 is code's, expert 1 prose's, expert 2 anybody's, expert 3 nobody's; eight texts each.
Specialization sample(const std::string& code = "code") {
    std::vector<SequenceRow> sequences;
    std::vector<RoutingCountRow> rows;
    for (int i = 0; i < 16; ++i) {
        sequences.push_back({i, "", i % 2 == 0 ? code : "prose", 0, 0});
        rows.push_back({i, "prefill", 5, i % 2, 60 + i});
        rows.push_back({i, "prefill", 5, 2, 40});
    }
    sequences.push_back({16, "", "alone", 0, 0});
    rows.push_back({16, "prefill", 5, 2, 40});
    return specialization(rows, sequences, 4);
}

ReportRun runOf(Specialization of) {
    ReportRun run = testing::smallRun();
    run.specialization = std::move(of);
    return run;
}

std::string content(const ReportRun& run, const char* format, const std::string& name) {
    for (const ReportFile& file : renderReport(std::span(&run, 1), format))
        if (file.name == name) return file.content;
    return {};
}

std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++found;
    return found;
}

}  // namespace

TEST_CASE("the page shows whose experts they are and never by colour alone") {
    const std::string page = content(runOf(sample()), "html", "report.html");
    CHECK(count(page, "layer 5, expert 0: code, lift 2.00") == 1);
    CHECK(count(page, "layer 5, expert 3: no token chose it") == 1);
    CHECK(count(page, "class=\"on-bright\">A</text>") + count(page, "class=\"on-dark\">A</text>") ==
          1);
    CHECK(count(page, ">A 2.00*</td>") == 1);
    CHECK(count(page, "L5 e1 x2.0") == 1);
    CHECK(count(page, "have a lift above 1.50 in some group; by chance") == 1);
    CHECK(count(page, "are alone in theirs: 1.") == 1);
    CHECK(count(page,
                "The most specialised expert is expert 0 of layer 5, of code: chosen 2.0 times "
                "as often as on average of the groups.") == 1);
}

TEST_CASE("what is called reliable names both of its conditions") {
    const std::string page = content(runOf(sample()), "html", "report.html");
    CHECK(count(page, "Reliably (lift above 1.50, q &lt; 0.05) such are 50.0 % of all pairs.") ==
          1);
    CHECK(count(page, "and that lift; * lift above 1.50, q &lt; 0.05</caption>") == 1);
    CHECK(count(page, ": its own (lift above 1.50, q &lt; 0.05)</text>") == 1);
    CHECK(count(page, "beyond chance") == 0);
    Specialization even = sample();
    even.layers.front().expertQ = {1, 1, 1, 1};
    CHECK(leadingExpertsText(even, 0, 3) == "none reliably");
}

TEST_CASE("hostile names of groups reach the page as text") {
    const ReportRun run = runOf(sample("<script>alert(1)</script>"));
    CHECK(count(content(run, "html", "report.html"), "<script>alert(1)") == 0);
    CHECK(count(content(run, "md", "report.md"), "<script>") == 0);
    CHECK(count(content(runOf(sample("=1+1")), "csv", "lift.csv"), ",'=1+1,") == 4);
}

TEST_CASE("a run without groups says so on the page and leaves the tables empty") {
    Specialization none;
    none.reason = "Specialisation needs <two> groups.";
    const ReportRun run = runOf(none);
    CHECK(count(content(run, "html", "report.html"), "needs &lt;two&gt; groups") == 1);
    CHECK(count(content(run, "csv", "lift.csv"), "\r\n") == 1);  // the header
    CHECK(count(content(run, "json", "report.json"), "needs <two> groups") == 1);
    CHECK(count(content(run, "md", "report.md"), "groups") == 0);
}

TEST_CASE("tables and documents hold the figures of the analysis") {
    const Specialization of = sample();
    const nlohmann::json json = specializationJson(of);
    CHECK(json.at("groups").at(0).at("name") == "code");
    CHECK(json.at("groups").at(0).at("leading_experts").at(0).at("expert") == 0);
    CHECK(json.at("specialized_share") == 0.5);
    CHECK(json.at("reliably_specialized_share") == 0.5);
    CHECK(json.at("sequences_left_out") == 1);
    const nlohmann::json& layer = json.at("layers").at(0);
    CHECK(layer.at("lift").at("prose").at(1) == 2.0);
    CHECK(layer.at("lift").at("prose").at(3).is_null());
    CHECK(layer.at("divergence_bits").get<double>() == Approx(of.layers[0].divergence));
    const std::string markdown = content(runOf(of), "md", "report.md");
    CHECK(count(markdown, "| code | 8 | L5 e0 x2.0 |") == 1);
    const std::string csv = content(runOf(of), "csv", "divergence.csv");
    CHECK(csv.find("\r\n1,5,2,") != std::string::npos);
}

TEST_CASE("marks of groups are letters and then numbers") {
    CHECK(groupMark(0) == "A");
    CHECK(groupMark(25) == "Z");
    CHECK(groupMark(26) == "27");
}
