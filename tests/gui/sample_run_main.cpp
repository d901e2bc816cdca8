// SPDX-License-Identifier: Apache-2.0
// Writes the tests' sample run to a file, for looking at the window by hand.
#include <cstdio>
#include <cstdlib>

#include "engine/core/error.h"
#include "tests/gui/make_sample_run.h"

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fputs("usage: gui_sample_run FILE.moescope [GENERATED_TOKENS]\n", stderr);
        return 2;
    }
    moescope::gui::test::SampleShape shape;
    if (argc > 2) shape.generatedTokens = std::atoi(argv[2]);
    try {
        moescope::gui::test::makeSampleRun(argv[1], shape);
    } catch (const moescope::Error& error) {
        std::fprintf(stderr, "Error: %s\n", error.what());
        return 1;
    }
    return 0;
}
