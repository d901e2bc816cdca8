// SPDX-License-Identifier: Apache-2.0
// See the header.
#include "datasets/published_data.h"

#include <algorithm>
#include <set>

#include "datasets/suggest.h"
#include "engine/core/count_text.h"

namespace moescope {

void PublishedCheck::add(const std::string& name, std::size_t records, const std::string& sha256) {
    const auto known = source_.published.files.find(name);
    if (known == source_.published.files.end()) return;
    const PublishedFile& file = known->second;
    std::string difference;
    if (records != file.records)
        difference = name + " has " + groupedCount(records, "record") +
                     ", the suite was written for " + groupedDigits(file.records);
    else if (!file.sha256.empty() && sha256 != file.sha256)
        difference = name + " is not the file that the suite was written for (its SHA-256 differs)";
    else
        return;
    // Worked examples may be read more than once.
    if (std::find(differences_.begin(), differences_.end(), difference) == differences_.end())
        differences_.push_back(std::move(difference));
}

void PublishedCheck::finish(const std::vector<DataFile>& files, SuiteData& data) const {
    const PublishedData& published = source_.published;
    if (published.files.empty()) return;
    std::vector<std::string> differences = differences_;
    std::set<std::string> there;
    for (const DataFile& file : files) {
        there.insert(file.name);
        if (!published.files.contains(file.name))
            differences.push_back(file.name + " is no file that the suite was written for");
    }
    std::vector<std::string> absent;
    std::size_t expected = 0;
    for (const auto& [name, file] : published.files) {
        // Tables and worked examples are no part of the items.
        for (const std::string& pattern : source_.files) {
            const std::optional<std::string> match = matchOf(pattern, name);
            if (!match) continue;
            ++expected;
            if (!there.contains(name)) absent.push_back(match->empty() ? name : *match);
            break;
        }
    }
    const std::string suite = "suite '" + suite_.name + "': ";
    if (!absent.empty()) {
        data.extent = groupedDigits(expected - absent.size()) + " of " + groupedDigits(expected) +
                      " " + published.parts;
        data.warnings.push_back(suite + data.extent + " are there, without " + someOf(absent) +
                                ": figures over all items are not the suite's");
    }
    if (differences.empty()) return;
    data.extent += (data.extent.empty() ? "" : "; ") + std::string("not the published data");
    constexpr std::size_t kWarned = 5;
    for (std::size_t i = 0; i < std::min(differences.size(), kWarned); ++i)
        data.warnings.push_back(suite + differences[i] +
                                ": figures are of another data set than the published one (" +
                                published.release + ")");
    if (differences.size() > kWarned)
        data.warnings.push_back(suite + groupedDigits(differences.size() - kWarned) +
                                " more files differ from the published ones");
}

}  // namespace moescope
