// SPDX-License-Identifier: Apache-2.0
#include "profiler/cupti/driver_api.h"

#include <dlfcn.h>

namespace moescope::cupti {

std::unique_ptr<DriverApi> loadDriver() {
    // Never the toolkit's stub library: that one is called libcuda.so, without the number.
    void* handle = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return nullptr;
    auto api = std::make_unique<DriverApi>();
    bool all = true;
    const auto find = [&](auto& pointer, const char* symbol) {
        pointer =
            reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(::dlsym(handle, symbol));
        all = all && pointer != nullptr;
    };
    find(api->init, "cuInit");
    find(api->driverVersion, "cuDriverGetVersion");
    find(api->deviceCount, "cuDeviceGetCount");
    find(api->deviceGet, "cuDeviceGet");
    find(api->deviceName, "cuDeviceGetName");
    find(api->contextSynchronize, "cuCtxSynchronize");
    find(api->contextCurrent, "cuCtxGetCurrent");
    if (!all) return nullptr;
    return api;
}

}  // namespace moescope::cupti
