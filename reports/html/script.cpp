// SPDX-License-Identifier: Apache-2.0
// The script: sorts tables and switches the layer of the token view. The page is complete without.
#include "reports/html/assets.h"

#include <array>
#include <cstdint>

#include "engine/core/base64.h"
#include "engine/core/sha256.h"
#include "reports/colors.h"

namespace moescope {
namespace {

constexpr char kScript[] = R"js(
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const numeric = head.classList.contains("n");
      const first = numeric ? "descending" : "ascending";
      const other = numeric ? "ascending" : "descending";
      const order = head.getAttribute("aria-sort") === first ? other : first;
      heads.forEach(h => h.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const key = row => {
        const cell = row.cells[column];
        return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
      };
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const x = key(a), y = key(b);
        if (typeof x === "number" && typeof y === "number") return sign * (x - y);
        return sign * String(x).localeCompare(String(y), "en", {numeric: true});
      });
      table.tBodies[0].append(...rows);
    });
  });
}
for (const view of document.querySelectorAll(".tokens")) {
  const layers = view.dataset.layers.split(",");
  const select = document.createElement("select");
  layers.forEach((layer, i) => select.add(new Option("layer " + layer, i)));
  select.value = view.dataset.layer;
  const label = document.createElement("label");
  label.className = "chooser";
  label.append("Experts of ", select);
  view.before(label);
  select.addEventListener("change", () => {
    for (const token of view.querySelectorAll(".token")) {
      const experts = token.dataset.e.split(";")[select.value].split(",");
      const first = experts[0];
      token.querySelector("sub").textContent = first === "" ? "\u2013" : first;
      token.className = token.className.replace(/\bc(\d|x)\b/, first === "" ? "cx" : "c" + first % CATEGORIES);
      token.title = token.title.replace(/, layer .*/, ", layer " + layers[select.value] + ": experts " + experts.join(", "));
    }
  });
}
)js";

}  // namespace

std::string pageScript() {
    std::string script = kScript;
    const std::string name = "CATEGORIES";
    return script.replace(script.find(name), name.size(), std::to_string(kCategoryColors.size()));
}

std::string policyHash(const std::string& content) {
    const std::string hex = sha256Hex(content);
    std::string bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2)
        bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    return "'sha256-" + encodeBase64(bytes) + "'";
}

}  // namespace moescope
