#pragma once
// Attention of one tile over one piece of keys, over a vector type V (vec.h) and a way E to multiply stored elements;
// kernels/reference/attention.cpp says what is computed. Internal linkage, as in vec.h.
//
// E has:
//   Weight             the type of a query's or a probability's element as it is multiplied
//   kBytes             the size of a stored element
//   kDepth             the stored elements that one product sums: 2 for bf16, which is stored in pairs
//   Stored             sixteen lanes of kDepth elements; Load(p), Load(p, lanes)
//   Mul(s, w, acc)     acc + the products of the lanes of s with the kDepth weights at w
//   Exponential        Exponential(scale, shift)(x) = exp(x * scale - shift), as exact as the weights need
//   Keep(p, q, to, sum)  writes two vectors of probabilities as weights, and returns sum + what it wrote
//   LoadQuery(q, at, n, to)  writes n elements of a query as weights
#include <math.h>

#include "kernels/attend_tile.h"
#include "kernels/simd/math.h"

namespace atb::kernels::simd {
namespace {

// One vector more than the piece, so that the rows of a tile do not share cache sets.
constexpr int64_t kScoreStride = kAttendChunk + kLanes;
constexpr int64_t kQueryStride = kMaxHeadDim + kLanes;
constexpr int64_t kLine = 64;

template <class Weight>
struct AttendScratch {
  alignas(64) float scores[kAttendRows * kScoreStride];
  alignas(64) Weight probs[kAttendRows * kScoreStride];
  alignas(64) Weight query[kAttendRows * kQueryStride];
};

/// One tile's and piece's extents, computed once.
template <class E>
struct Piece {
  /// 1 to 2 KB let the hardware's own prefetching run along, 4 KB and more are a quarter slower.
  static constexpr int64_t kAhead = 32, kPart = 32;

  const AttendCall& call;
  int64_t rows;
  SlotGroups first;  ///< The first group that some row sees.
  Span tile;
  int64_t key_dim;  ///< head_dim as stored.
  int64_t value_dim;

  Piece(const AttendCall& c, int64_t key_begin, int64_t key_end)
      : call(c),
        rows(c.q_tokens * c.group),
        first(c, 0),
        tile(TileKeys(c, key_begin, key_end)),
        key_dim(E::kDepth == 2 ? RoundUp(c.head_dim, 32) : c.head_dim),
        value_dim(E::kDepth == 2 ? RoundUp(c.head_dim, 16) : c.head_dim) {
    first = SlotGroups(c, key_begin + tile.begin);
  }

  const char* Keys(const SlotGroups& at) const {
    return static_cast<const char*>(call.k_cache) + at.slot() * key_dim * E::kBytes;
  }
  const char* Values(const SlotGroups& at) const {
    return static_cast<const char*>(call.v_cache) + at.slot() * value_dim * E::kBytes;
  }
  int64_t KeyLines() const { return kValueDepth * key_dim * E::kBytes / kLine; }  ///< Of a group.
  int64_t ValueLines() const { return kValueDepth * value_dim * E::kBytes / kLine; }
};

/// Fetches memory in the order in which decode reads it: a piece's keys, its values, the next piece's keys. It begins
/// P::kAhead cache lines before the products, which fetch P::kPart of 32 lines that they read; the rest comes while
/// probabilities are made, when memory would be idle. The tiles of a prompt find keys and values in L2 and fetch
/// nothing. P is a Piece.
template <class P>
class Stream {
 public:
  explicit Stream(const P& p) : p_(p), at_(p.first) {
    if (p.call.q_tokens != 1 || p.tile.begin >= p.tile.end) return;
    const int64_t groups = (p.tile.end - p.tile.begin) / GroupKeys(p.call);
    rest_ = groups * (p.KeyLines() + p.ValueLines()) * (32 - P::kPart) / 32 / (2 * p.rows);
    Enter(kKeys);
    Advance<false>(P::kAhead);
  }

  /// Products read so many lines.
  void Step(int64_t lines) {
    part_ += lines * P::kPart;
    Advance<true>(part_ / 32);
    part_ %= 32;
  }
  /// Half of a row's probabilities are made.
  void Rest() { Advance<true>(rest_); }

 private:
  enum Phase { kKeys, kValues, kNextKeys, kDone };

  template <bool kFetch>
  void Advance(int64_t lines) {
    while (phase_ != kDone) {
      const int64_t n = Min(lines, left_);
      if (kFetch) {
        for (int64_t i = 0; i < n; ++i) __builtin_prefetch(from_ + i * kLine, 0, 2);
      }
      from_ += n * kLine;
      left_ -= n;
      lines -= n;
      if (lines == 0) return;
      NextGroup();
    }
  }

  void NextGroup() {
    at_.Next();
    const int64_t end = p_.first.position() + p_.tile.end - p_.tile.begin;
    if (at_.position() < end || phase_ == kNextKeys) return Enter(phase_);
    // The next piece follows when this one is whole.
    if (phase_ == kKeys) at_ = p_.first;
    Enter(phase_ == kKeys ? kValues : kNextKeys);
  }

  void Enter(Phase phase) {
    phase_ = at_.position() < p_.call.context_len ? phase : kDone;
    if (phase_ == kDone) return;
    from_ = phase == kValues ? p_.Values(at_) : p_.Keys(at_);
    left_ = phase == kValues ? p_.ValueLines() : p_.KeyLines();
  }

  const P& p_;
  SlotGroups at_;
  Phase phase_ = kDone;
  const char* from_ = nullptr;
  int64_t left_ = 0;  ///< Lines of the group.
  int64_t part_ = 0;  ///< 32ths of a line that Step has not fetched yet.
  int64_t rest_ = 0;
};

/// Turns a row of products into probabilities: rounded by E into `probs`, zero where the row cannot see.
template <class V, class E>
inline void SoftmaxRow(const AttendCall& c, int64_t token, int64_t key_begin, const Span& tile, const Span& row,
                       float* scores, typename E::Weight* probs, float* max_out, float* sum_out,
                       Stream<Piece<E>>& stream) {
  const V none = V::Set1(-INFINITY);
  const float* mask = c.mask ? c.mask + token * c.mask_stride + key_begin : nullptr;
  // Where only the scale is between products and scores, the largest product tells the largest score.
  const bool plain = !mask && c.scale > 0;
  V max = none;
  for (int64_t j = tile.begin; j < tile.end; j += kLanes) {
    V s = V::Load(scores + j);
    if (!plain || j < row.begin || j + kLanes > row.end) {
      const int64_t lanes = Max(Min(row.end - j, kLanes), 0);
      if (!plain) s = s * V::Set1(c.scale);
      if (mask) s = s + (lanes == kLanes ? V::Load(mask + j) : V::LoadPart(mask + j, lanes));
      if (lanes < kLanes) s = First(s, lanes, none);
      if (j < row.begin) s = First(none, Min(row.begin - j, kLanes), s);
      s.Store(scores + j);
    }
    max = Max(s, max);
  }
  const float scale = plain ? c.scale : 1;
  float top = ReduceMax(max) * scale;
  if (top < kLeastScore) top = kLeastScore;  // Nothing to see: each exponential is 0. A NaN score stays a NaN.
  stream.Rest();
  const typename E::Exponential exp(scale, top);
  V sum = V::Zero();
  for (int64_t j = tile.begin; j < tile.end; j += 2 * kLanes) {
    sum = E::Keep(exp(V::Load(scores + j)), exp(V::Load(scores + j + kLanes)), probs + j, sum);
  }
  stream.Rest();
  *sum_out = ReduceAdd(sum);
  *max_out = *sum_out == 0 ? -INFINITY : top;
}

/// All rows of a tile. `out`: max and sum.
template <class V, class E>
inline void SoftmaxRows(const Piece<E>& p, int64_t key_begin, int64_t key_end, float* scores,
                        typename E::Weight* probs, const AttendPartial& out, Stream<Piece<E>>& stream) {
  const AttendCall& c = p.call;
  for (int64_t r = 0; r < p.rows; ++r) {
    const int64_t token = r / c.group;
    SoftmaxRow<V, E>(c, token, key_begin, p.tile, VisibleKeys(c, token, key_begin, key_end), scores + r * kScoreStride,
                     probs + r * kScoreStride, out.max + r, out.sum + r, stream);
  }
}

/// f(IntConstant<n>) for 1 <= n <= kMax, so that loops over n unroll into registers.
template <int kN>
struct IntConstant {
  static constexpr int value = kN;
};
template <int kMax, class F>
inline void WithCount(int64_t n, const F& f) {
  if constexpr (kMax > 1) {
    if (n < kMax) return WithCount<kMax - 1>(n, f);
  }
  f(IntConstant<kMax>());
}

/// Products of kRows queries with the 32 keys of two panels, each `units` groups of kDepth elements of d.
template <class V, class E, int kRows>
__attribute__((noinline)) void Scores(Stream<Piece<E>>* stream, const typename E::Weight* query, const char* keys,
                                      int64_t units, int64_t panel_bytes, float* scores) {
  constexpr int64_t kUnitBytes = kLanes * E::kDepth * E::kBytes;
  constexpr int64_t kUnits = 8;  // Between two fetches.
  V acc[kRows][2];
  for (int r = 0; r < kRows; ++r) acc[r][0] = acc[r][1] = V::Zero();
  for (int64_t begin = 0; begin < units; begin += kUnits) {
    const int64_t end = Min(begin + kUnits, units);
    if (stream) stream->Step((end - begin) * 2 * kUnitBytes / kLine);
    for (int64_t u = begin; u < end; ++u) {
      const typename E::Stored k0 = E::Load(keys + u * kUnitBytes);
      const typename E::Stored k1 = E::Load(keys + panel_bytes + u * kUnitBytes);
      for (int r = 0; r < kRows; ++r) {
        const typename E::Weight* q = query + r * kQueryStride + u * E::kDepth;
        acc[r][0] = E::Mul(k0, q, acc[r][0]);
        acc[r][1] = E::Mul(k1, q, acc[r][1]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    acc[r][0].Store(scores + r * kScoreStride);
    acc[r][1].Store(scores + r * kScoreStride + kLanes);
  }
}

/// out[r, d .. d + columns) = sum over the tile's keys of probs[r] * value, for kRows rows and columns <= 16 * kTiles.
template <class V, class E, int kRows, int kTiles>
__attribute__((noinline)) void Weigh(const Piece<E>& p, Stream<Piece<E>>* stream, const typename E::Weight* probs, int64_t d,
                                     int64_t columns, float* out) {
  V acc[kRows][kTiles];
  for (int r = 0; r < kRows; ++r) {
    for (int t = 0; t < kTiles; ++t) acc[r][t] = V::Zero();
  }
  // Pairs are stored as whole tiles [16 d][2], single elements as rows of d.
  constexpr bool kTiled = E::kDepth == 2;
  constexpr int64_t kUnits = kValueDepth / E::kDepth;
  const int64_t unit = (kTiled ? kLanes * 2 : p.value_dim) * E::kBytes;
  const int64_t tile = (kTiled ? kValueDepth * kLanes : kLanes) * E::kBytes;
  const int64_t last = kTiled ? kLanes : columns - (kTiles - 1) * kLanes;
  SlotGroups at = p.first;
  for (int64_t j = p.tile.begin; j < p.tile.end; j += kValueDepth, at.Next()) {
    const char* values = p.Values(at) + (kTiled ? d * kValueDepth : d) * E::kBytes;
    for (int64_t u = 0; u < kUnits; ++u) {
      if (stream && u % (kUnits / 4) == 0) stream->Step(p.ValueLines() / 4);
      typename E::Stored value[kTiles];
      for (int t = 0; t < kTiles - 1; ++t) value[t] = E::Load(values + u * unit + t * tile);
      value[kTiles - 1] = E::Load(values + u * unit + (kTiles - 1) * tile, last);
      for (int r = 0; r < kRows; ++r) {
        const typename E::Weight* weight = probs + r * kScoreStride + j + u * E::kDepth;
        for (int t = 0; t < kTiles; ++t) acc[r][t] = E::Mul(value[t], weight, acc[r][t]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    float* row = out + r * p.call.head_dim + d;
    for (int t = 0; t < kTiles - 1; ++t) acc[r][t].Store(row + t * kLanes);
    acc[r][kTiles - 1].StorePart(row + (kTiles - 1) * kLanes, columns - (kTiles - 1) * kLanes);
  }
}

template <class E>
inline void LoadQueries(const AttendCall& c, typename E::Weight* query) {
  for (int64_t r = 0; r < c.q_tokens * c.group; ++r) {
    const int64_t head = c.kv_head * c.group + r % c.group;
    E::LoadQuery(c.q, r / c.group * c.q_stride + head * c.head_dim, c.head_dim, query + r * kQueryStride);
  }
}

/// KernelTable::attend. kScoreRows * 2 and kWeighRows * kWeighTiles accumulators live in registers.
template <class V, class E, int kScoreRows, int kWeighRows, int kWeighTiles>
inline void Attend(const AttendCall& c, int64_t key_begin, int64_t key_end, const AttendPartial& out, void* scratch) {
  auto& s = *static_cast<AttendScratch<typename E::Weight>*>(scratch);
  const Piece<E> p(c, key_begin, key_end);
  Stream<Piece<E>> stream(p);
  LoadQueries<E>(c, s.query);
  SlotGroups at = p.first;
  for (int64_t j = p.tile.begin; j < p.tile.end; j += kValueDepth, at.Next()) {
    for (int64_t r = 0; r < p.rows; r += kScoreRows) {
      WithCount<kScoreRows>(p.rows - r, [&](auto n) {
        Scores<V, E, n.value>(r == 0 ? &stream : nullptr, s.query + r * kQueryStride, p.Keys(at),
                              c.head_dim / E::kDepth, kKeyPanel * p.key_dim * E::kBytes,
                              s.scores + r * kScoreStride + j);
      });
    }
  }

  SoftmaxRows<V, E>(p, key_begin, key_end, s.scores, s.probs, out, stream);

  for (int64_t r = 0; r < p.rows; r += kWeighRows) {
    WithCount<kWeighRows>(p.rows - r, [&](auto n) {
      for (int64_t d = 0; d < c.head_dim; d += kWeighTiles * kLanes) {
        const int64_t columns = Min(c.head_dim - d, kWeighTiles * kLanes);
        WithCount<kWeighTiles>((columns + kLanes - 1) / kLanes, [&](auto tiles) {
          Weigh<V, E, n.value, tiles.value>(p, r == 0 && d == 0 ? &stream : nullptr, s.probs + r * kScoreStride, d,
                                            columns, out.out + r * c.head_dim);
        });
      }
    });
  }
}

/// KernelTable::merge.
template <class V>
inline void Merge(const AttendPartial& acc, const AttendPartial& part, int64_t rows, int64_t head_dim) {
  for (int64_t r = 0; r < rows; ++r) {
    if (part.max[r] == -INFINITY) continue;
    const float max = acc.max[r] > part.max[r] ? acc.max[r] : part.max[r];
    const V a = Exp(V::Set1(acc.max[r] - max));
    const V b = Exp(V::Set1(part.max[r] - max));
    acc.max[r] = max;
    // One lane through the same arithmetic as the rest.
    Fma(V::Set1(part.sum[r]), b, V::Set1(acc.sum[r]) * a).StorePart(acc.sum + r, 1);
    float* total = acc.out + r * head_dim;
    const float* more = part.out + r * head_dim;
    for (int64_t d = 0; d < head_dim; d += kLanes) {
      const int64_t n = Min(head_dim - d, kLanes);
      StoreAs(Fma(LoadAs<V>(more, DType::kF32, d, n), b, LoadAs<V>(total, DType::kF32, d, n) * a), total, DType::kF32,
              d, n);
    }
  }
}

/// exp(x * scale - shift) to f32.
template <class V>
struct FullExp {
  V scale;
  V shift;
  FullExp(float by, float minus) : scale(V::Set1(by)), shift(V::Set1(-minus)) {}
  V operator()(V x) const { return Exp(Fma(x, scale, shift)); }
};

/// Elements as f32 weights: to[0 .. n) = elements [at, at + n) of `from`.
template <class V>
inline void WidenRow(const void* from, DType dtype, int64_t at, int64_t n, float* to) {
  for (int64_t i = 0; i < n; i += kLanes) {
    const int64_t lanes = Min(n - i, kLanes);
    StoreAs(LoadAs<V>(from, dtype, at + i, lanes), to, DType::kF32, i, lanes);
  }
}

/// Probabilities, rounded to `kType`, as f32 weights. Returns sum + both.
template <class V, DType kType>
inline V KeepWide(V p, V q, float* to, V sum) {
  if constexpr (kType != DType::kF32) {
    uint16_t rounded[2 * kLanes];
    StoreAs(p, rounded, kType, 0, kLanes);
    StoreAs(q, rounded, kType, kLanes, kLanes);
    p = LoadAs<V>(rounded, kType, 0, kLanes);
    q = LoadAs<V>(rounded, kType, kLanes, kLanes);
  }
  p.Store(to);
  q.Store(to + kLanes);
  return sum + p + q;
}

/// E for f32 and f16 elements, one at a time, times f32.
template <class V, DType kType>
struct Single {
  using Weight = float;
  using Stored = V;
  using Exponential = FullExp<V>;
  static constexpr int kDepth = 1;
  static constexpr int64_t kBytes = kType == DType::kF32 ? 4 : 2;

  static V Load(const char* p) { return LoadAs<V>(p, kType, 0, kLanes); }
  static V Load(const char* p, int64_t lanes) { return LoadAs<V>(p, kType, 0, lanes); }
  static V Mul(V stored, const float* weight, V acc) { return Fma(stored, V::Set1(*weight), acc); }
  static V Keep(V p, V q, float* to, V sum) { return KeepWide<V, kType>(p, q, to, sum); }
  static void LoadQuery(const void* q, int64_t at, int64_t n, float* to) { WidenRow<V>(q, kType, at, n, to); }
};

}  // namespace
}  // namespace atb::kernels::simd
