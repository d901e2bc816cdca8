// SPDX-License-Identifier: Apache-2.0
// The page: safe, complete, well-formed, self-contained, readable.
#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "reports/html/assets.h"
#include "reports/html/escape.h"
#include "reports/html/sections.h"
#include "reports/html/theme.h"
#include "reports/ranking.h"
#include "tests/reports/sample_run.h"

using namespace moescope;
using moescope::testing::smallRun;

namespace {

std::string page(std::vector<ReportRun> runs) {
    return renderReport(runs, "html").at(0).content;
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

/// Checks that tags nest and close, that attributes are quoted and ids unique. Returns the first
/// fault.
std::string wellFormedFault(const std::string& html) {
    static const std::set<std::string> kVoid = {"meta", "br"};
    std::vector<std::string> open;
    std::set<std::string> ids;
    std::size_t at = html.find("<html");
    while ((at = html.find('<', at)) != std::string::npos) {
        const std::size_t end = html.find('>', at);
        if (end == std::string::npos) return "unclosed tag";
        const std::string tag = html.substr(at + 1, end - at - 1);
        at = end + 1;
        if (tag.find('<') != std::string::npos) return "< inside tag: " + tag;
        if (std::count(tag.begin(), tag.end(), '"') % 2 != 0) return "unquoted: " + tag;
        const std::string name =
            tag.substr(tag[0] == '/' ? 1 : 0, tag.find_first_of(" /", 1) - (tag[0] == '/' ? 1 : 0));
        if (tag[0] == '/') {
            if (open.empty() || open.back() != name)
                return "closes " + name + " inside " + (open.empty() ? "" : open.back());
            open.pop_back();
            continue;
        }
        const std::size_t id = tag.find(" id=\"");
        if (id != std::string::npos) {
            const std::string value = tag.substr(id + 5, tag.find('"', id + 5) - id - 5);
            if (!ids.insert(value).second) return "id twice: " + value;
        }
        if (tag.back() == '/') continue;
        if (kVoid.count(name) != 0) return "void element not closed: " + name;
        if (name == "script" || name == "style") {
            at = html.find("</" + name + ">", at);
            if (at == std::string::npos) return name + " not closed";
        }
        open.push_back(name);
    }
    return open.empty() ? "" : "left open: " + open.back();
}

}  // namespace

TEST_CASE("escaping leaves no markup and shows what is hidden") {
    CHECK(htmlEscape("<script>\"'&") == "&lt;script&gt;&quot;&#39;&amp;");
    CHECK(htmlEscape(std::string_view("\0\x1B\x7F", 3)) == "\xE2\x90\x80\xE2\x90\x9B\xE2\x90\xA1");
    CHECK(htmlEscape("\xE2\x80\xAE") == "\xE2\x9F\xA8U+202E\xE2\x9F\xA9");
    CHECK(htmlEscape("\xC0\x80") == "\xE2\x9F\xA8xC0\xE2\x9F\xA9\xE2\x9F\xA8x80\xE2\x9F\xA9");
    CHECK(htmlEscape("\xED\xA0\x80").find("xED") != std::string::npos);
    CHECK(htmlEscape("caf\xC3\xA9 \xF0\x9F\x98\x80") == "caf\xC3\xA9 \xF0\x9F\x98\x80");
    CHECK(htmlEscape("\xF0\x9F\x98") ==
          "\xE2\x9F\xA8xF0\xE2\x9F\xA9\xE2\x9F\xA8x9F\xE2\x9F\xA9\xE2\x9F\xA8x98\xE2\x9F\xA9");
    CHECK(htmlEscapeToken("a\n") == "a\xE2\x86\xB5\n");
    CHECK(shorten("\xC3\xA9\xC3\xA9\xC3\xA9", 2) == "\xC3\xA9\xC3\xA9\xE2\x80\xA6");
    CHECK(shorten("abc", 3) == "abc");
}

TEST_CASE("the page has every section once and in the order of the table") {
    const std::string html = page({smallRun()});
    std::size_t last = 0;
    REQUIRE(reportSections().size() == 13);
    for (const ReportSection& section : reportSections()) {
        if (section.applies != nullptr) continue;
        const std::size_t at = html.find("<h2 id=\"r1-" + std::string(section.id) + "\">");
        INFO(section.id);
        REQUIRE(at != std::string::npos);
        CHECK(at > last);
        last = at;
    }
}

TEST_CASE("a run without any measurement still has every section") {
    ReportRun empty;
    empty.source = "empty.moescope";
    const std::string html = page({empty});
    CHECK(wellFormedFault(html).empty());
    for (const ReportSection& section : reportSections())
        CHECK(has(html, "r1-" + std::string(section.id)) == (section.applies == nullptr));
    CHECK(has(html, "no expert routing"));
    CHECK(has(html, "no operation times"));
}

TEST_CASE("the page is well-formed for one run and for several") {
    CHECK(wellFormedFault(page({smallRun()})) == "");
    CHECK(wellFormedFault(page({smallRun(), smallRun()})) == "");
    CHECK(wellFormedFault("<html><p><b></p></b></html>") != "");
    CHECK(wellFormedFault("<html><i id=\"a\"></i><i id=\"a\"></i></html>") != "");
}

TEST_CASE("the page loads nothing and runs only its own script") {
    const std::string html = page({smallRun()});
    for (const char* banned : {"http://", "https://", " src=", "@import", "url(", "<link",
                               "<iframe", " style=", " onclick"})
        CHECK_FALSE(has(html, banned));
    CHECK(has(html, "default-src &#39;none&#39;"));
    const std::size_t script = html.find("<script>") + 8;
    CHECK(has(html, htmlEscape(policyHash(html.substr(script, html.find("</script>") - script)))));
    // SHA-256 of the empty string, from FIPS 180-4's examples, in base64.
    CHECK(policyHash("") == "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='");
}

TEST_CASE("hostile texts of a run reach the page as text") {
    const std::string html = page({smallRun()});
    CHECK_FALSE(has(html, "<script>alert"));
    CHECK(has(html, "&lt;script&gt;alert(1)&lt;/script&gt;"));
    CHECK_FALSE(has(html, "\xE2\x80\xAE"));
    CHECK(has(html, "tiny &lt;b&gt;moe&lt;/b&gt;"));
    CHECK(has(html, "moescope profile &#39;it&#39;\\&#39;&#39;s a model&#39;"));
}

TEST_CASE("titles say what kind of run it is") {
    ReportRun run = smallRun();
    run.summary.meta["model"] = R"({"name":"MoEScope demo"})";
    CHECK(has(page({run}), "<title>MoEScope demo: profile</title>"));
    CHECK(has(page({run}), "<h1>MoEScope demo: profile</h1>"));
    CHECK(has(page({run, run}), "<h2>Run 2: MoEScope demo: profile</h2>"));
}

TEST_CASE("checks have the words of the terminal and their ids beside them") {
    ReportRun run = smallRun();
    run.summary.quality.push_back({"timer_overhead", 0.002, "ratio", true, "An estimate."});
    const std::string html = page({run});
    CHECK(has(html, ">time covered by operations</th>"));
    CHECK(has(html, ">clock reading overhead</th>"));
    CHECK(has(html, ">timer_<wbr/>overhead</td>"));  // long names break behind underscores
    CHECK(has(html,
              "An estimate. Tracing costs more than this, most of all where operations are short"));
}

TEST_CASE("a failed check stands before everything else of the run") {
    const std::string html = page({smallRun()});
    const std::size_t warning = html.find("not every check of the measurement passed");
    REQUIRE(warning != std::string::npos);
    CHECK(warning < html.find("class=\"lead\""));
    CHECK(has(html, "time covered by operations (op_time_share) = 91 %"));
    CHECK(has(html, "Synthetic model."));
    ReportRun killed = smallRun();
    killed.summary.status = RunStatus::Running;
    CHECK(has(page({killed}), "status running"));
    killed.summary.meta["kind"] = "import";
    const std::string imported = page({killed});
    REQUIRE(has(imported, "Imported, not measured here."));
    CHECK(imported.find("Imported, not measured") <
          imported.find("What the source does not cover"));
}

TEST_CASE("figures of the page equal those of the summary") {
    const std::string html = page({smallRun()});
    for (const char* figure :
         {"617 tok/s", "10.0 tok/s", "2.10 s", "98.0 ms", "120 ms", "20.0 GB/s", "50.0 %",
          "12.1 GB", "1,234 tokens", "2.67 GB/s", "6.00 GFLOP/s", "0.0950 to 0.905"})
        CHECK(has(html, figure));
}

TEST_CASE("balance numbers name their basis and stand beside chance") {
    const std::string html = page({smallRun()});
    CHECK(has(html, "per expert, per layer, accumulated over 8 tokens"));
    CHECK(has(html, "data-v=\"1.75\">1.75</td>"));  // 95th percentile of chance
    CHECK(has(html, "1.33 x chance"));
    CHECK(has(html, "0.851"));
    CHECK(has(html, "layer 0, expert 0: 2.00 x fair share, 8"));
    CHECK(has(html, "In 2 of 2 layers"));
}

TEST_CASE("token view says that it was cut and each figure has a table") {
    const std::string html = page({smallRun()});
    CHECK(has(html, "the first 3 of 5 tokens (cut here)"));
    CHECK(has(html, "title=\"position 1, layer 0: experts 0 (0.50), 2 (0.50)\""));
    CHECK(has(html, "Table: tokens and their experts"));
    CHECK(has(html, "Table: assignments by layer and expert"));
    CHECK(has(html, "Table: operation time by layer"));
}

TEST_CASE("a line feed token keeps its expert beside the arrow") {
    ReportRun run = smallRun();
    run.sample->tokens[0].text = "a\n";
    CHECK(has(page({run}), "a\xE2\x86\xB5</bdi><sub>"));
}

TEST_CASE(
    "settings are facts, a dense model has no experts, and intervals are explained with any") {
    ReportRun run = smallRun();
    run.summary.meta["model"] = R"({"name":"d","experts":0,"top_k":0})";
    run.summary.meta["settings"] = R"({"texts":[{"file":"a.txt"},{"file":"b.txt"}]})";
    run.summary.suites[0].settings =
        R"({"model":{"max_context":1024},"seed":1,"warnings":[],"shots":0})";
    const std::string html = page({run});
    CHECK(wellFormedFault(html) == "");
    CHECK(has(html, "none (dense)"));
    CHECK_FALSE(has(html, ">top k</th>"));
    CHECK(has(html, ">texts 2 file</th><td>b.txt</td>"));
    CHECK(has(html, ">model max context</th><td>1,024</td>"));
    CHECK_FALSE(has(html, "{&quot;"));
    CHECK(has(html, "Intervals are 95 %"));
    run.summary.metrics.clear();
    CHECK_FALSE(has(page({run}), "Intervals are 95 %"));
    run.summary.meta["synthetic"] = "false";
    CHECK(has(page({run}), ">synthetic</th><td>no</td>"));
    run.summary.suites[0].settings = "no JSON <";
    CHECK(has(page({run}), "<code>no JSON &lt;</code>"));
}

TEST_CASE("memory is called what it is, the size of the file under its older name too") {
    ReportRun run = smallRun();
    run.summary.memory = {{"weights", 12'100'000'000}, {"peak_rss", 5}, {"kv_cache", 7}};
    const std::string html = page({run});
    CHECK(has(html, ">model file</th><td class=\"n\">12.1 GB</td>"));
    CHECK(has(html, ">peak of the process</th>"));
    CHECK(has(html, ">kv cache</th>"));
}

TEST_CASE("items show the answer per character where accuracy_norm counts it") {
    ReportRun run = smallRun();
    run.items[7][0].detail = R"({"answer_norm":1})";
    run.items[7][0].choices = R"([" x"," y"])";  // with the suite's delimiter
    CHECK_FALSE(has(page({run}), "answer per character"));
    run.summary.metrics.push_back({7, "accuracy_norm", "", 0.5, {}, {}, {}, {}, "Wilson", 2});
    const std::string html = page({run});
    CHECK(has(html, "answer per character"));
    CHECK(has(html, "<td>x</td><td>y</td><td>y</td>"));    // answer, per character, target
    CHECK(has(html, "<td>x</td><td>n/a</td><td>x</td>"));  // of a run that did not record it
    ItemRow damaged = run.items[7][0];
    for (const char* detail : {"", "[]", R"({"answer_norm":9})", R"({"answer_norm":"x"})"}) {
        damaged.detail = detail;
        CHECK(answerPerCharacter(damaged).empty());
    }
}

TEST_CASE("several runs are compared against the first") {
    ReportRun other = smallRun();
    other.summary.decode.tokensPerSecond = 15;
    const std::string html = page({smallRun(), other});
    CHECK(has(html, "+50.0 %"));
    CHECK(has(html, "id=\"r2-experts\""));
    CHECK(html.find("Runs in this report") < html.find("Headline figures; changes"));
}

TEST_CASE("what only one of several runs has is named and left out of the comparison") {
    ReportRun other = smallRun();
    other.summary.ttftNs = std::numeric_limits<double>::quiet_NaN();
    other.summary.meta["model"] = R"({"name":"another","identity":"4567"})";
    std::string html = page({smallRun(), other});
    const auto comparison = [&] {
        const std::size_t begin = html.find("id=\"comparison\"");
        return html.substr(begin, html.find("<section", begin) - begin);
    };
    CHECK(has(comparison(), "only one run has such a figure: Time to first token."));
    CHECK_FALSE(has(comparison(), "<td>Time to first token</td>"));
    CHECK_FALSE(has(comparison(), "n/a"));
    CHECK(has(comparison(),
              "Run 2: different model: &quot;another&quot; instead of &quot;tiny &lt;b&gt;moe"));
    other.summary = {};
    html = page({smallRun(), other});
    CHECK(has(comparison(), "The runs have no figure in common."));
    CHECK_FALSE(has(comparison(), "<table"));
}

TEST_CASE("text of both themes has a contrast of at least 4.5") {
    CHECK(contrast(rgb(0x000000), rgb(0xFFFFFF)) == Approx(21));
    for (const PageTheme& theme : {kLightTheme, kDarkTheme}) {
        for (const Rgb ground : {theme.paper, theme.panel, theme.warning, theme.banner}) {
            CHECK(contrast(theme.ink, ground) >= 4.5);
        }
        for (const Rgb ground : {theme.paper, theme.panel}) {
            CHECK(contrast(theme.muted, ground) >= 4.5);
            CHECK(contrast(theme.link, ground) >= 4.5);
            CHECK(contrast(theme.mark, ground) >= 3.0);
        }
    }
    CHECK(hexColor(viridis(0)) == "#440154");
    CHECK(hexColor(viridis(2)) == "#fde725");
    CHECK(viridis(0.5) == kViridis[4]);
}
