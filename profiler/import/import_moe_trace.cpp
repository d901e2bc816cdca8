// SPDX-License-Identifier: Apache-2.0
// llama.cpp's moe-trace: the experts of one prompt and a greedy continuation as CSV, in the order
// in which the graph computed them: a batch's tokens in the first layer, then in the next. It
// exists in three versions, told apart by the first line:
//   layer,expert                   one row an expert: ggml-org/llama.cpp pull 28544
//   pos,layer,expert,expert,..     one row a token, `pos` negative in the prompt:
//   thecodacus/llama.cpp
//                                  tools/moe-trace at 0bc799a0, and its forks
//   phase,token,layer,rank,expert  one row an expert, with that header: Cartaz/llama.cpp-vulkan-moe
//                                  examples/moe-trace at 9149912a
// The last layer is computed only of tokens whose logits are asked for, so that it has fewer; they
// are the last ones (of a prompt in several batches: about).
#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/mapped_file.h"
#include "profiler/import/routed_run.h"

namespace moescope {
namespace {

constexpr std::string_view kHeader = "phase,token,layer,rank,expert";

enum class Version : std::uint8_t { Plain, Positions, Phases };

class Trace {
public:
    Trace(const std::filesystem::path& path, int topK, const StopFlag* stop)
        : path_(path), topK_(static_cast<std::size_t>(topK)) {
        const MappedFile file(path);
        std::string_view rest(reinterpret_cast<const char*>(file.data()),
                              static_cast<std::size_t>(file.size()));
        while (!rest.empty()) {
            constexpr std::size_t kEvery = 1 << 16;
            if (number_ % kEvery == 0) throwIfStopped(stop);
            const std::size_t end = std::min(rest.find('\n'), rest.size());
            std::string_view line = rest.substr(0, end);
            rest.remove_prefix(std::min(end + 1, rest.size()));
            if (line.ends_with('\r')) line.remove_suffix(1);
            ++number_;
            if (!line.empty()) addLine(line);
        }
        if (layers_.empty()) throw Error(path.string() + ": holds no rows");
        if (topK_ == 0) topK_ = static_cast<std::size_t>(lastRank_) + 1;
    }

    RoutedSequence sequence() const {
        RoutedSequence out;
        out.origin = path_.string();
        out.label = path_.stem().string();
        std::size_t tokens = 0;
        for (const auto& [layer, ids] : layers_) {
            if (ids.size() % topK_ != 0)
                throw Error(out.origin + ": layer " + std::to_string(layer) + " has " +
                            std::to_string(ids.size()) + " experts, no multiple of top-" +
                            std::to_string(topK_));
            tokens = std::max(tokens, ids.size() / topK_);
        }
        if (version_ != Version::Plain) {
            std::size_t rows = 0;  // of the layer that has most: the last has fewer
            for (const auto& [layer, count] : promptRows_) rows = std::max(rows, count);
            out.promptTokens =
                static_cast<std::int64_t>(rows / (version_ == Version::Phases ? topK_ : 1));
        }
        const std::size_t layers = static_cast<std::size_t>(layers_.rbegin()->first) + 1;
        const std::size_t cells = tokens * topK_;
        // A file of few rows may name a layer that no model has.
        if (cells > kMaxIds / layers)
            throw Error(out.origin + ": " + std::to_string(layers) + " layers x " +
                        std::to_string(tokens) + " tokens are more than one trace holds");
        out.ids = {std::int64_t(tokens), std::int64_t(layers), std::int64_t(topK_), {}};
        out.ids.ids.assign(cells * layers, -1);
        for (const auto& [layer, ids] : layers_) {
            const std::size_t first = tokens - ids.size() / topK_;
            for (std::size_t i = 0; i < ids.size(); ++i)
                out.ids
                    .ids[((first + i / topK_) * layers + static_cast<std::size_t>(layer)) * topK_ +
                         i % topK_] = ids[i];
        }
        return out;
    }

private:
    static constexpr std::size_t kMaxIds = std::size_t{1} << 28U;
    static constexpr std::size_t kMaxColumns = kMaxImportTopK + 2;

    [[noreturn]] void fail(const std::string& cause, std::string hint = {}) const {
        throw Error(path_.string() + ": line " + std::to_string(number_) + ": " + cause,
                    std::move(hint));
    }

    std::int64_t integer(std::string_view cell) const {
        std::int64_t value = 0;
        const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
        if (error != std::errc() || end != cell.data() + cell.size())
            fail("\"" + std::string(cell.substr(0, 40)) + "\" is no integer");
        return value;
    }

    /// The cells of the line, at most kMaxColumns.
    std::size_t split(std::string_view line) {
        std::size_t count = 0;
        for (;;) {
            const std::size_t comma = line.find(',');
            if (count == cells_.size())
                fail("has more than " + std::to_string(kMaxColumns) + " columns");
            cells_[count++] = line.substr(0, comma);
            if (comma == std::string_view::npos) return count;
            line.remove_prefix(comma + 1);
        }
    }

    void addLine(std::string_view line) {
        const std::size_t columns = split(line);
        if (columns_ == 0) {
            columns_ = columns;
            if (columns < 2) fail("is no row of a moe-trace");
            version_ = line == kHeader ? Version::Phases
                       : columns == 2  ? Version::Plain
                                       : Version::Positions;
            if (version_ == Version::Positions) {
                if (topK_ != 0 && topK_ != columns - 2)
                    fail("has " + std::to_string(columns - 2) + " experts, not --top-k " +
                         std::to_string(topK_));
                topK_ = columns - 2;
            }
            if (version_ == Version::Plain && topK_ == 0)
                throw UsageError(path_.string() +
                                     ": rows of layer,expert do not say how many experts a token "
                                     "has: 'import moe-trace' needs --top-k K",
                                 "K is <architecture>.expert_used_count of the GGUF file");
            if (version_ == Version::Phases || line == "layer,expert") return;
        }
        if (columns != columns_)
            fail("has " + std::to_string(columns) + " columns, those before " +
                 std::to_string(columns_));
        switch (version_) {
            case Version::Plain:
                return add(integer(cells_[0]), cells_[1]);
            case Version::Positions:
                if (integer(cells_[0]) < 0) ++promptRows_[integer(cells_[1])];
                for (std::size_t i = 2; i < columns; ++i) add(integer(cells_[1]), cells_[i]);
                return;
            case Version::Phases:
                addRanked();
        }
    }

    /// Experts of a choice come by rank; the first choice says how many there are.
    void addRanked() {
        const std::int64_t rank = integer(cells_[3]);
        const bool next = rank == 0 && lastRank_ >= 0;
        if (next && topK_ == 0) topK_ = static_cast<std::size_t>(lastRank_) + 1;
        const bool whole = !next || static_cast<std::size_t>(lastRank_) + 1 == topK_;
        if (!whole || (!next && rank != lastRank_ + 1) ||
            (topK_ > 0 && rank >= static_cast<std::int64_t>(topK_)) || rank >= kMaxImportTopK)
            fail("rank " + std::to_string(rank) + " stands behind rank " +
                 std::to_string(lastRank_) + (topK_ > 0 ? " of top-" + std::to_string(topK_) : ""));
        lastRank_ = rank;
        if (cells_[0] != "prefill" && cells_[0] != "decode")
            fail("\"" + std::string(cells_[0].substr(0, 40)) + "\" is neither prefill nor decode");
        if (cells_[0] == "prefill") ++promptRows_[integer(cells_[2])];
        add(integer(cells_[2]), cells_[4]);
    }

    void add(std::int64_t layer, std::string_view cell) {
        if (layer < 0 || layer >= kMaxImportLayers)
            fail("layer " + std::to_string(layer) + " is not one of " +
                 std::to_string(kMaxImportLayers));
        layers_[layer].push_back(
            expertId(integer(cell), path_.string() + ": line " + std::to_string(number_)));
    }

    std::filesystem::path path_;
    std::size_t topK_;  ///< 0 until known
    Version version_ = Version::Plain;
    std::size_t columns_ = 0, number_ = 0;
    std::map<std::int64_t, std::size_t> promptRows_;  ///< by layer
    std::int64_t lastRank_ = -1;
    std::array<std::string_view, kMaxColumns> cells_;
    std::map<std::int64_t, std::vector<std::int16_t>> layers_;  ///< ids in the order of the file
};

}  // namespace

void importMoeTrace(const ImportRequest& request, RunWriter& writer) {
    RoutedRun run(writer, request);
    for (const std::filesystem::path& path : request.files) {
        throwIfStopped(request.stop);
        run.addSource(path);
        run.add(Trace(path, request.facts.topK, request.stop).sequence());
    }
    run.finish();
}

}  // namespace moescope
