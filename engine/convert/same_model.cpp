// SPDX-License-Identifier: Apache-2.0
#include "engine/convert/same_model.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <system_error>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/text/tokenizer.h"

namespace moescope {
namespace {

/// GGUF stores numbers as float32.
bool close(double a, double b) {
    return std::abs(a - b) <= 1e-6 * std::max(std::abs(a), std::abs(b));
}

bool sameRope(const RopeSpec& a, const RopeSpec& b) {
    if (a.yarn != b.yarn || !close(a.theta, b.theta) || !close(a.factor, b.factor)) return false;
    // A tensor: its values are copied, and not yet in the file that is looked at.
    if (a.divisors.size() != b.divisors.size()) return false;
    return !a.yarn || (close(a.betaFast, b.betaFast) && close(a.betaSlow, b.betaSlow) &&
                       a.originalContext == b.originalContext && a.truncate == b.truncate &&
                       close(ropeTable(a, 2).concentration, ropeTable(b, 2).concentration));
}

/// "" or the name of what differs between two layers.
std::string layerDifference(const LayerSpec& a, const LayerSpec& b) {
    if (a.window != b.window) return "sliding window";
    if (a.mlp != b.mlp || a.ffn != b.ffn) return "feed-forward width";
    if (!sameRope(a.rope, b.rope)) return "RoPE";
    return {};
}

std::string difference(const ModelSpec& a, const ModelSpec& b) {
    if (a.nLayer != b.nLayer || a.dModel != b.dModel || a.nHead != b.nHead ||
        a.nKvHead != b.nKvHead || a.headDim != b.headDim || a.vocab != b.vocab)
        return "shape";
    // The converter adds the one that Hugging Face's files of Gemma leave out.
    const auto kind = [](NormKind n) { return n == NormKind::RmsPlusOne ? NormKind::Rms : n; };
    if (!close(a.normEps, b.normEps) || kind(a.norm) != kind(b.norm) || a.normPlace != b.normPlace)
        return "normalisation";
    if (a.position != b.position || a.contextLength != b.contextLength) return "positions";
    if (a.qkNorm != b.qkNorm || a.sinks != b.sinks || !close(a.scale(), b.scale()))
        return "attention";
    if (a.tiedHead != b.tiedHead || !close(a.embeddingScale, b.embeddingScale)) return "head";
    if (a.activation != b.activation || !close(a.swigluAlpha, b.swigluAlpha) ||
        !close(a.swigluLimit, b.swigluLimit))
        return "activation (its kind, SwiGLU limit or factor)";
    if (a.nExpert != b.nExpert || a.topK != b.topK || (a.nExpert > 0 && a.routing != b.routing))
        return "routing";
    for (std::size_t i = 0; i < a.layers.size(); ++i) {
        const std::string found = layerDifference(a.layers[i], b.layers[i]);
        if (!found.empty()) return found + " of layer " + std::to_string(i);
    }
    return {};
}

bool sameIds(const Tokenizer& a, const Tokenizer& b, std::string_view text) {
    for (const auto specials : {SpecialTokens::AsText, SpecialTokens::Parse})
        if (a.encode(text, specials) != b.encode(text, specials)) return false;
    return a.encodeAfterSpecial(text) == b.encodeAfterSpecial(text);
}

/// "" or what text or which property shows that the two are not the same. Normalisation, merges and
/// what is taken whole show in the ids of the tokens' own texts.
std::string tokenizerDifference(const Tokenizer& a, const Tokenizer& b) {
    if (a.bos() != b.bos() || a.addBos() != b.addBos()) return "beginning-of-sequence token";
    if (a.eos() != b.eos() || a.endOfText() != b.endOfText()) return "end of a reply";
    if (a.chatTemplate() != b.chatTemplate()) return "chat template";
    constexpr std::string_view kAccented = "e\u0301";
    if (!sameIds(a, b, kAccented)) return "normalisation of text";
    for (int byte = 0; byte < 256; ++byte)
        if (!sameIds(a, b, std::string(1, static_cast<char>(byte))))
            return "treatment of byte " + std::to_string(byte);
    for (TokenId id = 0; id < a.vocabSize(); ++id) {
        const std::string text(a.bytes(id));
        if (text.empty()) continue;  // an id that nobody uses, or padding
        const bool same = b.bytes(id) == text && a.isSpecial(id) == b.isSpecial(id);
        if (!same || !sameIds(a, b, text) ||
            (a.find(text).has_value() && !sameIds(a, b, "x" + text + "x")))
            return "treatment of token " + std::to_string(id) + " '" + toValidUtf8(text) + "'";
    }
    return {};
}

/// A file of a name that nothing had before, removed at the end.
class ScratchFile {
public:
    explicit ScratchFile(const std::filesystem::path& beside) {
        std::string name = beside.string() + ".check.XXXXXX";
        const int file = ::mkstemp(name.data());
        if (file < 0) throw Error(name + ": cannot write: " + std::strerror(errno));
        ::close(file);
        path_ = name;
    }
    ~ScratchFile() {
        std::error_code ignored;
        std::filesystem::remove(path_, ignored);
    }
    ScratchFile(const ScratchFile&) = delete;
    ScratchFile& operator=(const ScratchFile&) = delete;

    const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
};

constexpr const char* kNoKey = "GGUF has no key for it: use the model as it is";

}  // namespace

void requireSameModel(const Checkpoint& source, const BoundModel& model, const std::string& tables,
                      std::uint64_t fileBytes, const std::filesystem::path& beside) {
    const ScratchFile file(beside);
    const std::filesystem::path& scratch = file.path();
    writeFile(scratch, tables);
    std::error_code code;
    std::filesystem::resize_file(scratch, fileBytes, code);
    if (code) throw Error(scratch.string() + ": cannot write: " + code.message());
    const std::string failure = model.spec.name + ": the GGUF file would not be the same model: ";
    std::string found;
    try {
        const auto result = openCheckpoint(scratch);
        found = difference(model.spec, bindModel(*result).spec);
        const auto tokenizer = tokenizerFromCheckpoint(source);
        if (found.empty() && tokenizer != nullptr)
            found = tokenizerDifference(*tokenizer, *tokenizerFromCheckpoint(*result));
    } catch (const Error& e) {
        const std::string_view what = e.what();
        const std::string prefix = scratch.string() + ": ";
        throw Error(failure + "read back, " +
                        std::string(what.substr(what.starts_with(prefix) ? prefix.size() : 0)),
                    kNoKey);
    }
    if (!found.empty()) throw Error(failure + "its " + found + " would differ", kNoKey);
}

}  // namespace moescope
