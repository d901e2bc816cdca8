// SPDX-License-Identifier: Apache-2.0
// SHA-256 (FIPS 180-4), for identities of models and data files.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace moescope {

class Sha256 {
public:
    Sha256() noexcept;
    void update(std::string_view bytes) noexcept;
    /// Lower-case hex digest; the object must not be used afterwards.
    std::string hex() noexcept;

private:
    void block(const unsigned char* data) noexcept;
    std::array<std::uint32_t, 8> state_;
    std::array<unsigned char, 64> buffer_{};
    std::uint64_t length_ = 0;
};

std::string sha256Hex(std::string_view bytes);
/// The first 8 bytes of the digest, the first the highest: a seed that is the text's own, the same
/// on every platform.
std::uint64_t sha256Seed(std::string_view bytes);

}  // namespace moescope
