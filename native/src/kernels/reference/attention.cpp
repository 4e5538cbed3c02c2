#include <algorithm>
#include <cmath>

#include "base/align.h"
#include "kernels/convert.h"
#include "kernels/reference/kernels.h"

namespace atb::kernels::reference {
namespace {

/// Where the key and the value of a position lie: elements before its (block, kv head) in either cache, and its slot in
/// the block.
struct Place {
  int64_t keys;
  int64_t values;
  int64_t slot;
};

Place Find(const AttendCall& c, int64_t position) {
  const bool tiled = c.cache_dtype == DType::kBF16;
  const int64_t i = position / c.block_size;
  const int64_t block = c.kv_head * c.blocks + (c.block_table ? c.block_table[i] : i);
  if (c.cache_dtype == DType::kI8) {
    const int64_t scales = c.block_size * static_cast<int64_t>(sizeof(float));
    return {block * (c.block_size * c.head_dim + scales),
            block * (c.block_size * RoundUp(c.value_dim, 16) + scales), position % c.block_size};
  }
  const int64_t key_dim = tiled ? RoundUp(c.head_dim, 32) : c.head_dim;
  const int64_t value_dim = tiled ? RoundUp(c.value_dim, 16) : c.value_dim;
  return {block * c.block_size * key_dim, block * c.block_size * value_dim, position % c.block_size};
}

// The functions below say in code what kv_layout.h says in words.

/// The number that byte i of a group and the scale of slot `lane` stand for. The group has `integers` bytes of integers
/// before its scales.
float Dequantize(const int8_t* group, int64_t integers, int64_t i, int64_t lane) {
  return reinterpret_cast<const float*>(group + integers)[lane] * group[i];
}

float IntegerKey(const AttendCall& c, const Place& at, int64_t d) {
  const int64_t slots = c.block_size % kIntegerGroup == 0 ? kIntegerGroup : kIntegerGroup / 2;
  const int64_t lane = at.slot % slots;
  const int64_t integers = slots * c.head_dim;
  const int8_t* group = static_cast<const int8_t*>(c.k_cache) + at.keys + at.slot / slots * (integers + slots * 4);
  const int64_t quad = lane / kKeyPanel * (c.head_dim / 4) + d / 4;
  return Dequantize(group, integers, (quad * kKeyPanel + lane % kKeyPanel) * 4 + d % 4, lane);
}

float IntegerValue(const AttendCall& c, const Place& at, int64_t d) {
  const int64_t slots = c.block_size % kIntegerGroup == 0 ? kIntegerGroup : kIntegerGroup / 2;
  const int64_t lane = at.slot % slots;
  const int64_t integers = slots * RoundUp(c.value_dim, 16);
  const int8_t* group = static_cast<const int8_t*>(c.v_cache) + at.values + at.slot / slots * (integers + slots * 4);
  const int64_t quad = d / 16 * (slots / 4) + lane / 4;
  return Dequantize(group, integers, (quad * 16 + d % 16) * 4 + lane % 4, lane);
}

float Key(const AttendCall& c, const Place& at, int64_t d) {
  if (c.cache_dtype == DType::kI8) return IntegerKey(c, at, d);
  const int64_t panel = at.slot / kKeyPanel;
  const int64_t lane = at.slot % kKeyPanel;
  int64_t i = (panel * c.head_dim + d) * kKeyPanel + lane;
  if (c.dtype == DType::kBF16) {
    const int64_t tile = panel * (RoundUp(c.head_dim, 32) / 32) + d / 32;
    i = ((tile * 16 + d % 32 / 2) * kKeyPanel + lane) * 2 + d % 2;
  }
  return LoadFloat(c.k_cache, c.dtype, at.keys + i);
}

float Value(const AttendCall& c, const Place& at, int64_t d) {
  if (c.v_cache == nullptr) return Key(c, at, d);
  if (c.cache_dtype == DType::kI8) return IntegerValue(c, at, d);
  int64_t i = at.slot * c.value_dim + d;
  if (c.dtype == DType::kBF16) {
    const int64_t tile = at.slot / kValueDepth * (RoundUp(c.value_dim, 16) / 16) + d / 16;
    i = ((tile * 16 + at.slot % kValueDepth / 2) * 16 + d % 16) * 2 + at.slot % 2;
  }
  return LoadFloat(c.v_cache, c.dtype, at.values + i);
}

float Query(const AttendCall& c, int64_t row, int64_t d) {
  const int64_t token = row / c.group;
  const int64_t head = c.kv_head * c.group + row % c.group;
  return LoadFloat(c.q, c.dtype, token * c.q_stride + head * c.head_dim + d);
}

bool Visible(const AttendCall& c, int64_t token, int64_t key) {
  const int64_t query = c.q_position + token;
  const int64_t end = c.seen ? c.seen[token] : query + 1;
  const bool in_window = c.window == 0 || key > query - c.window;
  const bool in_chunk = c.chunk == 0 || key >= query / c.chunk * c.chunk;
  return key < c.context_len && (!c.causal || key < end) && in_window && in_chunk;
}

float Score(const AttendCall& c, const double* query, int64_t row, int64_t position) {
  const Place at = Find(c, position);
  double product = 0;
  for (int64_t d = 0; d < c.head_dim; ++d) product += query[d] * Key(c, at, d);
  const int64_t token = row / c.group, head = row % c.group;
  float score = static_cast<float>(product) * c.scale;
  if (c.softcap != 0) score = c.softcap * std::tanh(score / c.softcap);
  if (c.slopes) score += c.slopes[head] * static_cast<float>(position - (c.q_position + token));
  return c.mask ? score + c.mask[head * c.mask_head_stride + token * c.mask_stride + position] : score;
}

float Round(float value, DType dtype) {
  float rounded;
  StoreFloat(&rounded, dtype, 0, value);
  return LoadFloat(&rounded, dtype, 0);
}

/// One row over one piece of keys. Probabilities are rounded to the cache's dtype, which products of tiles need, and
/// the sum adds them as rounded: so the weights of a row add up to one, and a constant value comes out unchanged. With
/// a cache of integers they are not rounded here; other tables make an error of rounding there that is a 256th of the
/// cache's own error.
void AttendPiece(const AttendCall& c, int64_t row, int64_t key_begin, int64_t key_end, const AttendPartial& out) {
  const int64_t token = row / c.group;
  double query[kMaxHeadDim];
  for (int64_t d = 0; d < c.head_dim; ++d) query[d] = Query(c, row, d);
  float scores[kAttendChunk];
  float max = -INFINITY;
  for (int64_t j = key_begin; j < key_end; ++j) {
    float& score = scores[j - key_begin];
    score = Visible(c, token, j) ? Score(c, query, row, j) : -INFINITY;
    if (score > max) max = score;
  }
  if (max < kLeastScore) max = kLeastScore;  // The row sees nothing: each exponential below is 0. A NaN stays.

  double sum = 0;
  double total[kMaxHeadDim] = {};
  for (int64_t j = key_begin; j < key_end; ++j) {
    // A key that cannot be seen is not touched: its value may be anything.
    if (!Visible(c, token, j)) continue;
    const float exact = std::exp(scores[j - key_begin] - max);
    const float p = c.cache_dtype == DType::kI8 ? exact : Round(exact, c.dtype);
    sum += p;
    const Place at = Find(c, j);
    for (int64_t d = 0; d < c.value_dim; ++d) total[d] += static_cast<double>(p) * Value(c, at, d);
  }
  *out.max = sum == 0 ? -INFINITY : max;
  *out.sum = static_cast<float>(sum);
  for (int64_t d = 0; d < c.value_dim; ++d) out.out[d] = static_cast<float>(total[d]);
}

}  // namespace

void Merge(const AttendPartial& acc, const AttendPartial& part, int64_t rows, int64_t value_dim) {
  for (int64_t row = 0; row < rows; ++row) {
    if (part.max[row] == -INFINITY) continue;  // Not even a sign of zero changes: callers may skip such a piece.
    const float max = acc.max[row] > part.max[row] ? acc.max[row] : part.max[row];
    const float a = std::exp(acc.max[row] - max);
    const float b = std::exp(part.max[row] - max);
    acc.max[row] = max;
    acc.sum[row] = acc.sum[row] * a + part.sum[row] * b;
    float* total = acc.out + row * value_dim;
    const float* more = part.out + row * value_dim;
    for (int64_t d = 0; d < value_dim; ++d) total[d] = total[d] * a + more[d] * b;
  }
}

void Attend(const AttendCall& c, int64_t key_begin, int64_t key_end, const AttendPartial& out, void*) {
  for (int64_t row = 0; row < c.q_tokens * c.group; ++row) {
    const AttendPartial to = {out.max + row, out.sum + row, out.out + row * c.value_dim};
    AttendPiece(c, row, key_begin, std::min(key_begin + kAttendChunk, key_end), to);
    for (int64_t begin = key_begin + kAttendChunk; begin < key_end; begin += kAttendChunk) {
      float max, sum, values[kMaxHeadDim];
      const AttendPartial part = {&max, &sum, values};
      AttendPiece(c, row, begin, std::min(begin + kAttendChunk, key_end), part);
      Merge(to, part, 1, c.value_dim);
    }
  }
}

}  // namespace atb::kernels::reference
