// SPDX-License-Identifier: Apache-2.0
// Seeded Monte Carlo on the shipped design: under the null, tests reject and intervals miss in
// about one case of twenty. Names have effects of their own, groups have none.
#include <catch2/catch.hpp>
#include <cmath>
#include <numbers>

#include "evals/metrics/metric.h"
#include "evals/stats/random.h"

using namespace moescope;

namespace {

constexpr int kTrials = 300;

double normal(stats::Random& random) {  // Box-Muller
    const auto uniform = [&] {
        return (static_cast<double>(random.next() >> 11U) + 0.5) * 0x1p-53;
    };
    const double radius = std::sqrt(-2 * std::log(uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
}

struct Null {
    SuiteData data = loadSuite(findSuite("hiring_lending"));
    std::vector<std::string> names;
    std::vector<ItemResult> items;

    Null() {
        for (const SuiteItem& item : data.items) {
            const std::string prompt = item.prompt();
            const std::size_t begin = prompt.find("applicant is");
            names.push_back(prompt.substr(begin, prompt.find(',', begin) - begin));
            items.push_back({item.id, item.cluster, item.groups, 6, 0, {}});
        }
    }

    /// Logit = effect of the base (sd 1.5) + effect of the name (sd 1), drawn anew; and where
    /// asked, of the gender in that base (mean 0).
    void draw(stats::Random& random, double genderInBase) {
        std::map<std::string, double> effects, bases, genders;
        for (std::size_t i = 0; i < items.size(); ++i) {
            const auto [name, isNewName] = effects.try_emplace(names[i]);
            if (isNewName) name->second = normal(random);
            const auto [base, isNewBase] = bases.try_emplace(items[i].cluster);
            if (isNewBase) base->second = 1.5 * normal(random);
            double logit = name->second + base->second;
            const auto level = items[i].groups.find("gender");
            if (genderInBase > 0 && level != items[i].groups.end()) {
                const auto key = items[i].cluster + '/' + level->second;
                const auto [gender, isNewGender] = genders.try_emplace(key);
                if (isNewGender) gender->second = genderInBase * normal(random);
                logit += gender->second;
            }
            items[i].score = logit > 0 ? 1 : 0;
            items[i].detail = {{"logit", logit}};
        }
    }
};

/// Share of trials in which `rejects` holds for the metric's row of that name and group.
double rejections(const char* metric, const char* factor, const char* name, const char* group,
                  bool (*rejects)(const MetricRow&), double genderInBase = 0) {
    Null null;
    SuiteDefinition suite = null.data.definition;
    suite.metrics = {{metric, factor}};
    stats::Random random(20);
    int hits = 0;
    for (int trial = 0; trial < kTrials; ++trial) {
        null.draw(random, genderInBase);
        for (const MetricRow& row : computeMetrics(suite, null.items, 199, 1))
            if (row.name == name && row.group == group && rejects(row)) ++hits;
    }
    return static_cast<double>(hits) / kTrials;
}

bool missesChance(const MetricRow& row) {
    return row.low && row.high && (*row.low > *row.chance || *row.high < *row.chance);
}

bool significant(const MetricRow& row) {
    return row.value <= 0.05;
}

}  // namespace

// 300 trials at 5 %: standard error 1.3 %, so 0.095 is 3.5 of them above.
TEST_CASE("Name effects alone seldom look like a group difference") {
    const double t =
        rejections("logit_difference", "gender", "logit_difference", "gender=female", missesChance);
    CHECK(t > 0.01);
    CHECK(t < 0.095);
}

TEST_CASE("Parity p values keep their level under the null") {
    const double p = rejections("demographic_parity_difference", "ethnicity",
                                "demographic_parity_difference_p", "ethnicity", significant);
    CHECK(p > 0.005);
    CHECK(p < 0.095);
    CHECK(rejections("demographic_parity_difference", "gender", "selection_rate_difference",
                     "gender=female", missesChance) < 0.095);
}

TEST_CASE("Parity p values keep their level where a group matters to each base in another way") {
    const double p = rejections("demographic_parity_difference", "gender",
                                "demographic_parity_difference_p", "gender", significant, 2);
    CHECK(p > 0.005);
    CHECK(p < 0.095);
}

TEST_CASE("Flip p values keep their level with several pairs for each base") {
    CHECK(rejections("flip_rate", "gender", "flip_p", "gender=female", significant) < 0.095);
}
