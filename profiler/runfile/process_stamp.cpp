// SPDX-License-Identifier: Apache-2.0
#include "profiler/runfile/process_stamp.h"

#include <fstream>
#include <sstream>

namespace moescope {

std::string processStamp(int pid) {
    std::string stat;
    std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/stat"), stat);
    // The name of the program, in parentheses, may hold spaces and parentheses itself.
    const std::size_t name = stat.rfind(')');
    if (name == std::string::npos) return {};
    std::istringstream fields(stat.substr(name + 1));
    std::string state, field;
    fields >> state;
    if (state.empty() || state == "Z" || state == "X") return {};
    constexpr int kStateField = 3, kStartField = 22;  // proc(5)
    for (int i = kStateField; i < kStartField; ++i) fields >> field;
    if (!fields) return {};
    std::string boot;
    std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot);
    return boot + ' ' + field;
}

}  // namespace moescope
