// SPDX-License-Identifier: Apache-2.0
// CUPTI as a table of function pointers: filled from libcupti.so.13 at run time (nothing links it),
// or by a scripted fake in tests. No other file calls CUPTI.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "profiler/cupti/cupti_abi.h"

namespace moescope::cupti {

// name of the pointer, exported symbol, parameters; every function returns a Result
#define MOESCOPE_CUPTI_FUNCTIONS(X)                                                     \
    X(getVersion, cuptiGetVersion, (std::uint32_t * version))                           \
    X(getTimestamp, cuptiGetTimestamp, (std::uint64_t * ns))                            \
    X(getResultString, cuptiGetResultString, (std::uint32_t result, const char** text)) \
    X(subscribe, cuptiSubscribe_v2,                                                     \
      (void** subscriber, Callback callback, void* user, SubscriberParams* params))     \
    X(unsubscribe, cuptiUnsubscribe, (void* subscriber))                                \
    X(enableCallback, cuptiEnableCallback,                                              \
      (std::uint32_t enable, void* subscriber, std::uint32_t domain, std::uint32_t id)) \
    X(registerCallbacks, cuptiActivityRegisterCallbacks,                                \
      (BufferRequested requested, BufferCompleted completed))                           \
    X(setAttribute, cuptiActivitySetAttribute,                                          \
      (std::uint32_t attribute, std::size_t * bytes, void* value))                      \
    X(enable, cuptiActivityEnable, (std::uint32_t kind))                                \
    X(disable, cuptiActivityDisable, (std::uint32_t kind))                              \
    X(flushAll, cuptiActivityFlushAll, (std::uint32_t flag))                            \
    X(nextRecord, cuptiActivityGetNextRecord,                                           \
      (std::uint8_t * buffer, std::size_t validBytes, void** record))                   \
    X(droppedRecords, cuptiActivityGetNumDroppedRecords,                                \
      (void* context, std::uint32_t stream, std::size_t* dropped))                      \
    X(pushExternalId, cuptiActivityPushExternalCorrelationId,                           \
      (std::uint32_t kind, std::uint64_t id))                                           \
    X(popExternalId, cuptiActivityPopExternalCorrelationId,                             \
      (std::uint32_t kind, std::uint64_t * last))                                       \
    X(getGraphNodeId, cuptiGetGraphNodeId, (void* node, std::uint64_t* id))             \
    X(finalize, cuptiFinalize, ())

struct CuptiApi {
// A name and a list of parameters cannot stand in parentheses.
// NOLINTNEXTLINE(bugprone-macro-parentheses)
#define MOESCOPE_DECLARE(name, symbol, parameters) std::uint32_t(*name) parameters = nullptr;
    MOESCOPE_CUPTI_FUNCTIONS(MOESCOPE_DECLARE)
#undef MOESCOPE_DECLARE
    /// CUPTI 13.0 gives graph launches wrong correlation ids in every session of a process after
    /// the first (fixed in 13.1 update 1), so one session is all that a process gets. Not so a
    /// fake.
    bool oneSessionPerProcess = false;
};

/// The loaded library. It stays loaded until the process ends: CUPTI has threads of its own.
struct CuptiLibrary {
    CuptiApi api;
    void* handle = nullptr;  ///< for the counter functions; see counter_api.h
    std::filesystem::path path;
    std::uint32_t version = 0;  ///< 130001 is CUPTI 13.0 update 1
};

/// Where libcupti.so.13 is looked for, in order: $MOESCOPE_CUPTI (the file, or a folder that holds
/// it or is the top of Python's site-packages), $CUDA_HOME, $CUDA_PATH, /usr/local/cuda, the
/// linker.
std::vector<std::filesystem::path> cuptiCandidates();

/// Null when there is none or it lacks a function; `reason` then is one sentence.
std::unique_ptr<CuptiLibrary> loadCupti(std::string& reason);

/// "CUPTI_ERROR_INSUFFICIENT_PRIVILEGES (35)"; works with a null table.
std::string resultText(const CuptiApi& api, std::uint32_t result);

/// The cause in words for a person, as far as a code tells: "counters need administrator
/// rights...".
std::string resultReason(const CuptiApi& api, std::uint32_t result);

}  // namespace moescope::cupti
