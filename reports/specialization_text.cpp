// SPDX-License-Identifier: Apache-2.0
#include "reports/specialization_text.h"

#include <cmath>
#include <utility>

#include "reports/numbers.h"
#include "reports/visible_text.h"

namespace moescope {
namespace {

/// Empty where no expert is reliably a group's own.
std::string mostSpecialized(const Specialization& of) {
    GroupExpert most;
    std::size_t owner = 0;
    for (std::size_t g = 0; g < of.groups.size(); ++g)
        for (const GroupExpert& expert : leadingExperts(of, g, 1))
            if (expert.lift > most.lift) {
                most = expert;
                owner = g;
            }
    if (!(most.lift > 0)) return {};
    return "The most specialised expert is expert " + std::to_string(most.expert) + " of layer " +
           std::to_string(most.layer) + ", of " + groupTitle(of.groups[owner]) + ": chosen " +
           formatFixed(most.lift, 1) + " times as often as on average of the groups.";
}

}  // namespace

std::string groupTitle(const TextGroup& group) {
    constexpr std::size_t kWidth = 32;
    return shorten(visibleLine(group.name), kWidth);
}

std::vector<std::string> specializationSentences(const Specialization& of) {
    std::vector<std::string> out;
    std::int64_t texts = 0, tested = 0, found = 0;
    for (const TextGroup& group : of.groups) texts += group.sequences;
    for (const LayerSpecialization& layer : of.layers) {
        tested += std::isnan(layer.q) ? 0 : 1;
        found += layer.q < 0.05 ? 1 : 0;
    }
    out.push_back("Between " + formatCounted(std::int64_t(of.groups.size()), "group") + " of " +
                  formatCounted(texts, "text") + " the divergence is " +
                  formatSignificant(of.meanDivergence) + " bits, mean of the layers; by chance " +
                  formatSignificant(of.meanNull) + " (p " + formatFixed(of.p, 3) + "). In " +
                  formatCount(found) + " of " + formatCounted(tested, "layer") +
                  " it is above chance at q < 0.05.");
    out.push_back("Of the pairs of layer and expert " + formatPercent(of.specializedShare) +
                  " have a lift above " + formatFixed(of.liftThreshold, 2) +
                  " in some group; by chance " + formatPercent(of.chanceShare) + " (p " +
                  formatFixed(of.shareP, 3) + "). Reliably (" + reliablyText(of) + ") such are " +
                  formatPercent(of.reliableShare) + " of all pairs.");
    if (std::string most = mostSpecialized(of); !most.empty()) out.push_back(std::move(most));
    if (of.sequencesLeftOut > 0)
        out.push_back(
            std::string("Texts left out, since they have no group or are alone in theirs") +
            (of.exchange == Exchange::WithinBlocks ? ", or have no counterpart of another group: "
                                                   : ": ") +
            formatCount(of.sequencesLeftOut) + ".");
    return out;
}

std::string reliablyText(const Specialization& of) {
    return "lift above " + formatFixed(of.liftThreshold, 2) + ", q < " +
           formatFixed(Specialization::kReliableQ, 2);
}

std::string leadingExpertsText(const Specialization& of, std::size_t group, std::size_t limit) {
    std::string text;
    for (const GroupExpert& expert : leadingExperts(of, group, limit))
        text += (text.empty() ? "" : ", ") + std::string("L") + std::to_string(expert.layer) +
                " e" + std::to_string(expert.expert) + " x" + formatFixed(expert.lift, 1);
    return text.empty() ? "none reliably" : text;
}

}  // namespace moescope
