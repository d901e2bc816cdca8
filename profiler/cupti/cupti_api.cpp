// SPDX-License-Identifier: Apache-2.0
#include "profiler/cupti/cupti_api.h"

#include <dlfcn.h>

#include <cstdlib>

namespace moescope::cupti {
namespace {

constexpr const char* kLibrary = "libcupti.so.13";

void addFolder(std::vector<std::filesystem::path>& out, const std::filesystem::path& folder) {
    // The toolkit's two places, the toolkit as pip lays it out, and the folder itself.
    for (const char* inside : {"", "lib64", "lib", "extras/CUPTI/lib64", "nvidia/cu13/lib",
                               "nvidia/cuda_cupti/lib", "cu13/lib", "cuda_cupti/lib"})
        out.push_back(folder / inside / kLibrary);
}

std::filesystem::path environmentPath(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

}  // namespace

std::vector<std::filesystem::path> cuptiCandidates() {
    std::vector<std::filesystem::path> out;
    if (const auto named = environmentPath("MOESCOPE_CUPTI"); !named.empty()) {
        // Named by the user: nothing else is tried, so that a typo is noticed.
        if (std::filesystem::is_directory(named)) {
            addFolder(out, named);
        } else {
            out.push_back(named);
        }
        return out;
    }
    for (const char* variable : {"CUDA_HOME", "CUDA_PATH"})
        if (const auto folder = environmentPath(variable); !folder.empty()) addFolder(out, folder);
    addFolder(out, "/usr/local/cuda");
    out.emplace_back(kLibrary);
    return out;
}

std::unique_ptr<CuptiLibrary> loadCupti(std::string& reason) {
    auto library = std::make_unique<CuptiLibrary>();
    std::string failure;
    for (const std::filesystem::path& path : cuptiCandidates()) {
        if (path.has_parent_path() && !std::filesystem::exists(path)) continue;
        library->handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
        library->path = path;
        if (library->handle != nullptr) break;
        if (const char* error = ::dlerror(); error != nullptr && path.has_parent_path())
            failure = std::string(" (") + error + ")";
    }
    if (library->handle == nullptr) {
        reason = "CUPTI 13 was not found" + failure +
                 ": install the CUDA 13 toolkit, or set MOESCOPE_CUPTI to libcupti.so.13";
        return nullptr;
    }
    const auto find = [&](auto& pointer, const char* symbol) {
        pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(
            ::dlsym(library->handle, symbol));
        if (pointer == nullptr)
            reason = library->path.string() + " has no function " + symbol +
                     ": CUPTI of CUDA 13.0 or later is needed";
        return pointer != nullptr;
    };
#define MOESCOPE_FIND(name, symbol, parameters) \
    if (!find(library->api.name, #symbol)) return nullptr;
    MOESCOPE_CUPTI_FUNCTIONS(MOESCOPE_FIND)
#undef MOESCOPE_FIND
    library->api.getVersion(&library->version);
    if (library->version < kAbiVersion) {
        reason = library->path.string() + " is CUPTI " + std::to_string(library->version) + "; " +
                 std::to_string(kAbiVersion) + " (CUDA 13.0 update 1) or later is needed";
        return nullptr;
    }
    library->api.oneSessionPerProcess = true;
    return library;
}

std::string resultText(const CuptiApi& api, std::uint32_t result) {
    const char* text = nullptr;
    if (api.getResultString != nullptr) api.getResultString(result, &text);
    return (text != nullptr ? std::string(text) + " (" : std::string("CUPTI error (")) +
           std::to_string(result) + ")";
}

std::string resultReason(const CuptiApi& api, std::uint32_t result) {
    switch (result) {
        case kInvalidDevice:
            return "CUPTI does not support this device";
        case kHardwareBusy:
            return "another program holds the GPU's counters (DCGM: dcgmi profile --pause)";
        case kNotSupported:
            return "the driver or the device does not support it";
        case kInsufficientPrivileges:
            return "it needs administrator rights or a driver loaded with "
                   "NVreg_RestrictProfilingToAdminUsers=0";
        case kMultipleSubscribers:
            return "another tool holds CUPTI in this process";
        case kVirtualGpu:
            return "this virtual GPU does not allow profiling";
        case kConfidentialComputing:
            return "confidential computing does not allow profiling";
        case kMiningGpu:
            return "mining GPUs do not allow profiling";
        case kMig:
            return "it is not available on a GPU divided by MIG";
        case kSli:
            return "it is not available with SLI";
        case kWsl:
            return "it is not available under WSL";
        case kUnknown:
            // What every call gives when there is no driver; the caller has looked for one.
            return "CUPTI failed without a cause (999)";
        default:
            return "CUPTI refused: " + resultText(api, result);
    }
}

}  // namespace moescope::cupti
