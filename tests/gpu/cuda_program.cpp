// SPDX-License-Identifier: Apache-2.0
#include "tests/gpu/cuda_program.h"

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>

#include <nlohmann/json.hpp>

#include "engine/core/error.h"

namespace moescope::test {
namespace {

constexpr std::size_t kMemory = 1 << 20;

constexpr const char* kPtx = R"ptx(
.version 7.0
.target sm_70
.address_size 64
.visible .entry spin(.param .u64 duration)
{
    .reg .u64 %t<4>;
    .reg .pred %again;
    ld.param.u64 %t0, [duration];
    mov.u64 %t1, %globaltimer;
wait:
    mov.u64 %t2, %globaltimer;
    sub.u64 %t3, %t2, %t1;
    setp.lt.u64 %again, %t3, %t0;
    @%again bra wait;
    ret;
}
.visible .entry tiny()
{
    ret;
}
)ptx";

void* driverHandle() {
    static void* handle = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    return handle;
}

/// Calls a function of the driver by name.
template <typename... Arguments>
void driver(const char* name, Arguments... arguments) {
    auto* function = reinterpret_cast<int (*)(Arguments...)>(::dlsym(driverHandle(), name));
    if (function == nullptr) throw Error(std::string("the driver has no ") + name);
    const int result = function(arguments...);
    if (result != 0) throw Error(std::string(name) + ": CUDA error " + std::to_string(result));
}

std::string devicesMissing() {
    if (driverHandle() == nullptr) return "there is no NVIDIA driver on this machine";
    try {
        int count = 0;
        driver("cuInit", 0u);
        driver("cuDeviceGetCount", &count);
        return count > 0 ? "" : "there is no GPU on this machine";
    } catch (const Error& error) {
        return error.what();
    }
}

}  // namespace

CudaProgram::CudaProgram() : host_(kMemory) {
    int device = 0;
    void *context = nullptr, *module = nullptr;
    driver("cuInit", 0u);
    driver("cuDeviceGet", &device, 0);
    driver("cuDevicePrimaryCtxRetain", &context, device);
    driver("cuCtxSetCurrent", context);
    driver("cuModuleLoadData", &module, static_cast<const void*>(kPtx));
    driver("cuModuleGetFunction", &spin_, module, "spin");
    driver("cuModuleGetFunction", &tiny_, module, "tiny");
    driver("cuStreamCreate", &stream_, 1u);  // CU_STREAM_NON_BLOCKING
    driver("cuMemAlloc_v2", &memory_, kMemory);
}

void CudaProgram::spin(std::uint64_t ns) {
    void* parameters[] = {&ns};
    driver("cuLaunchKernel", spin_, 1u, 1u, 1u, 1u, 1u, 1u, 0u, stream_, &parameters[0],
           static_cast<void**>(nullptr));
}

void CudaProgram::tiny() {
    driver("cuLaunchKernel", tiny_, 2u, 1u, 1u, 32u, 1u, 1u, 0u, stream_,
           static_cast<void**>(nullptr), static_cast<void**>(nullptr));
}

void CudaProgram::copyToHost(std::size_t bytes) {
    driver("cuMemcpyDtoHAsync_v2", static_cast<void*>(host_.data()), memory_, bytes, stream_);
}

void CudaProgram::set(std::size_t bytes) {
    driver("cuMemsetD8Async", memory_, static_cast<unsigned char>(1), bytes, stream_);
}

void CudaProgram::synchronize() {
    driver("cuStreamSynchronize", stream_);
}

void CudaProgram::beginCapture() {
    driver("cuStreamBeginCapture_v2", stream_, 1);  // CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
}

void* CudaProgram::endCapture() {
    void* graph = nullptr;
    driver("cuStreamEndCapture", stream_, &graph);
    return graph;
}

void* CudaProgram::instantiate(void* graph) {
    void* instance = nullptr;
    driver("cuGraphInstantiateWithFlags", &instance, graph, 0ull);
    return instance;
}

void CudaProgram::launch(void* instance) {
    driver("cuGraphLaunch", instance, stream_);
}

void CudaProgram::destroyGraph(void* graph) {
    driver("cuGraphDestroy", graph);
}

void CudaProgram::destroyInstance(void* instance) {
    driver("cuGraphExecDestroy", instance);
}

void* CudaProgram::recordEvent() {
    void* event = nullptr;
    driver("cuEventCreate", &event, 0u);
    driver("cuEventRecord", event, stream_);
    return event;
}

double CudaProgram::milliseconds(void* from, void* to) {
    float value = 0;
    driver("cuEventElapsedTime", &value, from, to);
    return double(value);
}

GpuReport inGpuProcess(const std::function<void(GpuReport&)>& body) {
    int ends[2] = {};
    GpuReport report;
    if (::pipe(ends) != 0) throw Error("no pipe");
    std::cout.flush();  // else the child's exit writes it again
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        ::close(ends[0]);
        // The profiler must come before CUDA: a grandchild is asked whether there is a device.
        int probe[2] = {};
        if (::pipe(probe) != 0) ::_exit(1);
        if (::fork() == 0) {
            const std::string missing = devicesMissing();
            [[maybe_unused]] const auto written = ::write(probe[1], missing.data(), missing.size());
            ::_exit(0);
        }
        ::close(probe[1]);
        char text[256];
        for (ssize_t n = 0; (n = ::read(probe[0], text, sizeof text)) > 0;)
            report.skipped.append(text, std::size_t(n));
        if (report.skipped.empty()) {
            try {
                body(report);
            } catch (const std::exception& error) {
                report.failures.push_back(error.what());
            }
        }
        const std::string json = nlohmann::json{
            {"failures", report.failures},
            {"remarks", report.remarks},
            {"skipped",
             report.skipped}}.dump();
        [[maybe_unused]] const auto written = ::write(ends[1], json.data(), json.size());
        ::close(ends[1]);
        // The way a program ends: with its destructors and those of the libraries.
        std::exit(0);
    }
    ::close(ends[1]);
    std::string json;
    char text[4096];
    for (ssize_t n = 0; (n = ::read(ends[0], text, sizeof text)) > 0;)
        json.append(text, std::size_t(n));
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (!json.empty()) {
        const auto found = nlohmann::json::parse(json);
        report.failures = found.at("failures").get<std::vector<std::string>>();
        report.remarks = found.at("remarks").get<std::vector<std::string>>();
        report.skipped = found.at("skipped").get<std::string>();
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        report.failures.push_back(
            WIFSIGNALED(status)
                ? "the process died of signal " + std::to_string(WTERMSIG(status))
                : "the process ended with code " + std::to_string(WEXITSTATUS(status)));
    return report;
}

}  // namespace moescope::test
