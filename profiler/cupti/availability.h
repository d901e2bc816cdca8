// SPDX-License-Identifier: Apache-2.0
// What of a GPU can be watched in this process, and if not, why: one sentence each.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "profiler/cupti/cupti_api.h"
#include "profiler/cupti/driver_api.h"

namespace moescope::cupti {

/// Everything the sentences depend on, so that they can be tested without a machine.
struct AvailabilityFacts {
    bool library = false;
    std::string libraryReason;  ///< why not, when there is none
    std::string libraryPath;
    std::uint32_t cuptiVersion = 0;
    bool driver = false;  ///< libcuda.so.1 was loaded
    int initResult = 0;   ///< of cuInit
    int driverVersion = 0;
    int devices = 0;
    std::string deviceName;
    std::uint32_t subscribeResult = kSuccess;
    std::string holder;               ///< name of the tool that holds CUPTI, when known
    bool countersRestricted = false;  ///< the driver allows counters to administrators only
    bool administrator = false;       ///< this process may use them all the same
};

/// An empty reason means available. Activity records need no privilege; counters and sampling do.
struct Availability {
    std::string activity, counters, sampling;
    AvailabilityFacts facts;

    nlohmann::json toJson() const;
};

Availability explain(AvailabilityFacts facts);

/// Loads both libraries and asks. Makes no CUDA context. Subscribes to CUPTI for a moment.
/// No counter function is called: without a driver two of them crash.
Availability probeAvailability();
/// The same with given libraries; either may be null.
Availability probeAvailability(const CuptiLibrary* library, const std::string& libraryReason,
                               const DriverApi* driver);

/// Whether /proc/driver/nvidia/params (or the given text of it) restricts counters.
bool countersRestricted(const std::string& driverParameters);

}  // namespace moescope::cupti
