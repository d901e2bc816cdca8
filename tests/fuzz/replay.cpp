// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over the files of one folder, for builds without libFuzzer: what once broke a
// reader is then tested by every compiler and sanitizer.
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>

#include "engine/core/file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: fuzz_NAME FOLDER\n", stderr);
        return 2;
    }
    try {
        int files = 0;
        for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
            std::printf("%s\n", entry.path().c_str());
            std::fflush(stdout);  // names the input that is to blame if the next line crashes
            const std::string bytes = moescope::readFile(entry.path());
            LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                   bytes.size());
            ++files;
        }
        return files > 0 ? 0 : 1;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}
