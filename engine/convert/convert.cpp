// SPDX-License-Identifier: Apache-2.0
// Streams the planned tensors through a bounded buffer.
#include "engine/convert/convert.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstring>
#include <span>

#include "engine/convert/llama_cpp.h"
#include "engine/convert/partial_file.h"
#include "engine/convert/plan.h"
#include "engine/convert/same_model.h"
#include "engine/core/error.h"
#include "engine/core/sha256.h"
#include "engine/core/thread_pool.h"
#include "engine/formats/dtypes.h"
#include "engine/formats/half.h"

namespace moescope {
namespace {

constexpr std::int64_t kChunkBytes = 8 << 20;  ///< of the result
constexpr std::uint64_t kAlignment = 32;
constexpr std::int64_t kRowsPerItem = 16;  ///< of a thread's share of a chunk

/// The row of the source (element of a vector) that becomes `row`: GGUF pairs neighbours where
/// Hugging Face pairs element i of a head with i + head_dim / 2.
std::int64_t reordered(const PlannedTensor& t, std::int64_t row) {
    const std::int64_t within = row % t.headDim;
    return row - within + within % 2 * (t.headDim / 2) + within / 2;
}

void storeSplit(const TensorView& source, std::int64_t stack, std::int64_t row,
                std::span<std::byte> out) {
    const std::byte* codes = source.data + stack * source.stackStride + row * source.rowStride;
    const std::byte* scales =
        source.scales + stack * source.scaleStackStride + row * source.scaleStride;
    for (; !out.empty(); out = out.subspan(kMxfp4Record), codes += kMxfp4Codes) {
        mxfp4Record(std::span<const std::byte, kMxfp4Codes>(codes, kMxfp4Codes), *scales++,
                    out.first<kMxfp4Record>());
    }
}

/// A float32 bias of rows that are reordered.
void storeReordered(const PlannedTensor& t, std::span<std::byte> out) {
    for (std::int64_t i = 0; i < t.source.cols(); ++i) {
        std::memcpy(out.data() + i * 4, t.source.data + reordered(t, i) * 4, 4);
    }
}

/// Refuses numbers beyond the range of the type or of its scales, which would become infinite.
void storeFloats(const PlannedTensor& t, Mxfp4Rule rule, std::int64_t row,
                 std::span<const float> values, std::span<std::byte> out) {
    if (t.type == DType::MXFP4)
        quantizeMxfp4(rule, values, out);
    else
        quantizeRow(t.type, values, out);
    TensorView stored;
    stored.type = t.type;
    stored.rank = 1;
    stored.shape[0] = static_cast<std::int64_t>(values.size());
    stored.data = out.data();
    if (!rowIsFinite(stored, 0, 0))
        throw WeightError("tensor '" + t.name + "': row " + std::to_string(row) +
                              " holds a number too large for " +
                              std::string(dtypeInfo(t.type).name),
                          "choose a type of wider range (--to bf16, f32 or mxfp4)");
}

/// Row `row` of a matrix of a plain type that is stored transposed.
void gatherColumn(const PlannedTensor& t, std::int64_t row, std::span<float> out) {
    const std::byte* from = t.source.data + row * t.source.rowStride;
    for (float& x : out) {
        if (t.source.type == DType::F32) {
            std::memcpy(&x, from, sizeof x);
        } else {
            std::uint16_t bits = 0;
            std::memcpy(&bits, from, sizeof bits);
            x = t.source.type == DType::F16 ? halfToFloat(bits) : bf16ToFloat(bits);
        }
        if (!std::isfinite(x))
            throw WeightError("tensor '" + t.name + "': row " + std::to_string(row) +
                              " holds a number that is not finite");
        from += t.columnStride;
    }
}

/// As it lies in the file, to hand its pages back.
TensorView storedView(const PlannedTensor& t, const TensorView& matrix) {
    if (t.columnStride == 0) return matrix;
    TensorView stored = matrix;
    std::swap(stored.shape[0], stored.shape[1]);
    stored.rowStride = t.columnStride;
    return stored;
}

/// One row of matrix `stack`, as the result has it.
void storeRow(const PlannedTensor& t, Mxfp4Rule rule, std::int64_t stack, std::int64_t row,
              std::span<float> scratch, std::span<std::byte> out) {
    const TensorView& source = t.source;
    const bool vector = source.rank == 1;
    const std::int64_t from = t.headDim > 0 && !vector ? reordered(t, row) : row;
    if (t.columnStride > 0) {
        gatherColumn(t, row, scratch);
        return storeFloats(t, rule, row, scratch, out);
    }
    if (dtypeInfo(source.type).isWeight) refuseNotFinite(source, stack, from);
    if (t.headDim > 0 && vector) {
        storeReordered(t, out);
    } else if (source.type == DType::MXFP4Split && t.type == DType::MXFP4) {
        storeSplit(source, stack, from, out);
    } else if (source.type == t.type && t.offset == 0.0F) {
        std::memcpy(out.data(), source.matrixData(stack) + from * source.rowStride, out.size());
    } else {
        dequantizeRow(source, stack, from, scratch);
        for (float& x : scratch) x += t.offset;
        storeFloats(t, rule, row, scratch, out);
    }
}

class Stream {
public:
    Stream(const Checkpoint& checkpoint, const ConvertOptions& options, std::uint64_t total,
           PartialFile& file)
        : checkpoint_(checkpoint),
          options_(options),
          total_(total),
          file_(file),
          resumed_(file.written()),
          pool_(options.threads),
          scratch_(static_cast<std::size_t>(pool_.size())) {}

    /// Bytes that an earlier run has written are passed over without being computed.
    void bytes(std::span<const std::byte> bytes) {
        const std::uint64_t end = position_ + bytes.size();
        if (end > file_.written()) file_.write(bytes.subspan(file_.written() - position_));
        position_ = end;
    }

    void tensor(const PlannedTensor& t) {
        const std::int64_t rowSize = rowBytes(t.type, t.source.cols()).value_or(0);
        const std::int64_t step = std::max<std::int64_t>(1, kChunkBytes / rowSize);
        for (std::int64_t s = 0; s < t.source.stack(); ++s) {
            const TensorView matrix = t.source.matrix(s);
            for (std::int64_t row = 0; row < matrix.rows(); row += step) {
                chunk(t, s, row, std::min(step, matrix.rows() - row), rowSize);
                // Once more what was released: the kernel maps neighbours of a page that is read.
                checkpoint_.release(storedView(t, matrix));
            }
        }
        static constexpr std::array<std::byte, kAlignment> kZeros{};
        bytes(std::span(kZeros).first((kAlignment - position_ % kAlignment) % kAlignment));
    }

private:
    void chunk(const PlannedTensor& t, std::int64_t stack, std::int64_t first, std::int64_t rows,
               std::int64_t rowSize) {
        const auto size = static_cast<std::size_t>(rows * rowSize);
        if (position_ + size <= file_.written()) {
            position_ += size;
            return;
        }
        stopped();
        buffer_.resize(size);
        const auto cols = static_cast<std::size_t>(t.source.cols());
        for (auto& scratch : scratch_) scratch.resize(cols);
        const auto width = static_cast<std::size_t>(rowSize);
        const std::int64_t items = (rows + kRowsPerItem - 1) / kRowsPerItem;
        pool_.parallelFor(items, [&](std::int64_t item, int thread) {
            const std::int64_t end = std::min(rows, (item + 1) * kRowsPerItem);
            for (std::int64_t r = item * kRowsPerItem; r < end; ++r) {
                storeRow(t, options_.rule, stack, first + r,
                         scratch_[static_cast<std::size_t>(thread)],
                         std::span(buffer_).subspan(static_cast<std::size_t>(r) * width, width));
            }
        });
        bytes(buffer_);
        if (options_.progress) options_.progress(position_, total_, resumed_);
    }

    void stopped() {
        if (options_.stop == nullptr || !options_.stop->load(std::memory_order_relaxed)) return;
        file_.record();
        throw Interrupted("interrupted; " + file_.partPath().string() + " keeps " +
                              std::to_string(file_.written()) + " of " + std::to_string(total_) +
                              " bytes",
                          "the same command continues it");
    }

    const Checkpoint& checkpoint_;
    const ConvertOptions& options_;
    std::uint64_t total_;
    PartialFile& file_;
    std::uint64_t resumed_;
    ThreadPool pool_;
    std::vector<std::vector<float>> scratch_;  ///< a row per thread
    std::vector<std::byte> buffer_;
    std::uint64_t position_ = 0;
};

/// Names the source by what can be had without reading its weights: of two models of one shape the
/// files differ in their times.
std::string describe(const Checkpoint& checkpoint, const std::string& tables,
                     const ConvertOptions& options) {
    Sha256 hash;
    hash.update(tables);
    hash.update(checkpoint.identity() + ' ' + std::string(mxfp4RuleName(options.rule)));
    for (const auto& path : checkpoint.files()) {
        const auto time = std::filesystem::last_write_time(path).time_since_epoch().count();
        hash.update('\n' + path.filename().string() + ' ' +
                    std::to_string(std::filesystem::file_size(path)) + ' ' + std::to_string(time));
    }
    return "moescope convert 2 " + hash.hex();
}

/// The result replaces what has its name, and what is unfinished is written over.
void refuseSource(const Checkpoint& checkpoint, const std::filesystem::path& out) {
    const PartialNames names(out);
    std::error_code absent;
    for (const auto& file : checkpoint.files())
        for (const auto& written : {out, names.part, names.journal})
            if (std::filesystem::equivalent(file, written, absent))
                throw Error(written.string() + ": is a file of the model to convert",
                            "choose another name for the result");
}

}  // namespace

ConvertResult convertCheckpoint(const std::filesystem::path& in, const std::filesystem::path& out,
                                const ConvertOptions& options) {
    const auto checkpoint = openCheckpoint(in);
    refuseSource(*checkpoint, out);
    const BoundModel model = bindModel(*checkpoint, {.leaveTransposed = true});
    ConvertResult result;
    result.llamaCpp = llamaCppGap(model);
    const std::vector<PlannedTensor> tensors = planTensors(*checkpoint, model, options, result);
    GgufWriter writer(out);
    addKeys(writer, *checkpoint, model, tensors, options);
    for (const PlannedTensor& t : tensors) {
        writer.addTensor(t.name, t.type,
                         std::span(t.source.shape).first(static_cast<std::size_t>(t.source.rank)));
    }
    const std::string tables = writer.tables();
    result.fileBytes = writer.fileBytes();
    throwIfStopped(options.stop);
    PartialFile file(out, describe(*checkpoint, tables, options), result.fileBytes,
                     options.startOver);
    if (checkpoint->layout() != CheckpointLayout::Gguf)
        requireSameModel(*checkpoint, model, tables, result.fileBytes, file.partPath());
    result.resumedAt = file.written();
    Stream stream(*checkpoint, options, result.fileBytes, file);
    stream.bytes(std::as_bytes(std::span(tables)));
    try {
        for (const PlannedTensor& t : tensors) stream.tensor(t);
    } catch (const WeightError& e) {
        throw Error(in.string() + ": " + e.what(), e.hint());
    }
    assert(file.written() == result.fileBytes);
    file.finish();
    return result;
}

}  // namespace moescope
