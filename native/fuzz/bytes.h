#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace atb::fuzz {

/// The decisions of one execution, drawn from the fuzzer's bytes. When these have run out, draws go on from numbers
/// that follow from all of them, so that short inputs make full cases, too.
class Bytes {
 public:
  Bytes(const uint8_t* data, size_t size) : data_(data), left_(size) {
    for (size_t i = 0; i < size; ++i) state_ = (state_ ^ data[i]) * 1099511628211u;
  }

  template <typename T>
  T Raw() {
    T value{};
    if (left_ >= sizeof value) {
      std::memcpy(&value, data_, sizeof value);
      data_ += sizeof value;
      left_ -= sizeof value;
    } else {
      left_ = 0;
      const uint64_t next = Next();
      std::memcpy(&value, &next, sizeof value);
    }
    return value;
  }
  /// From low to high.
  int64_t Int(int64_t low, int64_t high) {
    const auto range = static_cast<uint64_t>(high - low) + 1;
    const uint64_t drawn = range <= 256 ? Raw<uint8_t>() : range <= 65536 ? Raw<uint16_t>() : Raw<uint64_t>();
    return static_cast<int64_t>(static_cast<uint64_t>(low) + (range == 0 ? drawn : drawn % range));
  }
  bool Flag() { return Int(0, 1) == 1; }
  /// True once in n draws.
  bool OneIn(int64_t n) { return Int(0, n - 1) == n - 1; }
  template <typename T, size_t N>
  const T& Of(const T (&choices)[N]) {
    return choices[Int(0, static_cast<int64_t>(N) - 1)];
  }
  /// Mostly a small number; now and then any bits at all: NaN, infinities, denormals.
  float Float() {
    switch (Int(0, 9)) {
      case 8: {
        const auto bits = Raw<uint32_t>();
        float value;
        std::memcpy(&value, &bits, sizeof value);
        return value;
      }
      case 9: {
        constexpr float kEdges[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 3.4e38f, -3.4e38f, 1e-40f};
        return Of(kEdges);
      }
      default:
        return static_cast<float>(Int(-64, 64)) / 16.0f;
    }
  }

 private:
  /// splitmix64.
  uint64_t Next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

  uint64_t state_ = 14695981039346656037u;
  const uint8_t* data_;
  size_t left_;
};

}  // namespace atb::fuzz
