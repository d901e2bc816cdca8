// SPDX-License-Identifier: Apache-2.0
// Logits of scored tokens as safetensors, streamed to disk.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/score_items.h"
#include "engine/convert/partial_file.h"

namespace moescope::cli {

/// One tensor (scored tokens, vocab) F32 an item, named by its id ("id/0", "id/1" where an item
/// lists continuations): row i holds the logits from which scored token i was predicted. The file
/// appears when it is whole, and nothing is left of it otherwise.
class LogitsFile {
public:
    /// `order`: (item, candidate) in the order in which rows will come. `input`: the file of the
    /// items. Throws Error for ids that are not unique, and when the disk has no room.
    LogitsFile(const std::filesystem::path& path, const std::filesystem::path& input,
               const std::vector<ScoreItem>& items,
               const std::vector<std::pair<std::size_t, std::size_t>>& order, std::size_t vocab,
               const std::string& model);
    ~LogitsFile();
    LogitsFile(const LogitsFile&) = delete;
    LogitsFile& operator=(const LogitsFile&) = delete;

    void add(std::span<const float> logits);
    void finish();

private:
    std::filesystem::path part_;
    std::optional<PartialFile> file_;
    bool finished_ = false;
};

}  // namespace moescope::cli
