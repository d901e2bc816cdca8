// SPDX-License-Identifier: Apache-2.0
// The counter functions of CUPTI that counting and sampling share, scripted: every call is noted,
// and one can fail.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "profiler/cupti/counter_api.h"

namespace moescope::test {

/// What the functions without an object see; a session may call from a thread of its own.
struct CounterScript {
    std::mutex mutex;
    std::vector<std::string> calls;
    std::string fail;   ///< this function fails
    int goodCalls = 0;  ///< of it, before it does
    std::uint32_t code = cupti::kUnknown;
    std::size_t passes = 1;

    std::int64_t countOf(const std::string& call) {
        const std::lock_guard guard(mutex);
        return std::count(calls.begin(), calls.end(), call);
    }
};
inline CounterScript counterScript;

inline std::uint32_t did(const char* call) {
    const std::lock_guard guard(counterScript.mutex);
    counterScript.calls.emplace_back(call);
    if (counterScript.fail != call || counterScript.goodCalls-- > 0) return cupti::kSuccess;
    return counterScript.code;
}

/// A fresh script, and the functions that plan and evaluate.
inline cupti::CounterApi fakeHost() {
    using namespace cupti;
    {
        const std::lock_guard guard(counterScript.mutex);
        counterScript.calls.clear();
        counterScript.fail.clear();
        counterScript.goodCalls = 0;
        counterScript.code = kUnknown;
        counterScript.passes = 1;
    }
    CounterApi api;
    api.hostInitialize = [](HostInitializeParams* p) {
        p->host = reinterpret_cast<HostObject*>(1);
        return did("hostInitialize");
    };
    api.hostDeinitialize = [](HostObjectParams*) { return did("hostDeinitialize"); };
    api.hostAddMetrics = [](HostAddMetricsParams*) { return did("hostAddMetrics"); };
    api.hostImageSize = [](HostImageSizeParams* p) {
        p->bytes = 64;
        return did("hostImageSize");
    };
    api.hostImage = [](HostImageParams*) { return did("hostImage"); };
    api.hostPasses = [](HostPassesParams* p) {
        p->passes = counterScript.passes;
        return did("hostPasses");
    };
    api.hostProperties = [](HostPropertiesParams*) { return did("hostProperties"); };
    api.hostEvaluate = [](HostEvaluateParams* p) {
        for (std::size_t i = 0; i < p->count; ++i) p->values[i] = double(100 * p->range + i);
        return did("hostEvaluate");
    };
    api.initialize = [](InitializeParams*) { return did("initialize"); };
    api.chipName = [](ChipNameParams* p) {
        p->chip = "FAKE100";
        return did("chipName");
    };
    return api;
}

}  // namespace moescope::test
