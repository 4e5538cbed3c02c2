#pragma once
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "base/align.h"
#include "base/thread_pool.h"
#include "kernels/kernel_table.h"

namespace atb {

/// Passes over one row of logits. They work on blocks of a row, whose maxima and sums tell which few blocks matter. So
/// selecting among 150 000 tokens takes a few linear passes and no array of structs.
constexpr int64_t kRowBlock = kernels::kMaximaBlock;
inline int64_t RowBlocks(int64_t size) { return CeilDiv(size, kRowBlock); }

/// What works on a row: the kernels, and all threads of a pool, or the caller's alone. Results are the same.
struct RowWork {
  const kernels::KernelTable& kernels;
  ThreadPool* pool = nullptr;

  /// Calls f(begin, end) for pieces of [0, size) that consist of whole blocks.
  template <typename F>
  void ForPieces(int64_t size, F&& f) const {
    constexpr int64_t kPiece = 128 * kRowBlock;
    const auto piece = [&](int64_t i, int) { f(i * kPiece, i * kPiece + kPiece < size ? i * kPiece + kPiece : size); };
    const int64_t pieces = CeilDiv(size, kPiece);
    if (pool != nullptr) return pool->ParallelFor(pieces, piece);
    for (int64_t i = 0; i < pieces; ++i) piece(i, 0);
  }
};

/// A token and the number by which it is compared: its logit, or its mass.
struct Candidate {
  float value;
  int32_t token;
};

/// The order of candidates: larger first, the lower token among equals.
inline bool Before(const Candidate& a, const Candidate& b) {
  return a.value > b.value || (a.value == b.value && a.token < b.token);
}

/// The tokens that take part in a draw: those before the cut, and the cut itself.
struct Cut {
  float value = 0;
  int32_t token = std::numeric_limits<int32_t>::max();
  bool Keeps(float v, int32_t t) const { return v > value || (v == value && t <= token); }
};

/// Fills the maximum of each block and returns the row's. NaN when some logit is NaN or +inf: such a row means that
/// the model failed.
float Maxima(const RowWork& work, std::span<const float> row, std::vector<float>& block_max);

/// The `k` first of the row in the order of Before, in that order; all of it when k is larger.
void TopK(std::span<const float> row, std::span<const float> block_max, int64_t k, std::vector<Candidate>& top);

/// mass[i] = exp((row[i] - max) / temperature), in [0, 1]. Returns the sum; `block_sums` is working memory.
double Masses(const RowWork& work, std::span<const float> row, float max, float temperature, float* mass,
              std::vector<double>& block_sums);

/// Where the smallest set of largest masses that holds at least `needed` ends.
Cut CutAtMass(std::span<const float> mass, double needed, std::vector<Candidate>& scratch);

/// The token at `u` in [0, 1) of the kept tokens' cumulated mass, in the order of tokens.
int32_t Draw(std::span<const float> mass, const Cut& cut, double u, std::vector<double>& block_sums);

/// exp(x) for x <= 0, within 2 ulp; 0 at -87 and below.
float ExpNonPositive(float x);

}  // namespace atb
