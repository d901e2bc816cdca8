// SPDX-License-Identifier: Apache-2.0
// Without a device there is nothing to test: ctest shows the tests as skipped (exit code 77).
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include <cstdio>
#include <string_view>

#include "engine/backend/cuda/launch.h"

int main(int argc, char** argv) {
    bool lists = false;
    for (int i = 1; i < argc; ++i)
        lists = lists || std::string_view(argv[i]).substr(0, 6) == "--list";
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (!lists && (status != cudaSuccess || count == 0)) {
        std::printf("skipped: no CUDA device (%s)\n", cudaGetErrorString(status));
        return 77;
    }
    return Catch::Session().run(argc, argv);
}
