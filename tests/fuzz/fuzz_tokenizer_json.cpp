// SPDX-License-Identifier: Apache-2.0
// libFuzzer target: any bytes as tokenizer.json either load or give one Error; what loads encodes
// and decodes without a fault.
#include <unistd.h>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/core/file.h"
#include "engine/text/tokenizer.h"

namespace {

/// One file for each process: the interface reads paths. Memory-backed where possible.
const std::filesystem::path& scratchFile() {
    static const std::filesystem::path path = [] {
        const std::filesystem::path shm = "/dev/shm";
        const auto root =
            std::filesystem::exists(shm) ? shm : std::filesystem::temp_directory_path();
        const auto folder = root / ("moescope-fuzz-" + std::to_string(getpid()));
        std::filesystem::create_directories(folder);
        return folder / "tokenizer.json";
    }();
    return path;
}

/// The one special token that plain text may give: it stands for what has no other. -1: none.
moescope::TokenId unknownToken(std::string_view input) {
    const auto model = nlohmann::json::parse(input).at("model");
    const auto name = model.value("unk_token", nlohmann::json());
    if (!name.is_string() || !model.at("vocab").contains(name.get<std::string>())) return -1;
    return model["vocab"][name.get<std::string>()].get<moescope::TokenId>();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    moescope::writeFile(scratchFile(), input);
    try {
        const auto tokenizer = moescope::tokenizerFromJson(scratchFile());
        const auto text = input.substr(0, 512);
        for (const auto mode : {moescope::SpecialTokens::AsText, moescope::SpecialTokens::Parse}) {
            const auto ids = tokenizer->encode(text, mode);
            for (const moescope::TokenId id : ids)
                if (mode == moescope::SpecialTokens::AsText && tokenizer->isSpecial(id) &&
                    id != unknownToken(input))
                    __builtin_trap();  // plain text must never become a control token
            (void)tokenizer->decode(ids);
        }
    } catch (const moescope::Error&) {
        // Refused with a sentence: what malformed input must get.
    }
    return 0;
}
