#pragma once
// Random attention problems and the textbook's answer, for the tests of the kernels and of the operations.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/convert.h"
#include "kernels/dispatch.h"
#include "kernels/kv_pack.h"
#include "random.h"

namespace atb::test {

/// Elements of a float dtype.
struct Array {
  DType dtype;
  std::vector<std::byte> bytes;

  Array(DType type, int64_t n) : dtype(type), bytes(static_cast<size_t>(n) * SizeOf(type)) {}
  void* data() { return bytes.data(); }
  int64_t size() const { return static_cast<int64_t>(bytes.size() / SizeOf(dtype)); }
  /// All numbers, for those who look at each more than once.
  std::vector<double> Wide() const {
    std::vector<double> wide(static_cast<size_t>(size()));
    for (int64_t i = 0; i < size(); ++i) wide[static_cast<size_t>(i)] = (*this)[i];
    return wide;
  }
  float operator[](int64_t i) const { return kernels::LoadFloat(bytes.data(), dtype, i); }
  void Set(int64_t i, float x) { kernels::StoreFloat(bytes.data(), dtype, i, x); }
  std::byte* At(int64_t i) { return bytes.data() + i * static_cast<int64_t>(SizeOf(dtype)); }
  Array Slice(int64_t begin, int64_t end) const {
    Array part(dtype, end - begin);
    std::memcpy(part.data(), bytes.data() + begin * static_cast<int64_t>(SizeOf(dtype)), part.bytes.size());
    return part;
  }
};

inline Array Normal(Random& random, DType dtype, int64_t n, float scale = 1) {
  Array a(dtype, n);
  int64_t i = 0;
  for (float x : random.Normal<float>(n, scale)) a.Set(i++, x);
  return a;
}

struct Heads {
  int64_t kv_heads;
  int64_t group;
  int64_t head_dim;
  int64_t latent = 0;  ///< Where values are the first so many numbers of keys.
  int64_t values = 0;  ///< The size of values' heads, where it is another than that of keys.
  int64_t value_dim() const { return latent > 0 ? latent : values > 0 ? values : head_dim; }
  int64_t q_heads() const { return kv_heads * group; }
  float scale() const { return 1 / std::sqrt(static_cast<float>(head_dim)); }
};

/// Which keys a query at a position sees, and what becomes of scaled scores before a mask is added.
struct Sight {
  bool causal = false;
  int64_t window = 0;
  int64_t chunk = 0;
  float softcap = 0;
  std::vector<float> slopes = {};  ///< [q_heads] or none.
  std::vector<float> sinks = {};   ///< [q_heads] scores of keys whose values are zero, or none.
  std::vector<int32_t> seen = {};  ///< [tokens] with `causal`: how many keys each query sees, or none: up to its own.
};

/// Slopes of some heads, no two alike.
inline std::vector<float> Slopes(const Heads& h) {
  std::vector<float> slopes;
  for (int64_t i = 0; i < h.q_heads(); ++i) slopes.push_back(0.7f / static_cast<float>(i + 1));
  return slopes;
}

/// softmax(bent(q k^T * scale) + mask) v in double; q [tokens, q_heads, D] at positions first, first + 1, ...; k
/// [context, kv_heads, D], v [context, kv_heads, value_dim]; mask [tokens, context] or empty. Rows that see nothing are
/// zeros.
inline std::vector<double> Textbook(const Heads& h, const Array& q, const Array& k, const Array& v, int64_t tokens,
                                    int64_t context, int64_t first, const Sight& sight,
                                    const std::vector<float>& mask = {}) {
  const int64_t d = h.head_dim;
  const int64_t dv = h.value_dim();
  std::vector<double> out(static_cast<size_t>(tokens * h.q_heads() * dv));
  std::vector<double> p(static_cast<size_t>(context));
  const std::vector<double> queries = q.Wide(), keys = k.Wide(), values = v.Wide();
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t head = 0; head < h.q_heads(); ++head) {
      const int64_t kv = head / h.group;
      const double* const query = &queries[static_cast<size_t>((t * h.q_heads() + head) * d)];
      double* const row = &out[static_cast<size_t>((t * h.q_heads() + head) * dv)];
      double max = -INFINITY;
      for (int64_t j = 0; j < context; ++j) {
        const int64_t end = sight.seen.empty() ? first + t + 1 : sight.seen[static_cast<size_t>(t)];
        const bool seen = (!sight.causal || j < end) && (sight.window == 0 || j > first + t - sight.window) &&
                          (sight.chunk == 0 || j / sight.chunk == (first + t) / sight.chunk);
        p[static_cast<size_t>(j)] = -INFINITY;
        if (!seen) continue;
        const double* const key = &keys[static_cast<size_t>((j * h.kv_heads + kv) * d)];
        double s = 0;
        for (int64_t i = 0; i < d; ++i) s += query[i] * key[i];
        s *= h.scale();
        if (sight.softcap != 0) s = sight.softcap * std::tanh(s / sight.softcap);
        if (!sight.slopes.empty()) s += sight.slopes[static_cast<size_t>(head)] * static_cast<double>(j - first - t);
        if (!mask.empty()) s += mask[static_cast<size_t>(t * context + j)];
        p[static_cast<size_t>(j)] = s;
        max = std::max(max, p[static_cast<size_t>(j)]);
      }
      if (max == -INFINITY) continue;
      const double sink = sight.sinks.empty() ? -INFINITY : double{sight.sinks[static_cast<size_t>(head)]};
      max = std::max(max, sink);
      double sum = std::exp(sink - max);
      for (double& x : p) sum += x = std::exp(x - max);
      for (int64_t j = 0; j < context; ++j) {
        const double weight = p[static_cast<size_t>(j)] / sum;
        if (weight == 0) continue;
        const double* const value = &values[static_cast<size_t>((j * h.kv_heads + kv) * dv)];
        for (int64_t i = 0; i < dv; ++i) row[i] += weight * value[i];
      }
    }
  }
  return out;
}

/// One layer's cache of kv_layout.h, full of NaN until written, and block tables that go through it in a random order.
class PagedCache {
 public:
  PagedCache(DType dtype, const Heads& heads, int64_t block_size, int64_t blocks)
      : keys_{nullptr, dtype, false, blocks, block_size, heads.kv_heads, heads.head_dim},
        values_{nullptr, dtype, true, blocks, block_size, heads.kv_heads, heads.value_dim()},
        key_bytes_(static_cast<size_t>(keys_.BlockBytes() * blocks) + 64, std::byte{0xFF}),
        value_bytes_(static_cast<size_t>(values_.BlockBytes() * blocks) + 64, std::byte{0xFF}),
        order_(static_cast<size_t>(blocks)) {
    keys_.data = Align(key_bytes_);
    values_.data = Align(value_bytes_);
    std::iota(order_.begin(), order_.end(), 0);
    Random random(static_cast<uint64_t>(blocks));
    for (size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random.Next() % i]);
  }

  /// Blocks for one more sequence of `context` keys.
  std::vector<int32_t> Take(int64_t context) {
    const int64_t n = (context + keys_.block_size - 1) / keys_.block_size;
    std::vector<int32_t> table(order_.end() - n, order_.end());
    order_.resize(order_.size() - static_cast<size_t>(n));
    return table;
  }

  /// Rows [context, kv_heads, D] of f32 into blocks of a table as integers. The rows become what the integers stand
  /// for.
  void FillIntegers(const std::vector<int32_t>& table, Array& k, Array& v, int64_t context) {
    for (const kernels::KvStore& store : {keys_, values_}) {
      Array& rows = store.values ? v : k;
      for (int32_t block : table) {
        for (int64_t head = 0; head < store.kv_heads; ++head) ZeroHead(store, block, head);
      }
      for (int64_t i = 0; i < context * store.kv_heads; ++i) {
        const int64_t j = i / store.kv_heads;
        const int64_t slot = table[static_cast<size_t>(j / store.block_size)] * store.block_size + j % store.block_size;
        std::vector<int8_t> integers(static_cast<size_t>(store.head_dim));
        const float scale = ToIntegers(rows, i * store.head_dim, integers);
        WriteIntegers(store, slot, i % store.kv_heads, integers.data(), 0, &scale, 1);
      }
    }
  }

  /// round(x / scale), scale = max |x| / 127; the numbers become scale * integer.
  static float ToIntegers(Array& rows, int64_t at, std::vector<int8_t>& integers) {
    float max = 0;
    for (size_t d = 0; d < integers.size(); ++d) max = std::max(max, std::abs(rows[at + static_cast<int64_t>(d)]));
    const float scale = max / 127;
    for (size_t d = 0; d < integers.size(); ++d) {
      const int64_t i = at + static_cast<int64_t>(d);
      integers[d] = static_cast<int8_t>(scale == 0 ? 0 : std::nearbyint(rows[i] / scale));
      rows.Set(i, scale * integers[d]);
    }
    return scale;
  }

  /// Rows [context, kv_heads, D] into blocks of a table, which may hold anything before.
  void Fill(const std::vector<int32_t>& table, Array& k, Array& v, int64_t context) {
    for (const kernels::KvStore& store : {keys_, values_}) {
      Array& rows = store.values ? v : k;
      const int64_t stride = store.kv_heads * store.head_dim;
      for (int64_t begin = 0; begin < context; begin += store.block_size) {
        const int64_t n = std::min(store.block_size, context - begin);
        const int64_t block = table[static_cast<size_t>(begin / store.block_size)];
        for (int64_t head = 0; head < store.kv_heads; ++head)
          PackHead(store, block, head, rows.At(begin * stride + head * store.head_dim), stride, n);
      }
    }
  }

  const kernels::KvStore& keys() const { return keys_; }
  const kernels::KvStore& values() const { return values_; }

 private:
  static void* Align(std::vector<std::byte>& bytes) {
    return bytes.data() + (64 - reinterpret_cast<uintptr_t>(bytes.data()) % 64) % 64;
  }

  kernels::KvStore keys_;
  kernels::KvStore values_;
  std::vector<std::byte> key_bytes_;
  std::vector<std::byte> value_bytes_;
  std::vector<int32_t> order_;
};

inline const char* Name(DType dtype) { return dtype == DType::kF32 ? "f32" : dtype == DType::kF16 ? "f16" : "bf16"; }

}  // namespace atb::test
