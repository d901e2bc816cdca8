// SPDX-License-Identifier: Apache-2.0
#include "profiler/cupti/availability.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <utility>

namespace moescope::cupti {
namespace {

constexpr int kNoDevice = 100;                                          // CUDA_ERROR_NO_DEVICE
constexpr int kStubLibrary = 34;                                        // CUDA_ERROR_STUB_LIBRARY
constexpr std::uint64_t kSysAdmin = 1ULL << 21, kPerfmon = 1ULL << 38;  // linux/capability.h

std::string textOf(const char* file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// Counters are open to CAP_SYS_ADMIN, and with drivers from R565 on to CAP_PERFMON.
bool isAdministrator() {
    const std::string status = textOf("/proc/self/status");
    const std::size_t at = status.find("CapEff:");
    if (at == std::string::npos) return ::geteuid() == 0;
    const std::uint64_t effective = std::strtoull(status.c_str() + at + 7, nullptr, 16);
    return (effective & (kSysAdmin | kPerfmon)) != 0;
}

std::string activityReason(const AvailabilityFacts& facts) {
    if (!facts.library) return facts.libraryReason;
    if (!facts.driver) return "there is no NVIDIA driver on this machine (libcuda.so.1)";
    if (facts.initResult == kStubLibrary)
        return "libcuda.so.1 is the CUDA toolkit's stub and not a driver";
    if (facts.initResult == kNoDevice || (facts.initResult == 0 && facts.devices == 0))
        return "there is no NVIDIA GPU that this process can see";
    if (facts.initResult != 0)
        return "the NVIDIA driver does not start (CUDA error " + std::to_string(facts.initResult) +
               ")";
    if (facts.subscribeResult == kMultipleSubscribers)
        return (facts.holder.empty() ? std::string("another tool (nsys, ncu, a debugger)")
                                     : "\"" + facts.holder + "\"") +
               " holds CUPTI in this process, and CUDA 13.0 allows one";
    if (facts.subscribeResult != kSuccess) return resultReason({}, facts.subscribeResult);
    return {};
}

}  // namespace

bool countersRestricted(const std::string& driverParameters) {
    const std::string key = "RmProfilingAdminOnly:";
    const std::size_t at = driverParameters.find(key);
    if (at == std::string::npos) return true;  // the driver's default
    return driverParameters.find_first_of("123456789", at + key.size()) <
           driverParameters.find('\n', at);
}

Availability explain(AvailabilityFacts facts) {
    Availability out;
    out.activity = activityReason(facts);
    out.counters = out.activity;
    if (out.counters.empty() && facts.countersRestricted && !facts.administrator)
        out.counters =
            "the driver allows counters to administrators only: run with CAP_PERFMON, or load it "
            "with NVreg_RestrictProfilingToAdminUsers=0";
    out.sampling = out.counters;
    out.facts = std::move(facts);
    return out;
}

Availability probeAvailability(const CuptiLibrary* library, const std::string& libraryReason,
                               const DriverApi* driver) {
    AvailabilityFacts facts;
    facts.library = library != nullptr;
    facts.libraryReason = libraryReason;
    facts.driver = driver != nullptr;
    facts.countersRestricted = countersRestricted(textOf("/proc/driver/nvidia/params"));
    facts.administrator = isAdministrator();
    if (library != nullptr) {
        facts.libraryPath = library->path.string();
        facts.cuptiVersion = library->version;
    }
    if (driver == nullptr) return explain(std::move(facts));
    facts.initResult = driver->init(0);
    if (facts.initResult == 0) {
        driver->driverVersion(&facts.driverVersion);
        driver->deviceCount(&facts.devices);
        std::array<char, 128> name{};
        int device = 0;
        if (facts.devices > 0 && driver->deviceGet(&device, 0) == 0 &&
            driver->deviceName(name.data(), int(name.size()), device) == 0)
            facts.deviceName = name.data();
    }
    if (library == nullptr || facts.devices == 0) return explain(std::move(facts));
    std::array<char, 64> holder{};
    SubscriberParams params{sizeof(SubscriberParams), "MoEScope", holder.data(), holder.size()};
    void* subscriber = nullptr;
    facts.subscribeResult = library->api.subscribe(
        &subscriber, [](void*, std::uint32_t, std::uint32_t, const void*) {}, nullptr, &params);
    facts.holder = std::string(holder.data());
    if (facts.subscribeResult == kSuccess) library->api.unsubscribe(subscriber);
    return explain(std::move(facts));
}

Availability probeAvailability() {
    std::string reason;
    const auto library = loadCupti(reason);
    const auto driver = loadDriver();
    return probeAvailability(library.get(), reason, driver.get());
}

nlohmann::json Availability::toJson() const {
    const auto entry = [](const std::string& reason) {
        return nlohmann::json{{"available", reason.empty()}, {"reason", reason}};
    };
    return {{"activity", entry(activity)},
            {"counters", entry(counters)},
            {"sampling", entry(sampling)},
            {"cupti", facts.libraryPath},
            {"cupti_version", facts.cuptiVersion},
            {"driver_version", facts.driverVersion},
            {"devices", facts.devices},
            {"device", facts.deviceName}};
}

}  // namespace moescope::cupti
