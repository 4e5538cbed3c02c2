#pragma once
// Scores by which queries choose keys, for a vector type V; kernel_table.h says what is computed. Everything has
// internal linkage; vec.h says why.
#include "kernels/simd/math.h"

namespace atb::kernels::simd {
namespace {

/// Adds kHeads heads of one query to the scores of kPanels panels. Each product is one chain over head_dim.
template <class V, int kHeads, int kPanels>
inline void AddHeads(const float* q, const float* weights, const float* keys, int64_t head_dim, V least,
                     V (&scores)[kPanels]) {
  V products[kHeads][kPanels];
  for (int h = 0; h < kHeads; ++h)
    for (int p = 0; p < kPanels; ++p) products[h][p] = V::Zero();
  for (int64_t d = 0; d < head_dim; ++d) {
    V key[kPanels];
    for (int p = 0; p < kPanels; ++p) key[p] = V::Load(keys + (p * head_dim + d) * kLanes);
    for (int h = 0; h < kHeads; ++h) {
      const V query = V::Set1(q[h * head_dim + d]);
      for (int p = 0; p < kPanels; ++p) products[h][p] = Fma(key[p], query, products[h][p]);
    }
  }
  // Max gives its second operand where one is NaN.
  for (int h = 0; h < kHeads; ++h)
    for (int p = 0; p < kPanels; ++p)
      scores[p] = Fma(Max(products[h][p], least), V::Set1(weights[h]), scores[p]);
}

template <class V, int kHeads, int kPanels>
inline void ScorePanels(const IndexCall& c, int64_t panel) {
  const float* keys = c.keys + panel * c.head_dim * kLanes;
  for (int64_t token = 0; token < c.tokens; ++token) {
    const float* q = c.q + token * c.heads * c.head_dim;
    const float* weights = c.weights + token * c.heads;
    const V least = V::Set1(c.least);
    V scores[kPanels];
    for (int p = 0; p < kPanels; ++p) scores[p] = V::Zero();
    int64_t h = 0;
    for (; h + kHeads <= c.heads; h += kHeads)
      AddHeads<V, kHeads, kPanels>(q + h * c.head_dim, weights + h, keys, c.head_dim, least, scores);
    for (; h < c.heads; ++h) AddHeads<V, 1, kPanels>(q + h * c.head_dim, weights + h, keys, c.head_dim, least, scores);
    for (int p = 0; p < kPanels; ++p) scores[p].Store(c.scores + token * c.score_stride + (panel + p) * kLanes);
  }
}

/// kHeads * kPanels accumulators, beside a panel's keys, fit the register file.
template <class V, int kHeads, int kPanels>
inline void IndexScores(const IndexCall& call) {
  int64_t panel = 0;
  for (; panel + kPanels <= call.panels; panel += kPanels) ScorePanels<V, kHeads, kPanels>(call, panel);
  for (; panel < call.panels; ++panel) ScorePanels<V, kHeads, 1>(call, panel);
}

}  // namespace
}  // namespace atb::kernels::simd
