#include <cmath>

#include "kernels/reference/kernels.h"

namespace atb::kernels::reference {
namespace {

float DecayOf(const RecurrentCall& call, int64_t token, int64_t key, int64_t column) {
  if (call.decays == Decays::kByRate)
    return std::exp(call.rates[key * call.columns + column] * call.decay[token * call.columns + column]);
  return call.decay[call.decays == Decays::kByKey ? token * call.key_size + key : token];
}

void RecurColumn(const RecurrentCall& call, int64_t token, int64_t column) {
  const float* k = call.k + token * call.key_size;
  const float* q = call.q + token * call.key_size;
  float* state = call.state + column;
  float known = 0;
  for (int64_t j = 0; j < call.key_size; ++j) {
    state[j * call.state_stride] *= DecayOf(call, token, j, column);
    known += state[j * call.state_stride] * k[j];
  }
  const int64_t at = token * call.columns + column;
  const float added = call.beta ? call.beta[token] * (call.v[at] - known) : call.v[at];
  float out = 0;
  for (int64_t j = 0; j < call.key_size; ++j) {
    state[j * call.state_stride] += k[j] * added;
    out += state[j * call.state_stride] * q[j];
  }
  call.out[at] = out;
}

}  // namespace

void Recur(const RecurrentCall& call) {
  for (int64_t token = 0; token < call.tokens; ++token)
    for (int64_t column = 0; column < call.columns; ++column) RecurColumn(call, token, column);
}

void Conv(const ConvCall& call) {
  for (int64_t token = 0; token < call.tokens; ++token) {
    for (int64_t column = 0; column < call.columns; ++column) {
      float sum = call.bias ? call.bias[column] : 0;
      for (int64_t tap = 0; tap < call.taps; ++tap)
        sum += call.weight[tap * call.weight_stride + column] * call.rows[(token + tap) * call.columns + column];
      call.out[token * call.columns + column] = call.swish ? sum / (1 + std::exp(-sum)) : sum;
    }
  }
}

}  // namespace atb::kernels::reference
