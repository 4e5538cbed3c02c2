#pragma once
#include <stddef.h>
#include <stdint.h>

namespace atb {

/// One cache line, and one AVX-512 register, in bytes: where buffers and the parts of a workspace begin.
constexpr size_t kAlignment = 64;

// Rounding of sizes that are not negative. The functions are static, so that a file compiled for one instruction set
// has copies of its own and the linker cannot give them to everybody (see docs/architecture.md).

/// n / by, rounded up. Any size: a sum of the two could overflow.
static constexpr int64_t CeilDiv(int64_t n, int64_t by) { return n / by + (n % by != 0); }

/// The smallest multiple of `to` that is at least n.
static constexpr int64_t RoundUp(int64_t n, int64_t to) { return CeilDiv(n, to) * to; }

/// Bytes rounded up to whole cache lines.
static constexpr size_t Align(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }
static constexpr int64_t Align(int64_t bytes) { return RoundUp(bytes, static_cast<int64_t>(kAlignment)); }

}  // namespace atb
