// SPDX-License-Identifier: Apache-2.0
#include "engine/nvtx_ranges.h"

#ifdef MOESCOPE_WITH_NVTX

#include <nvtx3/nvToolsExt.h>
#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

namespace moescope {
namespace {

/// Models with more layers have the rest named by their payload only.
constexpr int kNamedLayers = 256;

/// Everything a range says, registered before the first of them.
struct Names {
    nvtxDomainHandle_t domain = nvtxDomainCreateA("moescope");
    std::array<nvtxStringHandle_t, kOpCount> ops{};
    std::array<nvtxStringHandle_t, 2> steps{};  ///< by StepKind
    nvtxStringHandle_t warmUp{};
    std::array<nvtxStringHandle_t, kNamedLayers + 1> layers{};

    Names() {
        if (domain == nullptr) return;  // nobody listens
        const auto registered = [this](const std::string& name) {
            return nvtxDomainRegisterStringA(domain, name.c_str());
        };
        for (int op = 0; op < kOpCount; ++op)
            ops[std::size_t(op)] = registered(std::string(opName(static_cast<Op>(op))));
        steps = {registered("prefill"), registered("decode")};
        warmUp = registered("warmup");
        for (int layer = 0; layer < kNamedLayers; ++layer)
            layers[std::size_t(layer)] = registered("layer " + std::to_string(layer));
        layers.back() = registered("layer");
    }
};

const Names& names() {
    static const Names instance;
    return instance;
}

void push(nvtxStringHandle_t name, std::int64_t payload) noexcept {
    nvtxEventAttributes_t range{};
    range.version = NVTX_VERSION;
    range.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
    range.messageType = NVTX_MESSAGE_TYPE_REGISTERED;
    range.message.registered = name;
    range.payloadType = NVTX_PAYLOAD_TYPE_INT64;
    range.payload.llValue = payload;
    nvtxDomainRangePushEx(names().domain, &range);
}

}  // namespace

NvtxRange::NvtxRange(const StepInfo& step) noexcept {
    if (names().domain == nullptr) return;
    push(names().steps[step.kind == StepKind::Prefill ? 0 : 1], step.firstPosition);
}

NvtxRange::NvtxRange(WarmUp) noexcept {
    if (names().domain == nullptr) return;
    push(names().warmUp, 0);
}

NvtxRange::NvtxRange(int layer) noexcept {
    if (names().domain == nullptr) return;
    push(names().layers[std::size_t(std::clamp(layer, 0, kNamedLayers))], layer);
}

NvtxRange::NvtxRange(Op op, int layer) noexcept {
    if (names().domain == nullptr) return;
    push(names().ops[std::size_t(op)], layer);
}

NvtxRange::~NvtxRange() {
    if (names().domain != nullptr) nvtxDomainRangePop(names().domain);
}

}  // namespace moescope

#else

namespace moescope {

NvtxRange::NvtxRange(const StepInfo&) noexcept {}
NvtxRange::NvtxRange(WarmUp) noexcept {}
NvtxRange::NvtxRange(int) noexcept {}
NvtxRange::NvtxRange(Op, int) noexcept {}
NvtxRange::~NvtxRange() {}

}  // namespace moescope

#endif
