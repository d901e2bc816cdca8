// SPDX-License-Identifier: Apache-2.0
// A layout of GGUF that no converter writes any more, made from the present one.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "engine/formats/gguf.h"
#include "engine/formats/gguf_writer.h"

namespace moescope::testing {

/// The GGUF file of Mixtral with every expert as a tensor of its own, as converters wrote it before
/// April 2024: "blk.0.ffn_gate.2.weight".
inline void writeExpertsApart(const Checkpoint& merged, const std::filesystem::path& out) {
    GgufWriter writer(out);
    for (const auto& record : dynamic_cast<const GgufCheckpoint&>(merged).keyRecords())
        writer.addRecord(record.bytes);
    std::vector<TensorView> order;
    const auto add = [&](const TensorView& t, const std::string& name) {
        const auto rank = static_cast<std::size_t>(t.rank);
        writer.addTensor(name, t.type, std::span(t.shape).first(rank));
        order.push_back(t);
    };
    for (const TensorView& t : merged.tensors()) {
        const std::size_t at = t.name.find("_exps");
        for (std::int64_t e = 0; at != std::string::npos && e < t.stack(); ++e)
            add(t.matrix(e), t.name.substr(0, at) + "." + std::to_string(e) + ".weight");
        if (at == std::string::npos) add(t, t.name);
    }
    writer.begin();
    for (const TensorView& t : order)
        writer.write({t.data, static_cast<std::size_t>(t.rowStride * t.rows())});
    writer.finish();
}

}  // namespace moescope::testing
