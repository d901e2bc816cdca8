// SPDX-License-Identifier: Apache-2.0
#include "profiler/cupti/counter_api.h"

#include <dlfcn.h>

namespace moescope::cupti {

std::unique_ptr<CounterApi> counterApi(const CuptiLibrary& library, std::string& reason) {
    auto api = std::make_unique<CounterApi>();
    bool all = true;
    const auto find = [&](auto& pointer, const char* symbol) {
        pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(
            ::dlsym(library.handle, symbol));
        if (pointer != nullptr || !all) return;
        all = false;
        reason = library.path.string() + " has no function " + symbol;
    };
    find(api->hostInitialize, "cuptiProfilerHostInitialize");
    find(api->hostDeinitialize, "cuptiProfilerHostDeinitialize");
    find(api->hostAddMetrics, "cuptiProfilerHostConfigAddMetrics");
    find(api->hostImageSize, "cuptiProfilerHostGetConfigImageSize");
    find(api->hostImage, "cuptiProfilerHostGetConfigImage");
    find(api->hostPasses, "cuptiProfilerHostGetNumOfPasses");
    find(api->hostProperties, "cuptiProfilerHostGetMetricProperties");
    if (!all) return nullptr;
    return api;
}

}  // namespace moescope::cupti
