#include "base/xxh64.h"

#include <bit>
#include <cstring>

namespace atb {
namespace {

constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87, kPrime2 = 0xC2B2AE3D27D4EB4F, kPrime3 = 0x165667B19E3779F9,
                   kPrime4 = 0x85EBCA77C2B2AE63, kPrime5 = 0x27D4EB2F165667C5;

static_assert(std::endian::native == std::endian::little, "the lanes of XXH64 are little-endian");

template <typename T>
uint64_t LoadLane(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

uint64_t MixLane(uint64_t sum, uint64_t lane) { return std::rotl(sum + lane * kPrime2, 31) * kPrime1; }

uint64_t MergeLane(uint64_t sum, uint64_t lane_sum) { return (sum ^ MixLane(0, lane_sum)) * kPrime1 + kPrime4; }

}  // namespace

uint64_t Xxh64(std::span<const std::byte> bytes) {
  const std::byte* at = bytes.data();
  const std::byte* const end = at + bytes.size();
  uint64_t sum = kPrime5;
  if (bytes.size() >= 32) {
    uint64_t a = kPrime1 + kPrime2, b = kPrime2, c = 0, d = 0 - kPrime1;
    for (; end - at >= 32; at += 32) {
      a = MixLane(a, LoadLane<uint64_t>(at));
      b = MixLane(b, LoadLane<uint64_t>(at + 8));
      c = MixLane(c, LoadLane<uint64_t>(at + 16));
      d = MixLane(d, LoadLane<uint64_t>(at + 24));
    }
    sum = std::rotl(a, 1) + std::rotl(b, 7) + std::rotl(c, 12) + std::rotl(d, 18);
    for (const uint64_t lane_sum : {a, b, c, d}) sum = MergeLane(sum, lane_sum);
  }
  sum += bytes.size();
  for (; end - at >= 8; at += 8) sum = std::rotl(sum ^ MixLane(0, LoadLane<uint64_t>(at)), 27) * kPrime1 + kPrime4;
  for (; end - at >= 4; at += 4) sum = std::rotl(sum ^ LoadLane<uint32_t>(at) * kPrime1, 23) * kPrime2 + kPrime3;
  for (; at < end; ++at) sum = std::rotl(sum ^ LoadLane<uint8_t>(at) * kPrime5, 11) * kPrime1;
  sum = (sum ^ sum >> 33) * kPrime2;
  sum = (sum ^ sum >> 29) * kPrime3;
  return sum ^ sum >> 32;
}

}  // namespace atb
