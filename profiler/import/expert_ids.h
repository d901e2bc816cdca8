// SPDX-License-Identifier: Apache-2.0
// Arrays of expert ids as engines hand them out: bytes of integers, or numpy's .npy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moescope {

/// The experts that a router chose: (n_token, n_layer, top_k) in C order. -1 stands for no expert.
struct ExpertIds {
    std::int64_t tokens = 0, layers = 0, topK = 0;
    std::vector<std::int16_t> ids;
};

/// Throws Error "<origin>: ..." for what no expert id can be: below -1, or more than a run file
/// holds (32,767).
std::int16_t expertId(std::int64_t value, const std::string& origin);

struct IntegerType {
    int bytes = 0;
    bool isSigned = false;
};

/// "int32", "uint8", ..; numpy's "<i4", "|u1", ..; torch's "torch.int32". Nothing for other types,
/// those of the other byte order among them.
std::optional<IntegerType> integerTypeNamed(std::string_view name);
/// `at` has `type.bytes` bytes, little-endian. Values above those of int64 come out negative.
std::int64_t readInteger(const std::byte* at, IntegerType type) noexcept;

/// Ids of `layers` x `topK`, each below 2^29, for as many tokens as there are bytes for. Throws
/// Error: bytes that are no whole tokens, ids as above.
ExpertIds expertIdsOf(std::span<const std::byte> bytes, IntegerType type, std::int64_t layers,
                      std::int64_t topK, const std::string& origin);
/// The same where the number of tokens is given, which the bytes must be enough for exactly.
ExpertIds expertIdsOf(std::span<const std::byte> bytes, IntegerType type,
                      std::span<const std::int64_t> shape, const std::string& origin);

bool isNpy(std::span<const std::byte> bytes) noexcept;
/// An .npy file of three dimensions (numpy.lib.format, versions 1.0 to 3.0). Throws Error: another
/// type or byte order, Fortran's order, a shape that the bytes are not of.
ExpertIds readNpy(std::span<const std::byte> bytes, const std::string& origin);
/// The bytes of the .npy file, version 1.0, type int16.
std::string npyOf(const ExpertIds& ids);

}  // namespace moescope
