#include "kernels/kv_layout.h"
#include "kernels/reference/kernels.h"

namespace atb::kernels::reference {
namespace {

float Score(const IndexCall& c, int64_t token, const float* key) {
  double score = 0;
  for (int64_t h = 0; h < c.heads; ++h) {
    const float* q = c.q + (token * c.heads + h) * c.head_dim;
    double product = 0;
    for (int64_t d = 0; d < c.head_dim; ++d) product += static_cast<double>(q[d]) * key[d * kKeyPanel];
    score += c.weights[token * c.heads + h] * (product > c.least ? product : static_cast<double>(c.least));
  }
  return static_cast<float>(score);
}

}  // namespace

void IndexScores(const IndexCall& c) {
  for (int64_t token = 0; token < c.tokens; ++token)
    for (int64_t key = 0; key < c.panels * kKeyPanel; ++key)
      c.scores[token * c.score_stride + key] =
          Score(c, token, c.keys + key / kKeyPanel * c.head_dim * kKeyPanel + key % kKeyPanel);
}

}  // namespace atb::kernels::reference
