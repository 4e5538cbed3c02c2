#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace atb {

/// XXH64 with seed 0 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md): it notices damage, and keeps up with memory.
/// Whoever wants to can make other bytes with the same sum.
uint64_t Xxh64(std::span<const std::byte> bytes);

}  // namespace atb
