// SPDX-License-Identifier: Apache-2.0
// Which items of a suite a reader should look at, and when a metric is too weak to conclude from.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "profiler/runfile/rows.h"

namespace moescope {

/// Widest log-likelihood of an item minus its runner-up, nats; NaN with fewer than two.
double likelihoodMargin(const ItemRow& item);

/// The choice that is likeliest per character, which accuracy_norm counts; empty where the item
/// does not record it.
std::string answerPerCharacter(const ItemRow& item);
/// Do a suite's metrics count it, so that its items must show it?
bool countsPerCharacter(const std::vector<MetricRow>& metrics);

/// What the model wrote, where the item was answered so; nothing where it was scored by likelihood.
std::optional<std::string> writtenReply(const ItemRow& item);

/// Rows in the order of a run file, cut into those of each item: its replies, most often one.
using Replies = std::span<const ItemRow>;
std::vector<Replies> byItem(std::span<const ItemRow> rows);

/// Mean over the replies that have a score; NaN where none has.
double meanScore(Replies replies);
/// The answer; of several replies "cow (5 of 8), hen (2 of 8), none (1 of 8)", the most frequent
/// first.
std::string answersText(Replies replies);

/// At most `limit` items that have a score: lowest score first, among equals those the model was
/// surest of.
std::vector<Replies> tellingItems(std::span<const ItemRow> rows, std::size_t limit);

/// answer_mass of the suite where it is below a half. A share of favourable replies r among those
/// that give one of the answers, of mass m, leaves m r to m r + 1 - m for the share among all
/// replies: below a half what was not asked for outweighs what was.
std::optional<double> littleMass(std::span<const MetricRow> metrics, std::int64_t suite);
/// What is said of it, without a full stop.
std::string massCaution(double mass);

/// Of the suite's replies, where a tenth or more were cut off: how many were, and that scores are
/// then of answers that were not given; else empty. Without a full stop.
std::string cutOffCaution(std::span<const MetricRow> metrics, std::int64_t suite);

/// What a reader must not conclude from this metric, and how to read those whose name would
/// mislead; empty when nothing speaks against it, and of tests and counts, which are no scores.
/// `all`: the metrics that it was computed with, of which littleMass is among the reasons.
std::string metricCaution(const MetricRow& metric, std::span<const MetricRow> all);

}  // namespace moescope
