// SPDX-License-Identifier: Apache-2.0
// A small CUDA program for the checks of the profiler on a real GPU: through the driver found at
// run time and PTX, so that it builds without the toolkit. Each check runs in a process of its own,
// because CUPTI gets one session a process and a fork may not follow a use of CUDA.
#pragma once

#include <cstdint>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

namespace moescope::test {

/// What a check found, carried from the child to the test.
class GpuReport {
public:
    void expect(bool ok, const std::string& what) {
        if (!ok) failures.push_back(what);
    }
    template <typename A, typename B>
    void expectEqual(const A& found, const B& wanted, const std::string& what) {
        std::ostringstream text;
        text << what << ": " << found << ", wanted " << wanted;
        expect(found == wanted, text.str());
    }
    void say(const std::string& line) { remarks.push_back(line); }

    std::vector<std::string> failures, remarks;
    std::string skipped;  ///< why the check could not be made here
};

/// Runs the body in a child. A crash is a failure; without a driver or a device it is skipped.
GpuReport inGpuProcess(const std::function<void(GpuReport&)>& body);

/// A context on device 0 with one stream and two kernels: `spin(ns)` runs that long, `tiny()` does
/// nothing. Every member throws Error with the CUDA error code.
class CudaProgram {
public:
    CudaProgram();

    void spin(std::uint64_t ns);
    void tiny();
    void copyToHost(std::size_t bytes);
    void set(std::size_t bytes);
    void synchronize();

    void beginCapture();
    void* endCapture();  ///< the graph
    void* instantiate(void* graph);
    void launch(void* instance);
    void destroyGraph(void* graph);
    void destroyInstance(void* instance);

    void* recordEvent();
    double milliseconds(void* from, void* to);  ///< after synchronize

private:
    void* stream_ = nullptr;
    void *spin_ = nullptr, *tiny_ = nullptr;
    std::uint64_t memory_ = 0;
    std::vector<std::uint8_t> host_;
};

}  // namespace moescope::test
