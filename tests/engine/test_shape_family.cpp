// SPDX-License-Identifier: Apache-2.0
#include "engine/model/shape_family.h"

#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>

#include "engine/model/synth_checkpoint.h"
#include "engine/run/model_names.h"
#include "tests/engine/checkpoint_files.h"

using namespace moescope;
using namespace moescope::test;

namespace {

/// Two layers whose tensors can be added up by hand.
SynthConfig tinyQwen() {
    SynthConfig c = synthConfig("qwen3-30b-a3b");
    c.name = "tiny";
    c.layers = 2;
    c.dModel = c.headDim = c.ffn = 32;
    c.heads = c.kvHeads = 1;
    c.experts = 2;
    c.topK = 1;
    c.vocab = 512;
    return c;
}

double deviation(std::uint64_t count, std::uint64_t wanted) {
    return std::abs(static_cast<double>(count) / static_cast<double>(wanted) - 1);
}

/// Leaves the process `more` bytes of address space beyond what it has.
class AddressSpaceLimit {
public:
    explicit AddressSpaceLimit(std::uint64_t more) {
        std::uint64_t pages = 0;
        std::ifstream("/proc/self/statm") >> pages;
        REQUIRE(getrlimit(RLIMIT_AS, &before_) == 0);
        rlimit limit = before_;
        limit.rlim_cur = pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) + more;
        REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
    }
    ~AddressSpaceLimit() { setrlimit(RLIMIT_AS, &before_); }
    AddressSpaceLimit(const AddressSpaceLimit&) = delete;
    AddressSpaceLimit& operator=(const AddressSpaceLimit&) = delete;

private:
    rlimit before_{};
};

}  // namespace

TEST_CASE("parameters of a shape are those of its tensors, added up by hand") {
    // A layer: norms 3 x 32 and of heads 2 x 32 (of which one serves the experts); q, k, v and
    // output 4 x 1024; router 2 x 32; experts 2 x 3 x 1024. Ends: 2 x 512 x 32 and a norm of 32.
    const std::uint64_t layer = 4 * 32 + 4 * 1024 + 64 + 6144;
    const ParameterCount count = countParameters(tinyQwen());
    CHECK(count.total == 2 * layer + 32768 + 32);
    CHECK(count.active == 2 * (layer - 3072) + 16384 + 32);
    CHECK(count.embedding == 32768);
}

TEST_CASE("parameters of a shape are those of the file that synth writes, and the published ones") {
    const TemporaryFolder folder;
    SynthConfig demo = synthConfig("demo-synthetic");
    demo.layers = 3;
    CHECK(countParameters(demo).total == synthesize(demo, folder / "x.gguf").parameters);
    // Model card of gpt-oss: 20.91 B and 3.61 B, 116.83 B and 5.13 B.
    const ParameterCount small = countParameters(synthConfig("gpt-oss-20b"));
    const ParameterCount large = countParameters(synthConfig("gpt-oss-120b"));
    CHECK(small.total == 20'914'757'184);
    CHECK(std::round(double(small.active) / 1e7) == 361);
    CHECK(std::round(double(large.total) / 1e7) == 11683);
    CHECK(std::round(double(large.active) / 1e7) == 513);
    for (const char* name : {"gpt-oss-20b", "qwen3-30b-a3b"}) {
        const SynthOutline outline(synthConfig(name));
        const BoundModel bound = bindModel(outline);
        CHECK(countParameters(synthConfig(name)).active ==
              countParameters(bound.spec, bound.weights).active);
    }
}

TEST_CASE("an outline is the checkpoint without weights and vocabulary") {
    SynthConfig config = synthConfig("demo-synthetic");
    config.layers = 2;
    const SynthCheckpoint drawn(config, "synth:demo-synthetic");
    const SynthOutline outline(config);
    REQUIRE(outline.tensors().size() == drawn.tensors().size());
    for (const TensorView& t : drawn.tensors()) {
        const TensorView* mine = outline.find(t.name);
        REQUIRE(mine != nullptr);
        CHECK(mine->type == t.type);
        CHECK(mine->shape == t.shape);
    }
    CHECK(outline.stringArray("tokenizer.ggml.tokens").empty());
    CHECK(outline.synthetic());
    CHECK(outline.identity() != drawn.identity());
}

TEST_CASE("a deeper or wider shape keeps the count and the base's proportions") {
    const SynthConfig base = synthConfig("gpt-oss-20b");
    const auto shapes = shapeFamily(base, {.layers = {12, 24, 48}, .experts = {}});
    REQUIRE(shapes.size() == 3);  // the base, once
    CHECK(shapes[0].config.name == "gpt-oss-20b");
    CHECK(shapes[0].totalDeviation == 0);
    for (const FamilyShape& shape : shapes) {
        const SynthConfig& c = shape.config;
        INFO(c.name);
        CHECK(shape.possible());
        CHECK_NOTHROW(requireSynthShape(c, c.name));
        CHECK(std::abs(shape.totalDeviation) < 0.005);
        CHECK(c.heads == 8 * c.kvHeads);
        CHECK(std::abs(c.kvHeads - 8.0 * c.dModel / 2880) <= 0.5);
        CHECK(std::abs(c.ffn - c.dModel) < 32);  // the base's experts are as wide as the model
        CHECK(c.headDim == 64);
        CHECK(c.experts == 32);
    }
    CHECK(shapes[1].config.name == "gpt-oss-20b-l12");
    CHECK(shapes[1].config.layers == 12);
    CHECK(shapes[1].config.dModel > 2880);
    CHECK(shapes[2].config.dModel < 2880);

    const auto active =
        shapeFamily(base, {.layers = {48}, .experts = {}, .keep = ShapeKeep::Active});
    CHECK(std::abs(active[1].activeDeviation) < 0.01);
    CHECK(std::abs(active[1].activeDeviation) < std::abs(shapes[2].activeDeviation));
}

TEST_CASE("no width of the whole grid comes closer to the base's count") {
    const SynthConfig base = synthConfig("demo-synthetic");
    const std::uint64_t wanted = countParameters(base).total;
    for (const std::int32_t layers : {1, 3, 16, 40}) {
        const FamilyShape found = shapeFamily(base, {.layers = {layers}, .experts = {}}).back();
        double least = 1e9;
        for (std::int32_t width = 32; width <= 1024; width += 32) {
            SynthConfig c = found.config;
            c.dModel = width;
            c.kvHeads = std::max<std::int32_t>(
                1, static_cast<std::int32_t>(std::lround(2.0 * width / 224)));
            c.heads = 4 * c.kvHeads;
            for (const int up : {0, 1}) {
                c.ffn = std::max(1, 64 * width / 224 / 32 + up) * 32;
                least = std::min(least, deviation(countParameters(c).total, wanted));
            }
        }
        INFO(layers << " layers");
        CHECK(std::abs(found.totalDeviation) == Approx(least));
    }
}

TEST_CASE("experts are cut finer at the same width of the model") {
    const SynthConfig base = synthConfig("gpt-oss-20b");
    const auto shapes = shapeFamily(base, {.layers = {}, .experts = {16, 64, 128}});
    REQUIRE(shapes.size() == 4);
    const SynthConfig& fine = shapes[2].config;
    CHECK(fine.name == "gpt-oss-20b-e64");
    CHECK(fine.experts == 64);
    CHECK(fine.topK == 8);
    CHECK(fine.ffn == 1440);
    CHECK(fine.dModel == 2880);
    CHECK(fine.layers == 24);
    // A layer has 32 more rows of the router with their biases, and 32 more biases of 2880.
    CHECK(shapes[2].count.total - shapes[0].count.total == 24 * (32 * 2881 + 32 * 2880));
    CHECK(shapes[1].config.topK == 2);
    CHECK(shapes[1].config.ffn == 5760);
    // 720 is no multiple of 32: 736 is nearest, 2 % more.
    CHECK(shapes[3].config.ffn == 736);
    CHECK(shapes[3].totalDeviation == Approx(0.0209).margin(0.0001));
}

TEST_CASE("experts that no whole number of a token could choose are no shape") {
    const SynthConfig base = synthConfig("gpt-oss-20b");
    const auto shapes = shapeFamily(base, {.layers = {}, .experts = {20, 8, 4, 4096}});
    REQUIRE(shapes.size() == 5);
    CHECK(shapes[1].problem ==
          "20 experts of 32 with 4 a token: a token would choose 80/32 of them, no whole number");
    CHECK(shapes[1].config.name == "gpt-oss-20b-e20");
    CHECK(shapes[2].possible());
    CHECK(shapes[2].config.topK == 1);
    CHECK_FALSE(shapes[3].possible());  // half an expert
    CHECK(shapes[4].possible());
    CHECK(shapes[4].config.ffn == 32);  // 22.5, the least there is
    SynthConfig narrow = base;
    narrow.ffn = 32;
    CHECK(shapeFamily(narrow, {.layers = {}, .experts = {128}})[1].problem ==
          "128 experts of 32 with 4 a token: one would be 8 wide, outside 32 to 131072");
}

TEST_CASE("layers and experts together make every combination once") {
    const auto shapes =
        shapeFamily(synthConfig("demo-synthetic"), {.layers = {4, 8, 4}, .experts = {12, 24, 48}});
    std::vector<std::string> names;
    for (const FamilyShape& shape : shapes) names.push_back(shape.config.name);
    CHECK(names == std::vector<std::string>{"demo-synthetic", "demo-synthetic-l4-e12",
                                            "demo-synthetic-e12", "demo-synthetic-l4",
                                            "demo-synthetic-l4-e48", "demo-synthetic-e48"});
    CHECK(shapes[4].config.topK == 8);
}

TEST_CASE("a base that is no shape is refused by name") {
    SynthConfig base = synthConfig("demo-synthetic");
    base.ffn = 33;
    CHECK(errorOf([&] { shapeFamily(base, {}); }) ==
          "demo-synthetic: \"ffn\" is not a multiple of 32");
    base = synthConfig("demo-synthetic");
    base.window = 0;  // the engine would not read the file
    CHECK(errorOf([&] { shapeFamily(base, {}); }) ==
          "demo-synthetic: \"window\" is 0, gpt-oss needs one");
    base.ffn = 1 << 18;
    CHECK(errorOf([&] { shapeFamily(base, {}); }) == "demo-synthetic: \"ffn\" is above 131072");
}

TEST_CASE("a configuration's text reads back as the same shape") {
    const TemporaryFolder folder;
    SynthConfig config =
        shapeFamily(synthConfig("gpt-oss-120b"), {.layers = {18}, .experts = {}})[1].config;
    config.dense = DType::BF16;
    writeQuickly(folder / "mine.json", synthConfigText(config));
    const SynthConfig read = synthConfig((folder / "mine.json").string());
    CHECK(synthConfigText(read) == synthConfigText(config));
    CHECK(read.name == "gpt-oss-120b-l18");
    CHECK(read.dModel == config.dModel);
    CHECK(read.yarnFactor == 32.0);
    CHECK(read.dense == DType::BF16);
}

TEST_CASE("the shape of a model is the configuration that it would be made from") {
    for (const char* name : {"gpt-oss-20b", "qwen3-30b-a3b"}) {
        const SynthConfig config = synthConfig(name);
        const SynthOutline outline(config);
        const SynthConfig found = synthConfigOf(bindModel(outline), name);
        INFO(name);
        CHECK(found.layers == config.layers);
        CHECK(found.window == config.window);
        CHECK(found.yarnFactor == config.yarnFactor);
        CHECK(found.ropeTheta == config.ropeTheta);
        CHECK(countParameters(found).total == countParameters(config).total);
    }
    const auto demo = openModel("demo");
    const SynthConfig config = synthConfigOf(bindModel(*demo), "demo");
    CHECK(config.dModel == 224);
    CHECK(config.context == 1024);
    CHECK(config.yarnFactor == 1.0);
    BoundModel dense = bindModel(*demo);
    dense.spec.architecture = "llama";
    CHECK(errorOf([&] { synthConfigOf(dense, "x"); }) ==
          "x: no family can be made of architecture 'llama'");
}

TEST_CASE("a family of a small model is found without the address space of large ones") {
    const SynthConfig demo = synthConfig("demo-synthetic");
    const ShapeFamilyOptions options{{1, 2, 4, 16, 48}, {}, ShapeKeep::Total};
    const AddressSpaceLimit limit(std::uint64_t{512} << 20);
    const std::vector<FamilyShape> shapes = shapeFamily(demo, options);
    CHECK(shapes.size() == 6);
    for (const FamilyShape& shape : shapes) CHECK(shape.possible());
}
