// SPDX-License-Identifier: Apache-2.0
// The tensors of a dictionary that torch.save wrote (since torch 1.6): a zip archive whose data.pkl
// describes them and whose data/N hold their bytes. The pickle is read, not run: of its opcodes
// those that build containers, numbers and texts, and of Python's objects the ones that torch
// describes a tensor with; whatever else it names is refused.
// Sources: Python's Lib/pickletools.py; torch/serialization.py and torch/_utils.py of torch 2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/core/mapped_file.h"
#include "profiler/import/expert_ids.h"

namespace moescope {

struct TorchTensor {
    IntegerType type;  ///< 0 bytes: of another type, which `typeName` says
    std::string typeName;
    std::vector<std::int64_t> shape;
    std::span<const std::byte> bytes;  ///< all of them, in C order; empty for another type
};

class TorchFile {
public:
    /// Throws Error naming the file: no archive of torch.save, truncated, another byte order, a
    /// pickle that does anything but describe, a root that is no dictionary with texts for keys, a
    /// tensor of integers that is not in C order or lies outside its storage.
    explicit TorchFile(const std::filesystem::path& path);

    /// The root dictionary's, by key; an entry that is no tensor has no bytes and no type name.
    const std::map<std::string, TorchTensor>& entries() const noexcept { return entries_; }

private:
    MappedFile file_;
    std::map<std::string, TorchTensor> entries_;
};

}  // namespace moescope
