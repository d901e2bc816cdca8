// SPDX-License-Identifier: Apache-2.0
// The few functions of the CUDA driver that the profiler itself calls, found at run time.
#pragma once

#include <cstdint>
#include <memory>

namespace moescope::cupti {

/// Results are CUDA driver error codes; 0 is success. A test fills it with its own functions.
struct DriverApi {
    int (*init)(unsigned flags) = nullptr;
    int (*driverVersion)(int* version) = nullptr;  ///< 13000 is CUDA 13.0
    int (*deviceCount)(int* count) = nullptr;
    int (*deviceGet)(int* device, int ordinal) = nullptr;
    int (*deviceName)(char* name, int bytes, int device) = nullptr;
    int (*contextSynchronize)() = nullptr;
    int (*contextCurrent)(void** context) = nullptr;
};

/// Null when libcuda.so.1 is not on the machine or lacks a function.
std::unique_ptr<DriverApi> loadDriver();

}  // namespace moescope::cupti
