// SPDX-License-Identifier: Apache-2.0
// Entry point: signal handling, then the command table.
#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include "cli/command.h"

namespace {

moescope::StopFlag stopRequested{false};

extern "C" void onSignal(int number) {
    // A second signal ends the program at once, should a command not reach its next poll.
    if (stopRequested.exchange(true)) {
        std::signal(number, SIG_DFL);
        std::raise(number);
    }
}

}  // namespace

int main(int argc, char** argv) {
    struct sigaction action {};
    action.sa_handler = onSignal;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    // A reader that closes the pipe (`| head`) and a full disk are errors to report, not deaths.
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
    // CUDA loads a kernel at its first launch unless told otherwise before it is first called. In a
    // profile on an H100 the first calls took 13 of the 20.6 ms to the first token longer than the
    // others.
    ::setenv("CUDA_MODULE_LOADING", "EAGER", 0);
    return moescope::cli::runProgram(std::vector<std::string>(argv, argv + argc), &stopRequested);
}
