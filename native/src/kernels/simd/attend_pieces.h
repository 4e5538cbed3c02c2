#pragma once
// What the kernels of attention have in common beyond a piece of keys and a tile of rows. Everything has internal
// linkage; vec.h says why.
#include <math.h>

#include "kernels/attend_tile.h"
#include "kernels/simd/math.h"
#include "kernels/simd/stage_values.h"

namespace atb::kernels::simd {
namespace {

/// Room for the partial result of a tile.
struct PartialScratch {
  alignas(64) float max[kAttendTile];
  float sum[kAttendTile];
  float out[kAttendTile * kMaxHeadDim];
};

/// Merges rows of `part` into `acc`, whose keys come before. KernelTable::merge.
template <class V>
inline void Merge(const AttendPartial& acc, const AttendPartial& part, int64_t rows, int64_t value_dim) {
  for (int64_t first = 0; first < rows; first += kLanes) {
    const int64_t n = Min(rows - first, kLanes);
    const V more_max = V::LoadPart(part.max + first, n), old_max = V::LoadPart(acc.max + first, n);
    const V max = Max(old_max, more_max);
    // What rows of `part` without keys give is not used: it would be NaN if `acc` had none either.
    alignas(64) float a[kLanes], b[kLanes], sums[kLanes], maxima[kLanes];
    const V old_factor = Exp(old_max - max), factor = Exp(more_max - max);
    old_factor.Store(a);
    factor.Store(b);
    max.Store(maxima);
    Fma(V::LoadPart(part.sum + first, n), factor, V::LoadPart(acc.sum + first, n) * old_factor).Store(sums);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t r = first + i;
      if (part.max[r] == -INFINITY) continue;
      acc.max[r] = maxima[i];
      acc.sum[r] = sums[i];
      float* total = acc.out + r * value_dim;
      const float* more = part.out + r * value_dim;
      const V by_old = V::Set1(a[i]), by = V::Set1(b[i]);
      int64_t d = 0;
      for (; d + kLanes <= value_dim; d += kLanes)
        Fma(V::Load(more + d), by, V::Load(total + d) * by_old).Store(total + d);
      if (d < value_dim) {
        const int64_t rest = value_dim - d;
        Fma(V::LoadPart(more + d, rest), by, V::LoadPart(total + d, rest) * by_old).StorePart(total + d, rest);
      }
    }
  }
}

inline AttendPartial PartOf(const AttendPartial& out, int64_t first, int64_t value_dim) {
  return {out.max + first, out.sum + first, out.out + first * value_dim};
}

/// KernelTable::attend: `attend(rows, key_begin, key_end, to)` computes one piece for one tile of at most `most` rows,
/// of which some see some of the keys. The tiles of a piece come one after another, so that they find its keys in the
/// cache.
template <class V, class F>
inline void AttendPieces(const AttendCall& c, int64_t key_begin, int64_t key_end, const AttendPartial& out,
                         PartialScratch& scratch, const F& attend, int64_t most = kAttendTile) {
  const int64_t rows = c.q_tokens * c.group;
  const AttendPartial part = {scratch.max, scratch.sum, scratch.out};
  for (int64_t begin = key_begin; begin < key_end; begin += kAttendChunk) {
    const int64_t end = Min(begin + kAttendChunk, key_end);
    if (c.v_cache == nullptr) StageValues(c, begin, end);
    for (int64_t first = 0; first < rows; first += most) {
      const Rows tile = {first, Min(rows - first, most)};
      const AttendPartial to = PartOf(out, first, c.value_dim);
      const Span keys = TileKeys(c, tile, begin, end);
      if (keys.begin < keys.end) {
        attend(tile, begin, end, begin == key_begin ? to : part);
        if (begin != key_begin) Merge<V>(to, part, tile.count, c.value_dim);
      } else if (begin == key_begin) {
        for (int64_t r = 0; r < tile.count; ++r) {
          to.max[r] = -INFINITY;
          to.sum[r] = 0;
        }
        memset(to.out, 0, static_cast<size_t>(tile.count * c.value_dim) * sizeof(float));
      }
    }
  }
}

}  // namespace
}  // namespace atb::kernels::simd
