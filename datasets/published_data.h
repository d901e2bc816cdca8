// SPDX-License-Identifier: Apache-2.0
// Is what was read the data set that the suite was written for? Data that is not is used, with
// warnings and another heading: people have other releases and subsets of their own.
#pragma once

#include <string>
#include <vector>

#include "datasets/data_files.h"
#include "datasets/suite.h"

namespace moescope {

class PublishedCheck {
public:
    /// Both must outlive it.
    PublishedCheck(const SuiteDefinition& suite, const SuiteSource& source)
        : suite_(suite), source_(source) {}

    /// Of a file that was read, whatever it holds: items, worked examples, a table. sha256: of the
    /// unpacked text.
    void add(const std::string& name, std::size_t records, const std::string& sha256);

    /// Sets data.extent and adds the warnings. `files`: those that items were made from.
    void finish(const std::vector<DataFile>& files, SuiteData& data) const;

private:
    const SuiteDefinition& suite_;
    const SuiteSource& source_;
    std::vector<std::string> differences_;  ///< a clause each, as "x.jsonl has ..."
};

}  // namespace moescope
