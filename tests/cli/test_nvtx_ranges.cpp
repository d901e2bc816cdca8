// SPDX-License-Identifier: Apache-2.0
// What another tool hears through NVTX while the real program runs.
#include <cstdlib>
#include <map>
#include <sstream>

#include "tests/cli/program.h"

using moescope::test::Folder;
using moescope::test::Outcome;
namespace test = moescope::test;

namespace {

#ifdef MOESCOPE_NVTX_LISTENER
/// What the listener wrote while the program ran with these words.
std::string heard(const std::vector<std::string>& words) {
    const Folder folder;
    const std::string log = folder / "nvtx";
    ::setenv("NVTX_INJECTION64_PATH", MOESCOPE_NVTX_LISTENER, 1);
    ::setenv("NVTX_LISTENER_LOG", log.c_str(), 1);
    const Outcome outcome = test::run(words);
    ::unsetenv("NVTX_INJECTION64_PATH");
    ::unsetenv("NVTX_LISTENER_LOG");
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    return test::contentOf(log);
}

struct Ranges {
    std::map<std::string, int> paths;  ///< "decode/layer 1/experts" -> how often
    std::vector<long long> stepPayloads;
    int depth = 0;
    bool balanced = true, payloadsAreLayers = true, oneDomain = true;
};

Ranges parse(const std::string& text) {
    Ranges out;
    std::vector<std::string> open;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (line == "pop") {
            out.balanced = out.balanced && !open.empty();
            if (!open.empty()) open.pop_back();
            continue;
        }
        std::istringstream fields(line);
        std::string call, domain, name, payload;
        std::getline(fields, call, '|');
        std::getline(fields, domain, '|');
        std::getline(fields, name, '|');
        std::getline(fields, payload);
        out.oneDomain = out.oneDomain && call == "push" && domain == "moescope";
        open.push_back(name);
        std::string path;
        for (const std::string& part : open) path += (path.empty() ? "" : "/") + part;
        ++out.paths[path];
        if (open.front() == "warmup") continue;
        if (name == "prefill" || name == "decode") {
            out.stepPayloads.push_back(std::stoll(payload));
        } else if (open.size() > 1 && open[1].rfind("layer ", 0) == 0) {
            out.payloadsAreLayers = out.payloadsAreLayers && payload == open[1].substr(6);
        } else {
            out.payloadsAreLayers = out.payloadsAreLayers && payload == "-1";
        }
    }
    out.balanced = out.balanced && open.empty();
    return out;
}
#endif

}  // namespace

TEST_CASE("NVTX tells other tools of steps, layers and operations, nested and balanced") {
#ifndef MOESCOPE_NVTX_LISTENER
    WARN("skipped: this build has no NVTX3 headers (CUDA toolkit)");
#else
    const Folder folder;
    // With a sink of our own and without one: other tools hear the same.
    for (const std::vector<std::string>& command :
         {std::vector<std::string>{"generate"}, {"profile", "--out", folder / "r.moescope"}}) {
        std::vector<std::string> words{command.front(), "demo", "--prompt", "Once upon", "-n", "3",
                                       "--temperature", "0"};
        words.insert(words.end(), command.begin() + 1, command.end());
        const std::string text = heard(words);
        const Ranges ranges = parse(text);
        INFO(text);
        CHECK(ranges.oneDomain);
        CHECK(ranges.balanced);
        CHECK(ranges.payloadsAreLayers);
        // A token comes of the prompt, two of steps of their own: two more places.
        REQUIRE(ranges.stepPayloads.size() == 3);
        CHECK(ranges.stepPayloads[0] == 0);
        CHECK(ranges.stepPayloads[2] == ranges.stepPayloads[1] + 1);
        const auto count = [&](const std::string& path) {
            const auto found = ranges.paths.find(path);
            return found == ranges.paths.end() ? 0 : found->second;
        };
        const int warmed = command.front() == "profile" ? 1 : 0;
        CHECK(count("warmup") == warmed);
        CHECK(count("warmup/prefill/layer 1/experts") == warmed);
        CHECK(count("warmup/decode/layer 1/experts") == warmed);
        CHECK(count("prefill") == 1);
        CHECK(count("decode") == 2);
        CHECK(count("sample") == 3);
        CHECK(count("decode/embed") == 2);
        CHECK(count("decode/head") == 2);
        for (const char* op :
             {"attention_input", "attention", "attention_output", "router", "experts"})
            CHECK(count(std::string("decode/layer 1/") + op) == 2);
    }
#endif
}
