// SPDX-License-Identifier: Apache-2.0
#include "cli/score_logits.h"

#include <array>
#include <bit>

#include "cli/json_lines.h"
#include "engine/core/error.h"
#include "engine/core/file.h"

namespace moescope::cli {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

std::string tensorName(const ScoreItem& item, std::size_t candidate) {
    return item.listed ? item.id + "/" + std::to_string(candidate) : item.id;
}

}  // namespace

LogitsFile::LogitsFile(const std::filesystem::path& path, const std::filesystem::path& input,
                       const std::vector<ScoreItem>& items,
                       const std::vector<std::pair<std::size_t, std::size_t>>& order,
                       std::size_t vocab, const std::string& model)
    : part_(path.string() + ".part") {
    nlohmann::json header{{"__metadata__",
                           {{"format", "moescope.score"},
                            {"model", model},
                            {"rows", "row i: the logits that predict scored token i"}}}};
    std::uint64_t offset = 0;
    for (const auto& [index, candidate] : order) {
        const ScoreCandidate& c = items[index].candidates[candidate];
        const std::string name = toValidUtf8(tensorName(items[index], candidate));
        if (header.contains(name))
            throw Error(lineName(input, items[index].line) + ": --logits would write a second '" +
                            name + "', which is the name of an earlier line's tensor",
                        "choose another \"id\"");
        const std::uint64_t rows = c.sequence.tokens.size() - c.scoredFrom;
        const std::uint64_t bytes = rows * vocab * sizeof(float);
        header[name] = {
            {"dtype", "F32"}, {"shape", {rows, vocab}}, {"data_offsets", {offset, offset + bytes}}};
        offset += bytes;
    }
    std::string text = dumpJson(header);
    text.resize((text.size() + 7) / 8 * 8, ' ');
    const std::uint64_t length = text.size();
    file_.emplace(path, "logits", offset + length + sizeof length, true);
    file_->write(std::as_bytes(std::span(&length, 1)));
    file_->write(std::as_bytes(std::span(text)));
}

LogitsFile::~LogitsFile() {
    if (finished_) return;
    file_.reset();
    std::error_code ignored;
    std::filesystem::remove(part_, ignored);
    std::filesystem::remove(part_.string() + ".journal", ignored);
}

void LogitsFile::add(std::span<const float> logits) {
    file_->write(std::as_bytes(logits));
}

void LogitsFile::finish() {
    file_->finish();
    finished_ = true;
}

}  // namespace moescope::cli
