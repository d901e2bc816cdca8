// SPDX-License-Identifier: Apache-2.0
// SGLang's expert distribution recorder, modes "stat" and "stat_approx": a .pt file of /dump_
// expert_distribution_record with "logical_count", int32 (n_pass, n_layer, n_expert): how many
// tokens of a forward pass chose each expert, before it was placed, summed over all ranks. The
// buffer is of a fixed number of passes, and those that did not happen are zeros.
// Source: sgl-project/sglang python/sglang/srt/eplb/expert_distribution.py at 02295fe5.
#include <algorithm>
#include <deque>
#include <numeric>
#include <string>
#include <vector>

#include "engine/core/error.h"
#include "profiler/import/counted_run.h"
#include "profiler/import/torch_file.h"

namespace moescope {
namespace {

/// The counters of one file.
class Recording {
public:
    explicit Recording(const std::filesystem::path& path)
        : path_(path), file_(path), counts_(find(file_, path.string())) {}

    std::int64_t passes() const { return counts_.shape[0]; }
    std::int64_t layers() const { return counts_.shape[1]; }
    std::int64_t experts() const { return counts_.shape[2]; }
    const std::filesystem::path& path() const { return path_; }

    std::vector<std::int64_t> pass(std::int64_t index) const {
        const auto cells = static_cast<std::size_t>(layers() * experts());
        const auto width = static_cast<std::size_t>(counts_.type.bytes);
        const std::byte* at =
            counts_.bytes.data() + static_cast<std::size_t>(index) * cells * width;
        std::vector<std::int64_t> out(cells);
        for (std::size_t i = 0; i < cells; ++i) out[i] = readInteger(at + i * width, counts_.type);
        return out;
    }

private:
    static const TorchTensor& find(const TorchFile& file, const std::string& origin) {
        const auto found = file.entries().find("logical_count");
        if (found == file.entries().end())
            throw Error(origin + (file.entries().contains("records")
                                      ? ": was recorded pass by pass or token by token"
                                      : ": holds no \"logical_count\""),
                        "SGLang writes it with --expert-distribution-recorder-mode stat");
        const TorchTensor& counts = found->second;
        if (counts.type.bytes == 0)
            throw Error(origin + ": \"logical_count\" is no tensor of integers" +
                        (counts.typeName.empty() ? "" : " but a " + counts.typeName));
        if (counts.shape.size() != 3)
            throw Error(origin + ": \"logical_count\" is not of passes x layers x experts");
        const std::int64_t layers = counts.shape[1], experts = counts.shape[2];
        if (layers < 1 || layers > kMaxImportLayers || experts < 1 ||
            static_cast<std::size_t>(experts) > kMaxImportCells ||
            static_cast<std::size_t>(layers * experts) > kMaxImportCells)
            throw Error(origin + ": \"logical_count\" is of " + std::to_string(layers) +
                        " layers x " + std::to_string(experts) + " experts");
        return counts;
    }

    std::filesystem::path path_;
    TorchFile file_;
    const TorchTensor& counts_;
};

bool isEmpty(const std::vector<std::int64_t>& counts) {
    return std::all_of(counts.begin(), counts.end(), [](std::int64_t count) { return count == 0; });
}

std::int64_t filledPasses(const Recording& recording, const StopFlag* stop) {
    std::int64_t passes = 0;
    for (std::int64_t pass = 0; pass < recording.passes(); ++pass) {
        throwIfStopped(stop);
        passes += isEmpty(recording.pass(pass)) ? 0 : 1;
    }
    return passes;
}

/// The greatest number that divides what each layer of each pass adds up to: a multiple of top-k.
std::int64_t commonDivisor(const std::deque<Recording>& recordings, const StopFlag* stop) {
    std::int64_t divisor = 0;
    for (const Recording& recording : recordings) {
        for (std::int64_t pass = 0; pass < recording.passes(); ++pass) {
            throwIfStopped(stop);
            const std::vector<std::int64_t> counts = recording.pass(pass);
            for (std::size_t begin = 0; begin < counts.size();
                 begin += static_cast<std::size_t>(recording.experts())) {
                std::uint64_t sum = 0;
                for (std::int64_t e = 0; e < recording.experts(); ++e)
                    sum += static_cast<std::uint64_t>(counts[begin + static_cast<std::size_t>(e)]);
                divisor =
                    static_cast<std::int64_t>(std::gcd(static_cast<std::uint64_t>(divisor), sum));
            }
        }
    }
    return divisor;
}

}  // namespace

void importSglang(const ImportRequest& request, RunWriter& writer) {
    std::deque<Recording> recordings;  // which stay where they are
    std::vector<std::int64_t> passes;
    for (const std::filesystem::path& path : request.files) {
        recordings.emplace_back(path);
        const Recording& first = recordings.front();
        const Recording& last = recordings.back();
        if (last.layers() != first.layers() || last.experts() != first.experts())
            throw Error(path.string() + ": is of " + std::to_string(last.layers()) + " layers x " +
                        std::to_string(last.experts()) + " experts, but " + first.path().string() +
                        " of " + std::to_string(first.layers()) + " x " +
                        std::to_string(first.experts()));
        passes.push_back(filledPasses(last, request.stop));
    }
    if (std::all_of(passes.begin(), passes.end(), [](std::int64_t count) { return count == 0; }))
        throw Error(request.files.front().string() + ": no pass of it has a count",
                    "SGLang records between /start_ and /stop_expert_distribution_record");
    if (request.facts.topK == 0)
        throw UsageError("'import sglang' needs --top-k K or --config FILE",
                         "counters do not say how many experts a token has: num_experts_per_tok of "
                         "the model's config.json; these add up to multiples of " +
                             std::to_string(commonDivisor(recordings, request.stop)));
    RoutedFacts facts;
    facts.layers = static_cast<int>(recordings.front().layers());
    facts.experts = static_cast<int>(recordings.front().experts());
    facts.topK = request.facts.topK;
    CountedRun run(writer, request, facts);
    const std::vector<std::string> groups = groupsOf(request.files);
    for (std::size_t i = 0; i < groups.size(); ++i) {
        const Recording& recording = recordings[i];
        run.addSource(recording.path());
        run.begin(groups[i], passes[i]);
        for (std::int64_t pass = 0; pass < recording.passes(); ++pass) {
            throwIfStopped(request.stop);
            const std::vector<std::int64_t> counts = recording.pass(pass);
            if (!isEmpty(counts))
                run.add(counts, "pass " + std::to_string(pass), recording.path().string());
        }
    }
    run.finish();
}

}  // namespace moescope
