// SPDX-License-Identifier: Apache-2.0
// The roofline model (Williams, Waterman, Patterson 2009) over the ceilings that the run itself
// measured, and the share of the roof that each kernel reaches. Where the run has hardware counters
// they stand in for the engine's own count of bytes and operations.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "profiler/analysis/counted_work.h"
#include "profiler/analysis/run_summary.h"

namespace moescope {

/// What the machine can do, measured before the run by its number of threads, or what counters say
/// of the device. NaN: not measured.
struct Ceilings {
    double bytesPerSecond = PhaseSummary::kUnknown;       ///< read bandwidth
    double operationsPerSecond = PhaseSummary::kUnknown;  ///< the greatest that the numerics allow
    std::string operationKind;                            ///< "bf16": of which instruction
    std::vector<std::pair<std::string, double>> peaks;    ///< all that were measured, by name
    bool counted = false;                                 ///< of a device, by its counters

    /// The entry of `peaks` that bounds `kernel`: of the instructions that it multiplies with. Null
    /// where they were not measured or are not known, "" among them.
    const std::pair<std::string, double>* peakOf(std::string_view kernel) const noexcept;
    /// Lowest roof over arithmetic intensity `operationsPerByte`: min(peak, bandwidth x intensity)
    /// with the peak of `kernel`, or operationsPerSecond where that is not known; the one of the
    /// two that is known when the other is not, NaN without both.
    double roof(double operationsPerByte, std::string_view kernel = {}) const noexcept;
    /// Intensity at which both roofs meet; NaN unless both are known.
    double ridge(std::string_view kernel = {}) const noexcept;
    /// Is memory the lower roof at that intensity? Of one known roof: is it that of memory?
    bool memoryBound(double operationsPerByte, std::string_view kernel = {}) const noexcept;
};

/// Name in `peaks` of what a kernel of the cpu back end multiplies with, by its own name
/// ("<format>_<gemm|gemv>_<target>", docs/cpu.md): "mxfp4_gemv_avx512_bf16" is "int16",
/// "f32_gemm_avx2" "fp32". Empty for other kernels.
std::string_view arithmeticOf(std::string_view kernel) noexcept;

/// From meta "machine": read_bandwidth_bytes_per_second and peak_operations_per_second. With
/// exact numerics the int8 peak is no ceiling, since those kernels do not run. Those figures are
/// the host's: of a run on a device nothing is known.
Ceilings ceilingsOf(const std::map<std::string, std::string>& meta);

/// True when what one pass over the model reads fits the last-level cache: memory bandwidth is then
/// no ceiling, and a share of it no figure. A cache of 0 bytes is not known, and holds nothing.
bool cacheResident(std::uint64_t modelBytes, std::uint64_t cacheBytes) noexcept;

/// The same of a recorded run, by file_bytes of meta "model" and last_level_cache_bytes of
/// "machine"; false where one of them is not recorded, and where it ran on a device.
bool cacheResident(const std::map<std::string, std::string>& meta);

/// Attained / roof, and which of the two roofs that is: 60 % of the memory's bandwidth and 60 % of
/// an arithmetic rate are different findings.
struct RoofShare {
    double share = PhaseSummary::kUnknown;  ///< above 1: faster than what the ceilings allow
    const char* bound = nullptr;            ///< "memory" or "compute"; null without a share
};
/// How near a group comes to its roof, by operations where it has any, else by bytes. Unknown
/// without work or ceiling.
RoofShare shareOfRoof(const OperationGroup& group, const Ceilings& ceilings) noexcept;

struct RooflinePoint {
    std::string op, kernel, phase;
    /// Else the engine's own count of what must be read and done. Of operations counters see those
    /// of the tensor cores; where they saw none the engine's count stands.
    bool bytesMeasured = false, operationsMeasured = false;
    double intensity = 0;  ///< operations per byte
    double operationsPerSecond = 0;
    double roof = 0, share = 0;   ///< NaN when the ceilings are unknown
    std::string operationKind{};  ///< whose peak bounds it: "int16"; empty when none is known
    bool memoryBound = false;     ///< left of the ridge
    double timeShare = 0;         ///< of all operation time

    bool modelled() const noexcept { return !bytesMeasured && !operationsMeasured; }
    /// "measured", "modelled", "bytes measured" or "operations measured".
    const char* origin() const noexcept;
    /// "memory" or "compute"; null when the ceilings are unknown.
    const char* bound() const noexcept;
    RoofShare shareOfRoof() const noexcept { return {share, bound()}; }
};

struct Roofline {
    Ceilings ceilings;
    std::vector<RooflinePoint> points;  ///< by time, groups without bytes or operations left out
    bool anyModelled() const noexcept;  ///< a point that counters know nothing of
    /// Does the peak of this name bound any point?
    bool bounds(std::string_view operationKind) const noexcept;
};
/// `counted` are the counters of the same run: empty where it has none.
Roofline rooflineOf(const RunSummary& summary, const CountedRun& counted = {});

}  // namespace moescope
