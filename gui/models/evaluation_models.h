// SPDX-License-Identifier: Apache-2.0
// Suites, metrics with intervals, and items of an evaluation.
#pragma once

#include <QCoreApplication>
#include <optional>
#include <string>
#include <vector>

#include "gui/data/run_data.h"
#include "gui/models/row_model.h"
#include "gui/models/sort_proxy.h"

namespace moescope::gui {

struct SuiteTableRow {
    SuiteRow suite;
    ItemCounts counts;
};

class SuitesModel : public RowModel<SuiteTableRow> {
    Q_DECLARE_TR_FUNCTIONS(SuitesModel)
public:
    explicit SuitesModel(QObject* parent = nullptr);
};

/// A score of a suite with its test.
struct MetricTableRow {
    MetricRow metric;
    std::optional<MetricRow> test;  ///< of the value
    std::string caution;
};

/// Scores of one suite; the axis of the interval bars is common to metrics of the same name.
class MetricsModel : public RowModel<MetricTableRow> {
    Q_DECLARE_TR_FUNCTIONS(MetricsModel)
public:
    explicit MetricsModel(QObject* parent = nullptr);
    /// Tests among them become a column of what they test; counts of items are left out.
    void setMetrics(const std::vector<MetricRow>& metrics);
    static constexpr int kIntervalColumn = 3, kChanceColumn = 5, kTestColumn = 6,
                         kCautionColumn = 8, kMethodColumn = 9;

private:
    std::vector<std::pair<std::string, std::pair<double, double>>> axes_;  ///< by metric name
};

class ItemsModel : public RowModel<ItemRow> {
    Q_DECLARE_TR_FUNCTIONS(ItemsModel)
public:
    explicit ItemsModel(QObject* parent = nullptr);
    /// Of suites whose items are asked several times.
    static constexpr int kRepeatColumn = 2;
    /// Answer per character: of suites whose items record it.
    static constexpr int kPerCharacterColumn = 5;
    /// What is expected: of suites with a right answer.
    static constexpr int kExpectedColumn = 6;
};

/// Items by text (prompt, answer, target, groups, id; case-insensitive) and by "wrong only".
class ItemsFilter : public SortProxy {
    Q_OBJECT
public:
    explicit ItemsFilter(QObject* parent = nullptr);
    void setText(const QString& text);
    void setWrongOnly(bool wrongOnly);

protected:
    bool filterAcceptsRow(int row, const QModelIndex& parent) const override;

private:
    QString text_;
    bool wrongOnly_ = false;
};

/// A choice of an item with its log-likelihood.
struct ChoiceRow {
    QString choice;
    double logLikelihood = 0;  ///< nats; NaN when not recorded
    bool chosen = false, target = false;
    bool perCharacter = false;  ///< the likeliest per character, where that is another
};
/// Malformed JSON in the file gives no rows rather than an error: the prompt is still worth
/// showing.
/// `perCharacter`: the suite counts that answer too (countsPerCharacter), so that it is marked.
std::vector<ChoiceRow> choicesOf(const ItemRow& item, bool perCharacter);

/// The prompt, and of a written reply the reasoning and what was said.
QString itemText(const ItemRow& item);

/// "arc-3: answered “oxygen”, expected “helium”, score 0"; of pairs of texts, which have no right
/// answer, without what is expected.
QString itemCaption(const ItemRow& item);

class ChoicesModel : public RowModel<ChoiceRow> {
    Q_DECLARE_TR_FUNCTIONS(ChoicesModel)
public:
    explicit ChoicesModel(QObject* parent = nullptr);
    static constexpr int kLogLikelihoodColumn = 1;
};

QString groupsText(const std::string& json);  ///< {"gender": "female"} -> "gender=female"

}  // namespace moescope::gui
