// Attention kernels: the reference against the textbook, every other table against the reference.
#include <algorithm>
#include <string>

#include "attention_fixture.h"
#include "check.h"
#include "floats.h"
#include "kernels/kernel_table.h"

namespace atb::test {
namespace {

using kernels::AttendCall;
using kernels::AttendPartial;
using kernels::kAttendChunk;
using kernels::kAttendRows;
using kernels::kAttendTile;
using kernels::KernelTable;

/// Of queries and cache.
struct Kind {
  DType dtype;
  DType cache;
};
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr Kind kKinds[] = {{DType::kF32, DType::kF32}, {DType::kF16, DType::kF16}, {DType::kBF16, DType::kBF16},
                           {DType::kF32, DType::kI8},  {DType::kF16, DType::kI8},  {DType::kBF16, DType::kI8}};

/// One sequence in a cache.
struct Problem {
  Heads heads;
  Kind kind;
  int64_t context;
  int64_t block_size;
  Array q;  ///< [context, q_heads, D]: a query for every position.
  Array k;
  Array v;
  PagedCache cache;
  std::vector<int32_t> table;
  std::vector<std::byte> staged;  ///< Where values are staged that are parts of keys.

  Problem(const Heads& h, Kind types, int64_t keys, int64_t block, uint64_t seed = 1)
      : heads(h),
        kind(types),
        context(keys),
        block_size(block),
        q(kind.dtype, 0),
        k(kind.dtype, 0),
        v(kind.dtype, 0),
        cache(kind.cache, h, block, keys / block + 3) {
    Random random(seed);
    // What integers stand for is an f32.
    const DType stored = integers() ? DType::kF32 : kind.dtype;
    q = Normal(random, kind.dtype, context * heads.q_heads() * heads.head_dim, 1.5f);
    k = Normal(random, stored, context * heads.kv_heads * heads.head_dim, 1.2f);
    v = Normal(random, stored, context * heads.kv_heads * heads.value_dim());
    table = cache.Take(context);
    if (integers()) {
      cache.FillIntegers(table, k, v, context);
    } else {
      cache.Fill(table, k, v, context);
    }
    if (heads.latent == 0) return;
    staged = std::vector<std::byte>(static_cast<size_t>(kAttendChunk * (heads.latent + 16) * 4 + 64), std::byte{0xFF});
    for (int64_t j = 0; j < context; ++j) {
      for (int64_t d = 0; d < heads.latent; ++d) v.Set(j * heads.latent + d, k[j * heads.head_dim + d]);
    }
  }

  bool integers() const { return kind.cache == DType::kI8; }

  AttendCall Call(int64_t first, int64_t tokens, int64_t kv_head, const Sight& sight) {
    AttendCall c = {};
    c.q = q.At(first * heads.q_heads() * heads.head_dim);
    c.dtype = kind.dtype;
    c.cache_dtype = kind.cache;
    c.q_tokens = tokens;
    c.q_stride = heads.q_heads() * heads.head_dim;
    c.group = heads.group;
    c.kv_head = kv_head;
    c.blocks = cache.keys().blocks;
    c.head_dim = heads.head_dim;
    c.value_dim = heads.value_dim();
    c.q_position = first;
    c.window = sight.window;
    c.chunk = sight.chunk;
    c.causal = sight.causal;
    c.softcap = sight.softcap;
    c.slopes = sight.slopes.empty() ? nullptr : sight.slopes.data() + kv_head * heads.group;
    c.context_len = context;
    c.scale = heads.scale();
    c.k_cache = cache.keys().data;
    c.v_cache = heads.latent > 0 ? nullptr : cache.values().data;
    c.values = staged.data() + (64 - reinterpret_cast<uintptr_t>(staged.data()) % 64) % 64;
    c.block_table = table.data();
    c.block_size = block_size;
    return c;
  }
};

/// Room for one partial.
struct Partial {
  std::vector<float> max, sum, out;
  Partial(int64_t rows, int64_t head_dim)
      : max(static_cast<size_t>(rows), -INFINITY),
        sum(static_cast<size_t>(rows)),
        out(static_cast<size_t>(rows * head_dim)) {}
  AttendPartial View() { return {max.data(), sum.data(), out.data()}; }
};

Partial Piece(const KernelTable& t, const AttendCall& c, int64_t begin, int64_t end) {
  Partial part(c.q_tokens * c.group, c.value_dim);
  for (float& x : part.out) x = NAN;
  std::vector<std::byte> scratch(static_cast<size_t>(t.attend_scratch_bytes) + 64, std::byte{0xFF});
  auto* aligned = scratch.data() + (64 - reinterpret_cast<uintptr_t>(scratch.data()) % 64) % 64;
  t.attend(c, begin, end, part.View(), aligned);
  return part;
}

/// All keys in order; [rows, D], normalised.
std::vector<float> Attend(const KernelTable& t, const AttendCall& c) {
  Partial acc = Piece(t, c, 0, c.context_len);
  for (size_t i = 0; i < acc.out.size(); ++i) {
    const float sum = acc.sum[i / static_cast<size_t>(c.value_dim)];
    acc.out[i] = (sum == 0 ? 0 : acc.out[i] / sum) + 0.0f;
  }
  return acc.out;
}

/// Against the textbook: the rounding of probabilities (none, 2^-11, 2^-8 of each), and f32 sums of up to 1000 terms.
double Tolerance(Kind kind) {
  if (kind.cache == DType::kI8 || kind.dtype == DType::kF32) return 4e-6;
  return kind.dtype == DType::kF16 ? 1.5e-3 : 1e-2;
}
/// Between tables: a different order of sums, and probabilities that round the other way. Over integers queries have 16
/// bits, so scores are off by up to 2^-16 of the largest score that such queries could have.
double TableTolerance(Kind kind) {
  if (kind.cache == DType::kI8) return 6e-4;
  return kind.dtype == DType::kF32 ? 4e-6 : kind.dtype == DType::kF16 ? 4e-4 : 3e-3;
}

void CheckClose(const char* isa, const Problem& p, const std::vector<float>& found, const double* expected,
                double tol) {
  for (size_t i = 0; i < found.size(); ++i) {
    if (std::abs(found[i] - expected[i]) <= tol) continue;  // NaN fails.
    std::fprintf(stderr, "%s %s D=%d group=%d context=%d: [%zu] %g, expected %g\n", isa,
                 p.integers() ? "i8" : Name(p.kind.dtype), int(p.heads.head_dim), int(p.heads.group), int(p.context), i,
                 found[i], expected[i]);
    CHECK(false);
  }
}

/// Queries [first, first + tokens) of one kv head on every table, against the reference, and that against the textbook.
void CheckTile(Problem& p, int64_t first, int64_t tokens, const Sight& sight, const std::vector<float>& mask = {},
               double slack = 1) {
  Array queries =
      p.q.Slice(first * p.heads.q_heads() * p.heads.head_dim, (first + tokens) * p.heads.q_heads() * p.heads.head_dim);
  const auto textbook = Textbook(p.heads, queries, p.k, p.v, tokens, p.context, first, sight, mask);
  for (int64_t kv = 0; kv < p.heads.kv_heads; ++kv) {
    AttendCall c = p.Call(first, tokens, kv, sight);
    c.mask = mask.empty() ? nullptr : mask.data();
    c.mask_stride = p.context;
    std::vector<double> expected;
    for (int64_t r = 0; r < tokens * p.heads.group; ++r) {
      const int64_t row = r / p.heads.group * p.heads.q_heads() + kv * p.heads.group + r % p.heads.group;
      const auto* begin = textbook.data() + row * p.heads.value_dim();
      expected.insert(expected.end(), begin, begin + p.heads.value_dim());
    }
    const auto reference = Attend(kernels::Select("reference"), c);
    CheckClose("reference", p, reference, expected.data(), Tolerance(p.kind));
    const std::vector<double> exact(reference.begin(), reference.end());
    for (const KernelTable* t : kernels::Available()) {
      if (t != &kernels::Select("reference"))
        CheckClose(t->isa, p, Attend(*t, c), exact.data(), TableTolerance(p.kind) * slack);
    }
  }
}

void AttentionAgreesForEveryHeadShape() {
  for (Kind kind : kKinds) {
    for (int64_t head_dim : {8, 16, 24, 32, 64, 80, 96, 128, 160, 192, 256}) {
      for (int64_t group : {1, 2, 3, 4, 7, 8, 16}) {
        if (head_dim > 128 && group != 2 && group != 7) continue;
        Problem p({2, group, head_dim}, kind, 67, 32, static_cast<uint64_t>(head_dim + group));
        const int64_t tokens = kAttendTile / group;
        CheckTile(p, 66, 1, {});
        CheckTile(p, 67 - tokens, tokens, {.causal = true});
        CheckTile(p, 30, tokens, {.causal = true});
        // Several tiles, the last of which is not full; where a group does not divide tiles, these begin inside tokens.
        if (group == 3 || group == 7) CheckTile(p, 49, 18, {.causal = true});
      }
    }
  }
}

void AttentionAgreesForEveryContextLength() {
  for (Kind kind : kKinds) {
    for (int64_t context : {1, 2, 15, 16, 17, 31, 32, 33, 63, 65, 127, 128, 129, 255, 256, 257, 511, 513, 1000}) {
      Problem p({1, 4, 64}, kind, context, context % 2 ? 128 : 96, static_cast<uint64_t>(context));
      CheckTile(p, context - 1, 1, {});
      CheckTile(p, std::max<int64_t>(0, context - 4), std::min<int64_t>(4, context), {.causal = true});
      CheckTile(p, 0, std::min<int64_t>(3, context), {.causal = true});
    }
  }
}

/// MLA: one head of keys for all queries, whose first numbers are the values.
void ValuesMayBePartsOfKeys() {
  for (Kind kind : kKinds) {
    for (const Heads heads : {Heads{1, 16, 576, 512}, Heads{1, 8, 288, 256}, Heads{1, 3, 40, 24}, Heads{1, 1, 24, 8}}) {
      Problem p(heads, kind, 270, heads.group == 3 ? 32 : 128);
      const int64_t tokens = kAttendTile / heads.group;
      CheckTile(p, 270 - tokens, tokens, {.causal = true});
      if (heads.head_dim < 100) CheckTile(p, 269, 1, {.causal = true, .window = 37});
    }
  }
}

/// All numbers as large as integers get, so that sums over the longest head are as large as they get.
void SumsOfTheLongestHeadFit() {
  Problem p({1, 16, 576, 512}, {DType::kBF16, DType::kI8}, 64, 64);
  for (int64_t i = 0; i < p.q.size(); ++i) p.q.Set(i, 1);
  for (int64_t i = 0; i < p.k.size(); ++i) p.k.Set(i, 0.01f);
  for (int64_t i = 0; i < p.v.size(); ++i) p.v.Set(i, 0.01f);
  p.cache.FillIntegers(p.table, p.k, p.v, p.context);
  CheckTile(p, 63, 1, {.causal = true});
}

void WindowsHideWhatIsBehind() {
  for (Kind kind : kKinds) {
    Problem p({2, 2, 32}, kind, 600, 64);
    for (int64_t window : {1, 2, 16, 33, 255, 256, 257, 300, 599, 600, 1000}) {
      for (int64_t first : {0, 31, 250, 256, 300, 590}) CheckTile(p, first, 8, {.causal = true, .window = window});
      CheckTile(p, 599, 1, {.window = window});
    }
  }
}

void ChunksHideWhatCameBeforeThem() {
  for (Kind kind : kKinds) {
    Problem p({2, 2, 32}, kind, 600, 64);
    for (int64_t chunk : {1, 2, 7, 32, 100, 255, 256, 257, 300, 599, 600, 1000}) {
      for (int64_t first : {0, 31, 96, 250, 256, 296, 590}) CheckTile(p, first, 8, {.causal = true, .chunk = chunk});
      CheckTile(p, 290, 20, {.causal = true, .window = 40, .chunk = chunk});
      CheckTile(p, 599, 1, {.chunk = chunk});
    }
  }
}

void MasksAreAddedToScaledScores() {
  for (Kind kind : kKinds) {
    Problem p({2, 4, 64}, kind, 300, 128);
    Random random(5);
    std::vector<float> mask = random.Normal<float>(4 * 300, 1);
    CheckTile(p, 296, 4, {}, mask);
    CheckTile(p, 200, 4, {.causal = true}, mask);
    for (float& x : mask) x = random.Below(3) == 0 ? -INFINITY : 0;
    CheckTile(p, 296, 4, {}, mask);
    for (size_t i = 0; i < 300; ++i) mask[i] = -INFINITY;  // One row that sees nothing.
    CheckTile(p, 296, 4, {}, mask);
    // What ATB's two attentions come to in bf16.
    for (float least : {-3e38f, -10000.0f}) {
      for (float& x : mask) x = x == 0 ? 0 : least;
      for (size_t i = 0; i < 256; ++i) mask[300 + i] = least;  // A whole piece that counts for nothing.
      std::fill_n(mask.begin(), 300, 0.0f);
      CheckTile(p, 296, 4, {}, mask);
    }
  }
}

/// A softcap, slopes and a mask, in this order.
void ScoresAreBentBeforeMasksAreAdded() {
  for (Kind kind : kKinds) {
    for (const Heads heads : {Heads{2, 1, 64}, Heads{1, 3, 80}, Heads{2, 4, 40}}) {
      Problem p(heads, kind, 530, 64);
      std::vector<float> mask = Random(6).Normal<float>(4 * 530, 1);
      for (const Sight& sight : {Sight{.softcap = 1.5f}, Sight{.causal = true, .slopes = Slopes(heads)},
                                 Sight{.causal = true, .window = 100, .softcap = 2, .slopes = Slopes(heads)}}) {
        for (int64_t first : {0, 29, 254, 526}) {
          CheckTile(p, first, 4, sight);
          CheckTile(p, first, 4, sight, mask);
        }
      }
    }
  }
}

/// Each head of the tile adds a mask of its own.
void HeadsMayHaveMasksOfTheirOwn() {
  for (Kind kind : kKinds) {
    const Heads heads{1, 3, 32};
    Problem p(heads, kind, 300, 64);
    const std::vector<float> slopes = Slopes(heads);
    std::vector<float> masks;
    for (float slope : slopes) {
      for (int64_t i = 0; i < 4 * 300; ++i) masks.push_back(slope * static_cast<float>(i % 300 - (296 + i / 300)));
    }
    for (const KernelTable* t : kernels::Available()) {
      AttendCall masked = p.Call(296, 4, 0, {.causal = true});
      masked.mask = masks.data();
      masked.mask_stride = 300;
      masked.mask_head_stride = 4 * 300;
      const auto expected = Attend(*t, p.Call(296, 4, 0, {.causal = true, .slopes = slopes}));
      CheckClose(t->isa, p, Attend(*t, masked), std::vector<double>(expected.begin(), expected.end()).data(),
                 TableTolerance(kind));
    }
  }
}

void LargeScoresDoNotOverflow() {
  for (Kind kind : kKinds) {
    Problem p({1, 4, 64}, kind, 300, 128);
    for (int64_t i = 0; i < p.q.size(); ++i) p.q.Set(i, p.q[i] * 40);
    // The scores' own rounding grows with them.
    CheckTile(p, 299, 1, {}, {}, p.integers() ? 40 : 1);
  }
}

/// Bits of a row, whoever shares its call, wherever the call begins.
void RowsDoNotDependOnTheirCompany() {
  for (Kind kind : kKinds) {
    for (const Heads heads : {Heads{2, 1, 64}, Heads{1, 3, 80}, Heads{1, 7, 128}, Heads{2, 4, 40},
                              Heads{1, 5, 288, 256}, Heads{2, 4, 192, 0, 128}}) {
      Problem p(heads, kind, 530, 64);
      for (const Sight& sight : {Sight{.causal = true}, Sight{.causal = true, .window = 100},
                                 Sight{.causal = true, .softcap = 3, .slopes = Slopes(heads)}}) {
        for (const KernelTable* t : kernels::Available()) {
          // The reference computes row by row and is slow: one shape is enough, and a tile.
          if (t == &kernels::Select("reference") && heads.head_dim != 64) continue;
          for (int64_t first : {0, 29, 254, 510}) {
            const int64_t most = (t == &kernels::Select("reference") ? kAttendTile : kAttendRows) / heads.group;
            const int64_t tokens = std::min(most, p.context - first);
            const auto together = Attend(*t, p.Call(first, tokens, heads.kv_heads - 1, sight));
            for (int64_t i = 0; i < tokens; i += i < kAttendTile / heads.group ? 1 : 4) {
              AttendCall alone_call = p.Call(first + i, 1, heads.kv_heads - 1, sight);
              // As in decode: later keys do not exist yet.
              alone_call.context_len = first + i + 1;
              const auto alone = Attend(*t, alone_call);
              CHECK(std::memcmp(alone.data(), together.data() + i * heads.group * heads.value_dim(),
                                alone.size() * sizeof(float)) == 0);
            }
          }
        }
      }
    }
  }
}

/// One call gives the bits that one call for each piece gives, merged in their order.
void PiecesMayBeCallsOfTheirOwn() {
  for (Kind kind : kKinds) {
    for (const Heads heads : {Heads{1, 3, 80}, Heads{1, 5, 288, 256}}) {
      Problem p(heads, kind, 700, 64);
      const int64_t tokens = 18, rows = tokens * heads.group;
      for (const KernelTable* t : kernels::Available()) {
        if (t == &kernels::Select("reference") && heads.head_dim > 100) continue;
        const AttendCall call = p.Call(500, tokens, 0, {.causal = true, .window = 300});
        Partial whole = Piece(*t, call, 0, 520), merged = Piece(*t, call, 0, kAttendChunk);
        for (int64_t begin = kAttendChunk; begin < 520; begin += kAttendChunk) {
          Partial part = Piece(*t, call, begin, std::min<int64_t>(begin + kAttendChunk, 520));
          t->merge(merged.View(), part.View(), rows, heads.value_dim());
        }
        CHECK(whole.max == merged.max && whole.sum == merged.sum && whole.out == merged.out);
      }
    }
  }
}

void BlockSizeDoesNotChangeBits() {
  for (Kind kind : kKinds) {
    Problem small({1, 4, 64}, kind, 700, 32);
    Problem large({1, 4, 64}, kind, 700, 512);
    for (const KernelTable* t : kernels::Available()) {
      CHECK(Attend(*t, small.Call(696, 4, 0, {.causal = true})) == Attend(*t, large.Call(696, 4, 0, {.causal = true})));
    }
  }
}

void UnseenPiecesChangeNothing() {
  for (Kind kind : kKinds) {
    Problem p({1, 4, 64}, kind, 600, 64);
    for (const KernelTable* t : kernels::Available()) {
      const AttendCall c = p.Call(100, 4, 0, {.causal = true});
      Partial seen = Piece(*t, c, 0, 256);
      Partial unseen = Piece(*t, c, 256, 512);
      for (size_t r = 0; r < 16; ++r) CHECK(unseen.max[r] == -INFINITY && unseen.sum[r] == 0);
      for (float x : unseen.out) CHECK(x == 0);
      Partial merged = seen;
      merged.out[0] = -0.0f;
      Partial before = merged;
      t->merge(merged.View(), unseen.View(), 16, 64);
      CHECK(std::memcmp(merged.out.data(), before.out.data(), before.out.size() * 4) == 0);
      CHECK(merged.max == before.max && merged.sum == before.sum);
      Partial empty(16, 64);
      t->merge(empty.View(), seen.View(), 16, 64);
      CHECK(empty.max == seen.max && empty.sum == seen.sum && empty.out == seen.out);
    }
  }
}

/// A broken number shows, and only where it belongs.
void NaNStaysInItsRow() {
  for (Kind kind : kKinds) {
    Problem p({1, 4, 64}, kind, 300, 64);
    const AttendCall clean = p.Call(296, 4, 0, {.causal = true});
    for (const KernelTable* t : kernels::Available()) {
      const auto before = Attend(*t, clean);
      const int64_t at = (297 * 4 + 2) * 64 + 5;  // Token 1, head 2: row 6.
      const float kept = p.q[at];
      p.q.Set(at, NAN);
      const auto after = Attend(*t, clean);
      for (size_t r = 0; r < 16; ++r) {
        for (size_t d = 0; d < 64; ++d) {
          const size_t i = r * 64 + d;
          CHECK(r == 6 ? std::isnan(after[i]) : after[i] == before[i]);
        }
      }
      p.q.Set(at, kept);
    }
  }
}

/// A value that is no number, at a position that a row does not see, although its tile holds it.
void NaNBehindAQueryIsNotSeen() {
  for (DType dtype : kFloats) {
    Problem p({1, 4, 64}, {dtype, DType::kI8}, 300, 64);
    const AttendCall call = p.Call(296, 4, 0, {.causal = true});
    for (const KernelTable* t : kernels::Available()) {
      const auto before = Attend(*t, call);
      std::vector<int8_t> zeros(64);
      const int64_t slot = p.table[298 / 64] * 64 + 298 % 64;
      std::vector<int8_t> key(64), value(64);
      float key_scale, value_scale;
      kernels::ReadIntegers(p.cache.keys(), slot, 0, key.data(), 0, &key_scale, 1);
      kernels::ReadIntegers(p.cache.values(), slot, 0, value.data(), 0, &value_scale, 1);
      for (const kernels::KvStore& store : {p.cache.keys(), p.cache.values()}) {
        kernels::WriteIntegers(store, slot, 0, zeros.data(), 0, &kNaN, 1);
        const auto after = Attend(*t, call);
        for (size_t i = 0; i < after.size(); ++i) {
          const bool sees = i / 64 / 4 >= 2;
          CHECK(sees ? std::isnan(after[i]) : after[i] == before[i]);
        }
        kernels::WriteIntegers(store, slot, 0, store.values ? value.data() : key.data(), 0,
                               store.values ? &value_scale : &key_scale, 1);
      }
    }
  }
}

void CacheLayoutsReadBackWhatWasWritten() {
  for (DType dtype : kFloats) {
    for (int64_t head_dim : {8, 24, 64, 80}) {
      Random random(3);
      const Heads heads{3, 1, head_dim};
      PagedCache cache(dtype, heads, 64, 4);
      Array rows = Normal(random, dtype, 50 * 3 * head_dim);
      for (const kernels::KvStore& store : {cache.keys(), cache.values()}) {
        for (int64_t head = 0; head < 3; ++head) {
          kernels::ZeroHead(store, 2, head);
          // Slots 5 .. 54 of block 2, in two pieces.
          kernels::WriteSlots(store, 2 * 64 + 5, head, rows.At(head * head_dim), 3 * head_dim, 20);
          kernels::WriteSlots(store, 2 * 64 + 25, head, rows.At((20 * 3 + head) * head_dim), 3 * head_dim, 30);
          Array back(dtype, 64 * head_dim);
          kernels::ReadSlots(store, 2 * 64, head, back.data(), head_dim, 64);
          for (int64_t slot = 0; slot < 64; ++slot) {
            for (int64_t d = 0; d < head_dim; ++d) {
              const bool written = slot >= 5 && slot < 55;
              CHECK(back[slot * head_dim + d] == (written ? rows[((slot - 5) * 3 + head) * head_dim + d] : 0));
            }
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace atb::test

int main() {
  using namespace atb::test;
  RUN(CacheLayoutsReadBackWhatWasWritten);
  RUN(AttentionAgreesForEveryHeadShape);
  RUN(AttentionAgreesForEveryContextLength);
  RUN(ValuesMayBePartsOfKeys);
  RUN(SumsOfTheLongestHeadFit);
  RUN(WindowsHideWhatIsBehind);
  RUN(ChunksHideWhatCameBeforeThem);
  RUN(MasksAreAddedToScaledScores);
  RUN(ScoresAreBentBeforeMasksAreAdded);
  RUN(HeadsMayHaveMasksOfTheirOwn);
  RUN(LargeScoresDoNotOverflow);
  RUN(RowsDoNotDependOnTheirCompany);
  RUN(PiecesMayBeCallsOfTheirOwn);
  RUN(BlockSizeDoesNotChangeBits);
  RUN(UnseenPiecesChangeNothing);
  RUN(NaNStaysInItsRow);
  RUN(NaNBehindAQueryIsNotSeen);
  return 0;
}
