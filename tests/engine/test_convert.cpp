// SPDX-License-Identifier: Apache-2.0
// Conversion to GGUF: the same logits where nothing is lost, and interruption at any point.
#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "engine/convert/convert.h"
#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/formats/dtypes.h"
#include "engine/formats/gguf.h"
#include "engine/formats/gguf_writer.h"
#include "engine/run/session.h"
#include "tests/engine/experts_apart.h"
#include "tests/engine/golden.h"

using namespace moescope;
using namespace moescope::testing;
namespace fs = std::filesystem;

namespace {

/// A folder of this test's own, removed at its end.
struct Folder {
    fs::path path;
    Folder() {
        std::string pattern = (fs::temp_directory_path() / "moescope-convert-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path = pattern;
    }
    ~Folder() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
};

ConvertOptions to(DType type, ConvertPart part) {
    ConvertOptions options;
    options.type = type;
    options.part = part;
    options.threads = 2;
    return options;
}

std::vector<float> logits(const Checkpoint& checkpoint, const std::vector<TokenId>& tokens) {
    const BoundModel model = bindModel(checkpoint);
    const auto backend = makeReferenceBackend(model);
    Session session(*backend, static_cast<int>(tokens.size()));
    std::vector<float> out;
    session.append(tokens, [&](int, std::span<const float> row) {
        out.insert(out.end(), row.begin(), row.end());
    });
    return out;
}

std::vector<float> convertedLogits(const Folder& folder, const std::string& golden,
                                   const std::vector<TokenId>& tokens,
                                   const ConvertOptions& options) {
    const fs::path out = folder.path / (golden + ".gguf");
    convertCheckpoint(goldenFolder(golden), out, options);
    return logits(*openCheckpoint(out), tokens);
}

}  // namespace

TEST_CASE("a Hugging Face folder converted without loss has the same logits") {
    const Folder folder;
    for (const char* name : {"gpt_oss_window", "gpt_oss_openai",     "llama_tied",
                             "llama_untied",   "llama_linear",       "llama_llama3",
                             "qwen3_tied",     "qwen3_yarn",         "qwen3_moe_renormalised",
                             "olmoe_plain",    "olmoe_renormalised", "olmoe_yarn",
                             "olmo2_heads",    "olmo2_grouped",      "olmo2_yarn",
                             "olmo3_pattern",  "olmo3_types",        "olmo3_older",
                             "gpt2_tied",      "gpt2_untied",        "gpt2_full",
                             "gemma3_pattern", "gemma3_scaled",      "gemma3_older",
                             "mistral_window", "mistral_null",       "mistral_silent",
                             "mixtral_pair",   "mixtral_many",       "mixtral_window",
                             "qwen2_tied",     "qwen2_yarn",

                             "gemma3_images"}) {
        INFO(name);
        const Golden golden = loadGolden(name);
        const auto got =
            convertedLogits(folder, name, golden.tokens, to(DType::F32, ConvertPart::All));
        CHECK(relativeError(got, golden.logits) < 1e-4);
        // Only the order of sums over the elements of a head may differ.
        CHECK(relativeError(got, logits(*golden.checkpoint, golden.tokens)) < 1e-5);
    }
}

TEST_CASE("what GGUF keys cannot say is refused before anything is written") {
    const Folder folder;
    const auto refused = [&](const char* golden) {
        try {
            convertCheckpoint(goldenFolder(golden), folder.path / "x.gguf",
                              to(DType::F32, ConvertPart::All));
        } catch (const Error& e) {
            return std::string(e.what());
        }
        return std::string("nothing");
    };
    CHECK_THAT(refused("gpt_oss_heads"),
               Catch::Contains("its activation (its kind, SwiGLU limit or factor) would differ"));
    CHECK_THAT(refused("qwen3_window"), Catch::Contains("its sliding window"));
    CHECK_THAT(refused("qwen2_window"), Catch::Contains("its sliding window"));
    CHECK_THAT(refused("qwen3_moe_plain"),
               Catch::Contains("would not be the same model: read back, tensor 'blk.1"));
    CHECK(fs::is_empty(folder.path));
}

TEST_CASE("MXFP4 blocks of a Hugging Face folder are repacked and not quantised again") {
    const Folder folder;
    const Golden golden = loadGolden("gpt_oss_mxfp4");
    const auto before = logits(*golden.checkpoint, golden.tokens);
    for (const Mxfp4Rule rule : {Mxfp4Rule::Floor, Mxfp4Rule::Ceil}) {
        ConvertOptions options = to(DType::MXFP4, ConvertPart::Experts);
        options.rule = rule;
        options.startOver = true;
        CHECK(convertedLogits(folder, "gpt_oss_mxfp4", golden.tokens, options) == before);
    }
    const auto file = openCheckpoint(folder.path / "gpt_oss_mxfp4.gguf");
    CHECK(file->find("blk.0.ffn_gate_exps.weight")->type == DType::MXFP4);
    CHECK(file->find("blk.0.ffn_gate_inp.weight")->type == DType::F32);
}

TEST_CASE("a GGUF file keeps its keys and all tensors that are not chosen") {
    const Folder folder;
    const fs::path in = goldenFolder("gpt_oss_mxfp4") / "model.gguf";
    const fs::path out = folder.path / "sub" / "q8.gguf";
    const ConvertResult result = convertCheckpoint(in, out, to(DType::Q8_0, ConvertPart::Experts));
    const auto before = openCheckpoint(in);
    const auto after = openCheckpoint(out);
    CHECK(result.fileBytes == fs::file_size(out));
    CHECK(result.converted > 0);
    CHECK(result.tensors == static_cast<std::int64_t>(before->tensors().size()));
    for (const auto& [key, value] : before->config().items()) {
        INFO(key);
        if (key != "general.file_type") CHECK(after->config().at(key) == value);
    }
    for (const TensorView& t : before->tensors()) {
        INFO(t.name);
        const TensorView* now = after->find(t.name);
        REQUIRE(now != nullptr);
        const bool experts = t.name.ends_with("_exps.weight");
        CHECK(now->type == (experts ? DType::Q8_0 : t.type));
        if (experts) continue;
        CHECK(std::memcmp(now->data, t.data, static_cast<std::size_t>(t.stackStride * t.stack())) ==
              0);
    }
}

TEST_CASE("experts that are tensors of their own are converted as experts") {
    const Folder folder;
    const Golden golden = loadGolden("mixtral_pair", "model.gguf");
    writeExpertsApart(*golden.checkpoint, folder.path / "apart.gguf");
    const fs::path out = folder.path / "f32.gguf";
    const ConvertResult result =
        convertCheckpoint(folder.path / "apart.gguf", out, to(DType::F32, ConvertPart::Experts));
    CHECK(result.converted == 2 * 3 * 3);  // layers, experts, matrices
    const auto file = openCheckpoint(out);
    CHECK(file->find("blk.1.ffn_down.2.weight")->type == DType::F32);
    CHECK(file->find("blk.1.attn_q.weight")->type == DType::BF16);
    CHECK(relativeError(logits(*file, golden.tokens), golden.logits) < 1e-4);
}

TEST_CASE("an interrupted conversion continues and gives the same file") {
    const Folder folder;
    const fs::path in = goldenFolder("gpt_oss_window");
    const ConvertOptions whole = to(DType::MXFP4, ConvertPart::Linear);
    convertCheckpoint(in, folder.path / "whole.gguf", whole);
    const std::string expected = readFile(folder.path / "whole.gguf");

    const fs::path out = folder.path / "pieces.gguf";
    int interruptions = 0;
    for (bool done = false; !done;) {
        StopFlag stop{false};
        int chunks = 0;
        ConvertOptions options = whole;
        options.stop = &stop;
        options.progress = [&](std::uint64_t, std::uint64_t, std::uint64_t) {
            stop = ++chunks == 5;
        };
        try {
            const ConvertResult result = convertCheckpoint(in, out, options);
            CHECK(result.resumedAt > 0);
            done = true;
        } catch (const Interrupted& e) {
            ++interruptions;
            CHECK_FALSE(fs::exists(out));
            CHECK(std::string(e.what()).find("pieces.gguf.part keeps") != std::string::npos);
            if (interruptions == 3) {  // a kill in the middle of writing data and journal
                std::ofstream(out.string() + ".part", std::ios::app) << "half a chunk";
                std::ofstream(out.string() + ".part.journal", std::ios::app) << "123456 0f";
            }
            if (interruptions == 5) {  // the last piece never reached the disk
                fs::resize_file(out.string() + ".part", fs::file_size(out.string() + ".part") - 9);
            }
        }
        REQUIRE(interruptions < 100);
    }
    CHECK(interruptions > 5);
    CHECK(readFile(out) == expected);
    CHECK_FALSE(fs::exists(out.string() + ".part"));
    CHECK_FALSE(fs::exists(out.string() + ".part.journal"));
}

TEST_CASE("a full disk ends a conversion in one sentence and the next run continues") {
    const Folder folder;
    const fs::path in = goldenFolder("gpt_oss_mxfp4") / "model.gguf";
    const fs::path out = folder.path / "m.gguf";
    const ConvertOptions options = to(DType::F32, ConvertPart::All);
    convertCheckpoint(in, folder.path / "whole.gguf", options);
    const std::string whole = readFile(folder.path / "whole.gguf");
    struct rlimit before {};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    struct rlimit tight = before;
    tight.rlim_cur = whole.size() / 2;  // writes beyond fail, as on a full disk
    std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &tight) == 0);
    std::string failure;
    try {
        convertCheckpoint(in, out, options);
    } catch (const Error& e) {
        failure = e.what();
    }
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, SIG_DFL);
    CHECK_THAT(failure, Catch::Contains("cannot write"));
    CHECK_FALSE(fs::exists(out));
    const ConvertResult result = convertCheckpoint(in, out, options);
    CHECK(result.resumedAt > 0);
    CHECK(result.resumedAt <= whole.size() / 2);
    CHECK(readFile(out) == whole);
}

TEST_CASE("an unfinished conversion with other options is refused until told to start over") {
    const Folder folder;
    const fs::path in = goldenFolder("llama_tied");
    const fs::path out = folder.path / "m.gguf";
    StopFlag stop{false};
    ConvertOptions options = to(DType::MXFP4, ConvertPart::Linear);
    options.stop = &stop;
    options.progress = [&](std::uint64_t, std::uint64_t, std::uint64_t) { stop = true; };
    CHECK_THROWS_AS(convertCheckpoint(in, out, options), Interrupted);
    options.stop = nullptr;
    options.rule = Mxfp4Rule::Rne;
    CHECK_THROWS_WITH(
        convertCheckpoint(in, out, options),
        out.string() + ".part: an unfinished file of another source or other options");
    options.startOver = true;
    CHECK(convertCheckpoint(in, out, options).resumedAt == 0);
    CHECK(fs::exists(out));
}

TEST_CASE("an unfinished conversion of a model whose weights were replaced is refused") {
    const Folder folder;
    const fs::path in = folder.path / "in";
    fs::create_directory(in);
    for (const char* name : {"config.json", "model.safetensors"})
        fs::copy_file(goldenFolder("llama_tied") / name, in / name);
    const fs::path out = in / "m.gguf";  // the folder of the source changes while it is written
    StopFlag stop{false};
    ConvertOptions options = to(DType::MXFP4, ConvertPart::Linear);
    options.stop = &stop;
    options.progress = [&](std::uint64_t, std::uint64_t, std::uint64_t) { stop = true; };
    CHECK_THROWS_AS(convertCheckpoint(in, out, options), Interrupted);
    stop = false;
    CHECK_THROWS_AS(convertCheckpoint(in, out, options), Interrupted);  // continues
    const fs::path weights = in / "model.safetensors";
    const auto time = fs::last_write_time(weights);
    std::fstream(weights, std::ios::in | std::ios::out | std::ios::binary)
        .seekp(-1, std::ios::end)
        .put('\x01');
    fs::last_write_time(weights, time - std::chrono::hours(1));  // older, as downloads can be
    options.stop = nullptr;
    CHECK_THROWS_WITH(
        convertCheckpoint(in, out, options),
        out.string() + ".part: an unfinished file of another source or other options");
    fs::last_write_time(weights, time);
    CHECK(convertCheckpoint(in, out, options).resumedAt > 0);
}

TEST_CASE("files that a conversion did not write keep what they hold") {
    const Folder folder;
    const fs::path out = folder.path / "m.gguf";
    ConvertOptions options = to(DType::MXFP4, ConvertPart::Linear);
    writeFile(out.string() + ".part", "somebody else's");
    writeFile(out.string() + ".part.check", "mine");
    CHECK_THROWS_WITH(convertCheckpoint(goldenFolder("llama_tied"), out, options),
                      out.string() +
                          ".part: is no unfinished file of this program (it has no "
                          "m.gguf.part.journal beside it)");
    CHECK(readFile(out.string() + ".part") == "somebody else's");
    options.startOver = true;
    convertCheckpoint(goldenFolder("llama_tied"), out, options);
    CHECK(readFile(out.string() + ".part.check") == "mine");
    CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 2);
}

TEST_CASE("no file of the source is written over, whatever the options") {
    const Folder folder;
    for (const char* name : {"config.json", "model.safetensors"})
        fs::copy_file(goldenFolder("llama_tied") / name, folder.path / name);
    ConvertOptions options = to(DType::Q8_0, ConvertPart::Linear);
    options.startOver = true;
    for (const char* name : {"config.json", "model.safetensors"}) {
        const fs::path out = folder.path / name;
        const std::string before = readFile(out);
        CHECK_THROWS_WITH(convertCheckpoint(folder.path, out, options),
                          out.string() + ": is a file of the model to convert");
        CHECK(readFile(out) == before);
    }
    const fs::path part = folder.path / "x.gguf.part";
    fs::copy_file(goldenFolder("gpt_oss_mxfp4") / "model.gguf", part);
    CHECK_THROWS_WITH(convertCheckpoint(part, folder.path / "x.gguf", options),
                      part.string() + ": is a file of the model to convert");
}

TEST_CASE("a second writer of the same result is refused and the first is not disturbed") {
    const Folder folder;
    const fs::path in = goldenFolder("llama_tied");
    const fs::path out = folder.path / "m.gguf";
    ConvertOptions options = to(DType::MXFP4, ConvertPart::Linear);
    const ConvertOptions second = options;
    int refused = 0;
    options.progress = [&](std::uint64_t, std::uint64_t, std::uint64_t) {
        CHECK_THROWS_WITH(convertCheckpoint(in, out, second),
                          out.string() + ".part: another process is writing it");
        ++refused;
    };
    convertCheckpoint(in, out, options);
    CHECK(refused > 0);
    convertCheckpoint(in, folder.path / "alone.gguf", second);
    CHECK(readFile(out) == readFile(folder.path / "alone.gguf"));
}

TEST_CASE("what llama.cpp is known not to do with the result is said") {
    const Folder folder;
    const auto gapOf = [&](const char* name) {
        return convertCheckpoint(goldenFolder(name), folder.path / (std::string(name) + ".gguf"),
                                 to(DType::F32, ConvertPart::All))
            .llamaCpp;
    };
    CHECK_THAT(gapOf("qwen3_yarn"), Catch::Contains("no code for biases"));
    CHECK_THAT(gapOf("gemma3_scaled"), Catch::Contains("query_pre_attn_scalar"));
    CHECK_THAT(gapOf("mistral_window"), Catch::Contains("ignores the sliding window"));
    CHECK_THAT(gapOf("mixtral_window"), Catch::Contains("ignores the sliding window"));
    for (const char* name : {"mistral_null", "mixtral_pair", "qwen2_tied", "llama_tied",
                             "qwen3_tied", "gemma3_pattern", "gpt_oss_mxfp4"}) {
        INFO(name);
        CHECK(gapOf(name).empty());
    }
}

TEST_CASE("a weight that is not finite ends a conversion by name") {
    const Folder folder;
    const fs::path in = folder.path / "in.gguf";
    fs::copy_file(goldenFolder("gpt_oss_mxfp4") / "model.gguf", in);
    std::uint64_t offset = 0;
    {
        const auto file = openCheckpoint(in);
        const TensorView* t = file->find("blk.1.ffn_up_exps.weight");
        const auto& gguf = dynamic_cast<const GgufCheckpoint&>(*file);
        const std::byte* start = gguf.keyRecords().front().bytes.data() - 24;  // after the header
        offset = static_cast<std::uint64_t>(t->data + t->rowStride - start);
    }
    std::fstream(in, std::ios::in | std::ios::out | std::ios::binary)
        .seekp(static_cast<std::streamoff>(offset))
        .put('\xFF');
    CHECK_THROWS_WITH(
        convertCheckpoint(in, folder.path / "out.gguf", to(DType::F32, ConvertPart::Experts)),
        Catch::Contains(in.string() + ": tensor 'blk.1.ffn_up_exps.weight': row 1"));
    CHECK_FALSE(fs::exists(folder.path / "out.gguf"));
    CHECK_THROWS_WITH(Model::load(in.string(), {}),
                      Catch::Contains(in.string() + ": tensor 'blk.1.ffn_up_exps.weight': row 1"));
}

namespace {

/// What converting a model with one weight of this size says.
std::string overflow(const Folder& folder, float weight, DType type) {
    const fs::path in = folder.path / "in.gguf";
    fs::copy_file(goldenFolder("llama_linear") / "model.gguf", in,
                  fs::copy_options::overwrite_existing);
    std::uint64_t offset = 0;
    {
        const auto file = openCheckpoint(in);
        const TensorView* t = file->find("blk.1.attn_q.weight");
        REQUIRE(t->type == DType::F32);
        const auto& gguf = dynamic_cast<const GgufCheckpoint&>(*file);
        const std::byte* start = gguf.keyRecords().front().bytes.data() - 24;  // after the header
        offset = static_cast<std::uint64_t>(t->data + 3 * t->rowStride - start);
    }
    std::fstream(in, std::ios::in | std::ios::out | std::ios::binary)
        .seekp(static_cast<std::streamoff>(offset))
        .write(reinterpret_cast<const char*>(&weight), sizeof weight);
    ConvertOptions options = to(type, ConvertPart::Linear);
    options.startOver = true;
    try {
        convertCheckpoint(in, folder.path / "out.gguf", options);
    } catch (const Error& e) {
        return e.what();
    }
    return "converted";
}

}  // namespace

TEST_CASE("a weight beyond the range of the new type is refused and never becomes infinite") {
    const Folder folder;
    const std::string start = (folder.path / "in.gguf").string() +
                              ": tensor 'blk.1.attn_q.weight': row 3 holds a number too large for ";
    CHECK(overflow(folder, 1e5F, DType::F16) == start + "F16");
    CHECK(overflow(folder, 1e5F, DType::Q8_0) == "converted");
    CHECK(overflow(folder, 1e7F, DType::Q8_0) == start + "Q8_0");
    CHECK(overflow(folder, 1e7F, DType::Q4_0) == start + "Q4_0");
    CHECK(overflow(folder, -1e7F, DType::Q4_1) == start + "Q4_1");
    CHECK(overflow(folder, 1e38F, DType::MXFP4) == "converted");
}

TEST_CASE("general.file_type names the type of most bytes") {
    const Folder folder;
    const auto typeOf = [&](const char* golden, DType type, ConvertPart part) {
        const fs::path out = folder.path / "out.gguf";
        ConvertOptions options = to(type, part);
        options.startOver = true;
        convertCheckpoint(goldenFolder(golden), out, options);
        return openCheckpoint(out)->config()["general.file_type"].get<int>();
    };
    CHECK(typeOf("llama_tied", DType::F32, ConvertPart::All) == 0);
    CHECK(typeOf("gpt_oss_mxfp4", DType::Q8_0, ConvertPart::Experts) == 7);
}

TEST_CASE("converting a file onto itself or experts that are not there is refused") {
    const Folder folder;
    const fs::path in = goldenFolder("gpt_oss_mxfp4") / "model.gguf";
    CHECK_THROWS_WITH(convertCheckpoint(in, in, to(DType::F32, ConvertPart::All)),
                      in.string() + ": is a file of the model to convert");
    CHECK_THROWS_WITH(convertCheckpoint(goldenFolder("llama_tied"), folder.path / "x.gguf",
                                        to(DType::MXFP4, ConvertPart::Experts)),
                      Catch::Contains("has no experts to convert"));
}
