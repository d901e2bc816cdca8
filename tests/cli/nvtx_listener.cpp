// SPDX-License-Identifier: Apache-2.0
// A tool that listens to NVTX, as nsys and ncu do: loaded by NVTX_INJECTION64_PATH, it writes one
// line for each call into the file named by NVTX_LISTENER_LOG.
#include <nvtx3/nvToolsExt.h>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>

namespace {

std::FILE* log() {
    static std::FILE* const file = std::fopen(std::getenv("NVTX_LISTENER_LOG"), "w");
    return file;
}

// Handles of domains and strings are addresses of their names, which live as long as the process.
const std::string& keep(const char* name) {
    static auto* const names = new std::deque<std::string>;
    return names->emplace_back(name);
}

nvtxDomainHandle_t NVTX_API domainCreate(const char* name) {
    return reinterpret_cast<nvtxDomainHandle_t>(const_cast<std::string*>(&keep(name)));
}

nvtxStringHandle_t NVTX_API registerString(nvtxDomainHandle_t, const char* text) {
    return reinterpret_cast<nvtxStringHandle_t>(const_cast<std::string*>(&keep(text)));
}

int NVTX_API push(nvtxDomainHandle_t domain, const nvtxEventAttributes_t* range) {
    const bool registered = range->messageType == NVTX_MESSAGE_TYPE_REGISTERED;
    std::fprintf(log(), "push|%s|%s|%lld\n", reinterpret_cast<std::string*>(domain)->c_str(),
                 registered ? reinterpret_cast<std::string*>(range->message.registered)->c_str()
                            : "not registered",
                 static_cast<long long>(range->payload.llValue));
    return 0;
}

int NVTX_API pop(nvtxDomainHandle_t) {
    std::fputs("pop\n", log());
    return 0;
}

}  // namespace

extern "C" int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t getTable) {
    const auto* callbacks =
        static_cast<const NvtxExportTableCallbacks*>(getTable(NVTX_ETID_CALLBACKS));
    NvtxFunctionTable table = nullptr;
    unsigned size = 0;
    if (callbacks == nullptr || log() == nullptr ||
        callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE2, &table, &size) == 0)
        return 0;
    const auto set = [&](int id, auto* function) {
        *table[id] = reinterpret_cast<NvtxFunctionPointer>(function);
    };
    set(NVTX_CBID_CORE2_DomainCreateA, &domainCreate);
    set(NVTX_CBID_CORE2_DomainRegisterStringA, &registerString);
    set(NVTX_CBID_CORE2_DomainRangePushEx, &push);
    set(NVTX_CBID_CORE2_DomainRangePop, &pop);
    return 1;
}
