// SPDX-License-Identifier: Apache-2.0
// Entry point of the window.
#include "gui/app/application.h"

int main(int argc, char** argv) {
    return moescope::gui::runApplication(argc, argv);
}
