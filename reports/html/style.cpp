// SPDX-License-Identifier: Apache-2.0
// The style sheet. System fonts, one column as wide as a small laptop's screen, so that tables of
// operations and metrics need no scrolling there; those of all experts scroll by themselves. Light
// ink-saving print.
#include "reports/html/assets.h"
#include "reports/html/theme.h"

namespace moescope {
namespace {

std::string variables(const PageTheme& theme) {
    return "--paper:" + hexColor(theme.paper) + ";--panel:" + hexColor(theme.panel) +
           ";--ink:" + hexColor(theme.ink) + ";--muted:" + hexColor(theme.muted) +
           ";--rule:" + hexColor(theme.rule) + ";--link:" + hexColor(theme.link) +
           ";--mark:" + hexColor(theme.mark) + ";--chance:" + hexColor(theme.chance) +
           ";--warning:" + hexColor(theme.warning) + ";--banner:" + hexColor(theme.banner);
}

constexpr char kRules[] = R"css(
*{box-sizing:border-box}
body{margin:0 auto;max-width:80rem;padding:1.5rem 1.25rem 4rem;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}
h1{font-size:1.8rem;line-height:1.2;margin:.2em 0 .3em}
h2{font-size:1.4rem;margin:2.4em 0 .6em;padding-top:.5em;border-top:2px solid var(--rule)}
h3{font-size:1.12rem;margin:1.8em 0 .5em}
h4,h5{font-size:1rem;margin:1.4em 0 .4em}
p{max-width:46rem;margin:.6em 0}
a{color:var(--link)}
.skip{position:absolute;left:-999rem}
.skip:focus{left:1rem;top:.5rem;background:var(--paper);padding:.3rem .6rem}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.muted,.note,figcaption{color:var(--muted)}
.lead{font-size:1.1rem;overflow-wrap:anywhere}
nav ol{padding-left:1.4rem;columns:2;max-width:46rem;margin:.4em 0}
.notice{border-left:6px solid var(--link);background:var(--banner);padding:.7rem 1rem;margin:.8rem 0;max-width:46rem;overflow-wrap:anywhere}
.notice.warning{border-left-color:var(--chance);background:var(--warning)}
.notice ul{margin:.3em 0;padding-left:1.3rem}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:.8rem;margin:1rem 0}
.cards>div{background:var(--panel);border:1px solid var(--rule);border-radius:8px;padding:.7rem .9rem;break-inside:avoid}
.cards dt{color:var(--muted);font-size:.9rem}
.cards dd{margin:0}
.cards .value{font-size:1.5rem;font-weight:600;font-variant-numeric:tabular-nums}
.cards .note{font-size:.85rem}
.scroll{overflow-x:auto;margin:.8rem 0 1.2rem;max-width:100%}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:.3rem 0}
th,td{padding:.3rem .45rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule);overflow-wrap:break-word;min-width:2.2rem}
thead th{overflow-wrap:normal;background:var(--panel);border-bottom:2px solid var(--rule);vertical-align:bottom}
thead th[title]{text-decoration:underline dotted;text-underline-offset:3px}
tbody th{font-weight:500}
.n{text-align:right;white-space:nowrap}
thead .n{white-space:normal}
th button{all:unset;cursor:pointer;font-weight:600}
th button:focus-visible{outline:3px solid var(--link)}
th[aria-sort=ascending] button::after{content:" \25B2"}
th[aria-sort=descending] button::after{content:" \25BC"}
.facts{columns:2 22rem;column-gap:2rem}
.facts .scroll{break-inside:avoid;margin-top:0}
.facts table{width:100%}
.facts td{overflow-wrap:anywhere}
.facts tbody th{width:40%}
.bar{display:block;width:100%;min-width:5rem;height:5px;margin-top:3px}
.track{fill:var(--rule)}
.fill,.dot{fill:var(--mark)}
figure{margin:1rem 0}
figcaption{font-size:.9rem;margin-top:.3rem}
svg.figure{max-width:100%;height:auto;display:block}
svg text{fill:var(--ink);font:11px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}
svg .axis{fill:var(--muted)}
svg .grid{stroke:var(--rule)}
svg .baseline,svg .tick{stroke:var(--ink)}
svg .frame{fill:none;stroke:var(--muted)}
svg .chance{fill:var(--chance)}
svg .chance-tick{stroke:var(--chance);stroke-width:3;stroke-dasharray:4 2}
svg .curve{fill:none;stroke-width:2}
svg .band{fill:var(--mark);fill-opacity:.18}
svg .curve0{stroke:var(--mark);stroke-width:2.5}
svg .point0{fill:var(--mark)}
svg .whisker{stroke:var(--ink);stroke-width:1.5}
svg .roof{stroke:var(--ink);stroke-width:2}
svg .roof-other{stroke:var(--muted);stroke-width:1.5;stroke-dasharray:6 4}
svg .measured{fill:var(--mark);stroke:var(--paper)}
svg .partly{fill:var(--mark);fill-opacity:.4;stroke:var(--mark);stroke-width:2}
svg .modelled{fill:var(--paper);fill-opacity:.5;stroke:var(--mark);stroke-width:2}
svg .dead{stroke:#fff;stroke-width:1.4}
svg .busiest-dark{fill:#000}
svg .busiest-light{fill:#fff}
svg .on-bright{fill:#000}
svg .on-dark{fill:#fff}
details{margin:.6rem 0 1.2rem}
summary{cursor:pointer;color:var(--link)}
pre.command{background:var(--panel);border:1px solid var(--rule);border-radius:6px;padding:.6rem .8rem;white-space:pre-wrap;overflow-wrap:anywhere;font:.88rem/1.45 ui-monospace,"SFMono-Regular","DejaVu Sans Mono",monospace}
.tokens{background:var(--panel);border:1px solid var(--rule);border-radius:8px;padding:.8rem;line-height:2.1;overflow-wrap:anywhere}
.token{white-space:pre-wrap;border-bottom:3px solid var(--rule);margin-right:1px;padding:1px 0}
.token:hover{background:var(--banner)}
.token sub{font-size:.62rem;color:var(--muted);padding:0 2px;line-height:1;-webkit-user-select:none;user-select:none}
.prompt{font-style:italic}
.chooser{display:block;margin:.6rem 0}
select{font:inherit;color:var(--ink);background:var(--panel);border:1px solid var(--muted);border-radius:4px;padding:.1rem .3rem}
@media (max-width:40rem){body{padding:1rem .7rem 3rem}nav ol{columns:1}h1{font-size:1.4rem}}
)css";

/// Colour schemes never reach paper: print is always light, wide tables wrap instead of scrolling.
constexpr char kPrintRules[] = R"css(
@page{margin:15mm 14mm}
body{max-width:none;padding:0;font-size:10pt}
nav,.skip,.chooser{display:none}
h1,h2,h3,h4,h5,caption{break-after:avoid}
figure,.notice,tr,.cards>div{break-inside:avoid}
thead{display:table-header-group}
.scroll{overflow:visible}
table{font-size:8pt}
th,td{padding:2px 5px}
td{overflow-wrap:anywhere}
.cards{grid-template-columns:repeat(3,1fr);gap:6px}
.cards .value{font-size:13pt}
.cards>div,.tokens,pre.command,thead th{background:none}
.n,pre.command{white-space:normal}
details:not([open]){display:none}
.notice{border:1px solid var(--ink);border-left-width:6px}
section.run{break-before:page}
)css";

}  // namespace

/// Of the second curve of a figure and those after it: colour is never all that tells them apart.
constexpr std::array<const char*, 5> kCurveDashes = {"7 3", "14 4", "2 3", "10 3 2 3", "1 4"};

std::string pageStyle() {
    std::string categories;
    for (std::size_t i = 0; i < kCategoryColors.size(); ++i)
        categories += ".c" + std::to_string(i) +
                      "{border-bottom-color:" + hexColor(kCategoryColors[i]) + "}\n";
    for (std::size_t i = 0; i < kCurveDashes.size(); ++i) {
        const std::string color = i + 1 < kCurveColors.size() ? hexColor(kCurveColors[i + 1])
                                                              : std::string("var(--muted)");
        const std::string number = std::to_string(i + 1);
        categories += "svg .curve" + number + "{stroke:" + color +
                      ";stroke-dasharray:" + kCurveDashes[i] + "}\nsvg .point" + number +
                      "{fill:" + color + "}\n";
    }
    return ":root{color-scheme:light dark;" + variables(kLightTheme) +
           "}\n@media (prefers-color-scheme:dark){:root{" + variables(kDarkTheme) + "}}" + kRules +
           categories + "@media print{:root{color-scheme:light;" + variables(kLightTheme) + "}" +
           kPrintRules + "}\n";
}

}  // namespace moescope
