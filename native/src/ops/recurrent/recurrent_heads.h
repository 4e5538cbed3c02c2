#pragma once
#include <algorithm>
#include <cstring>
#include <span>

#include "base/align.h"
#include "ops/check.h"
#include "ops/recurrent/state.h"
#include "ops/rows.h"

namespace atb {

constexpr int64_t kMostHeadSize = 1 << 12;

/// Sizes of an operation whose heads each have a matrix [key_size, value_size] for a state.
struct HeadSizes {
  int64_t heads;
  int64_t key_size;
  int64_t value_size;

  int64_t state() const { return heads * key_size * value_size; }
};

/// Some tokens and columns of one head, for which an operation makes keys, queries, values, decays and betas; the rows
/// lie in a worker's memory (kernels::RecurrentCall).
struct HeadPiece {
  int64_t head;
  int64_t token;  ///< Of the step.
  int64_t count;
  int64_t column;   ///< The first of the values.
  int64_t wanted;   ///< Values that there are.
  bool begins;      ///< Whether its first token is a sequence's first, behind no state.
  bool is_made;     ///< Whether all but its values was made for other columns.
  int64_t columns;  ///< The same, up to a multiple of 16. Rows of values are so long; those behind `wanted` are zeros.
  float* q;
  float* k;
  float* v;
  float* decay;  ///< [count], [count, key_size] with decays by key, or steps [count, columns] with rates.
  float* beta;   ///< [count]. Behind it and a [count] of decays there is room up to a multiple of 16.
  float* out;
  float* rates;  ///< [key_size, columns] (kernels::RecurrentCall::rates), zeros until an operation fills it.
};

using kernels::Decays;

/// Takes all sequences of a step through the states of all heads. Tokens follow one another, however they are cut.
class RecurrentHeads {
 public:
  /// Of a piece, at most. A multiple of 16, as kernels' vectors are: lists of a number for each token have whole ones.
  static constexpr int64_t kTokens = 64;

  explicit RecurrentHeads(HeadSizes sizes, Decays decays = Decays::kOfHead) : sizes_(sizes), decays_(decays) {}

  size_t WorkspaceBytes(int threads) const { return RowBuffers::Bytes(threads, 1, Floats()); }

  /// `begin(piece)` fills what all of a sequence's pieces share, its rates; `make(piece)` fills a piece, and
  /// `finish(piece)` may change what comes out of it. out [tokens, heads * value_size].
  template <typename Begin, typename Make, typename Finish>
  void Run(const StateInputs& inputs, std::span<const Tensor> in, const Tensor& out, const Tensor& states,
           bool has_beta, const Context& ctx, Begin&& begin, Make&& make, Finish&& finish) const {
    const RowBuffers buffers(ctx.workspace, 1, Floats());
    const int64_t sequences = At(in, inputs.lengths()).desc.dim(-1);
    // Where there is enough for all threads, tasks are larger: what is made of a token for a head is made for more of
    // its columns, or kernels are called for more at a time.
    const int64_t wide = 2 * kColumns, many = 2 * ctx.pool.threads(), heads = sequences * sizes_.heads;
    const bool widens = decays_ == Decays::kByRate && heads * CeilDiv(sizes_.value_size, wide) >= many;
    const int64_t columns = widens ? wide : kColumns, tiles = CeilDiv(sizes_.value_size, columns);
    const int64_t taken = has_beta && heads >= many ? std::min(tiles, kMostTiles) : 1, tasks = CeilDiv(tiles, taken);
    ctx.pool.ParallelFor(heads * tasks, [&](int64_t task, int worker) {
      HeadPiece piece = MemoryOf(buffers(worker, 0));
      piece.head = task / tasks % sizes_.heads;
      const int64_t first = task % tasks * taken, count = std::min(taken, tiles - first);
      const StateSequence sequence = SequenceOf(inputs, in, task / tasks / sizes_.heads);
      Span tile[kMostTiles];
      for (int64_t i = 0; i < count; ++i) {
        SetColumns(piece, (first + i) * columns, columns);
        tile[i] = SpanOf(states, sequence, piece, i);
      }
      begin(piece);
      ForStatePieces(sequence, kTokens, [&](int64_t token, int64_t tokens, int64_t block) {
        piece.token = token;
        piece.count = tokens;
        piece.begins = sequence.from < 0 && token == sequence.begin;
        for (int64_t i = 0; i < count; ++i) {
          if (count > 1) SetColumns(piece, (first + i) * columns, columns);
          piece.is_made = i > 0;
          make(piece);
          ctx.kernels.recur({.q = piece.q,
                             .k = piece.k,
                             .v = piece.v,
                             .decay = piece.decay,
                             .beta = has_beta ? piece.beta : nullptr,
                             .state = tile[i].state,
                             .out = piece.out,
                             .tokens = tokens,
                             .key_size = sizes_.key_size,
                             .columns = piece.columns,
                             .state_stride = tile[i].stride,
                             .decays = decays_,
                             .rates = piece.rates});
          finish(piece);
          for (int64_t t = 0; t < tokens; ++t)
            StoreFloats(ctx.kernels, out, ((token + t) * sizes_.heads + piece.head) * sizes_.value_size + piece.column,
                        piece.wanted, piece.out + t * piece.columns);
          if (block >= 0 && !tile[i].stays) Store(states, block, piece, tile[i].state);
        }
      });
    });
  }

 private:
  /// A state of so many columns stays in L1.
  static constexpr int64_t kColumns = 64;
  /// Of so many columns that a task takes at most.
  static constexpr int64_t kMostTiles = 2;

  /// Where the state of some columns is.
  struct Span {
    float* state;
    int64_t stride;  ///< Of its rows.
    bool stays;      ///< Whether it is changed where it lies.
  };

  int64_t MostColumns() const { return decays_ == Decays::kByRate ? 2 * kColumns : kColumns; }
  int64_t DecayFloats() const {
    return kTokens * (decays_ == Decays::kByKey ? sizes_.key_size : decays_ == Decays::kByRate ? MostColumns() : 1);
  }
  int64_t RateFloats() const { return decays_ == Decays::kByRate ? sizes_.key_size * MostColumns() : 0; }
  int64_t StateFloats() const { return sizes_.key_size * MostColumns(); }
  int64_t Floats() const {
    return 2 * kTokens * sizes_.key_size + DecayFloats() + RateFloats() + kTokens + 2 * kTokens * MostColumns() +
           kMostTiles * StateFloats();
  }

  HeadPiece MemoryOf(float* memory) const {
    HeadPiece piece{};
    piece.q = memory;
    piece.k = piece.q + kTokens * sizes_.key_size;
    piece.decay = piece.k + kTokens * sizes_.key_size;
    piece.rates = piece.decay + DecayFloats();
    piece.beta = piece.rates + RateFloats();
    piece.v = piece.beta + kTokens;
    piece.out = piece.v + kTokens * MostColumns();
    return piece;
  }

  /// Makes a piece one of at most `most` columns from `column` on.
  void SetColumns(HeadPiece& piece, int64_t column, int64_t most) const {
    piece.column = column;
    piece.wanted = std::min(most, sizes_.value_size - column);
    piece.columns = RoundUp(piece.wanted, 16);
    if (piece.wanted == piece.columns) return;
    std::memset(piece.v, 0, static_cast<size_t>(kTokens * piece.columns) * sizeof(float));
    if (decays_ == Decays::kByRate)
      std::memset(piece.decay, 0, static_cast<size_t>(DecayFloats() + RateFloats()) * sizeof(float));
  }

  /// The state of the task's columns number `tile`. Where one token comes and its state stays in its block, it is
  /// changed there; else it is copied.
  Span SpanOf(const Tensor& states, const StateSequence& sequence, const HeadPiece& piece, int64_t tile) const {
    const bool is_one = sequence.end == sequence.begin + 1;
    if (is_one && sequence.from >= 0 && sequence.to[sequence.begin] == sequence.from && piece.wanted == piece.columns)
      return {RowOf(states, sequence.from, piece, 0), sizes_.value_size, true};
    float* state = piece.out + kTokens * MostColumns() + tile * StateFloats();
    Load(states, sequence.from, piece, state);
    return {state, piece.columns, false};
  }

  float* RowOf(const Tensor& states, int64_t block, const HeadPiece& piece, int64_t key) const {
    return states.As<float>() + ((block * sizes_.heads + piece.head) * sizes_.key_size + key) * sizes_.value_size +
           piece.column;
  }

  void Load(const Tensor& states, int64_t block, const HeadPiece& piece, float* state) const {
    if (block < 0 || piece.wanted < piece.columns)
      std::memset(state, 0, static_cast<size_t>(sizes_.key_size * piece.columns) * sizeof(float));
    for (int64_t key = 0; key < sizes_.key_size && block >= 0; ++key)
      std::memcpy(state + key * piece.columns, RowOf(states, block, piece, key), Bytes(piece));
  }

  void Store(const Tensor& states, int64_t block, const HeadPiece& piece, const float* state) const {
    for (int64_t key = 0; key < sizes_.key_size; ++key)
      std::memcpy(RowOf(states, block, piece, key), state + key * piece.columns, Bytes(piece));
  }

  static size_t Bytes(const HeadPiece& piece) { return static_cast<size_t>(piece.wanted) * sizeof(float); }

  HeadSizes sizes_;
  Decays decays_;
};

/// n elements as f32.
inline void Load(const kernels::KernelTable& kernels, const Tensor& tensor, int64_t first, int64_t n, float* to) {
  kernels.to_f32(ElementAt(tensor, first), tensor.desc.dtype, to, n);
}

/// Throws unless a tensor is floats [rows, columns].
inline void RequireRows(const char* op, int input, const TensorDesc& desc, int64_t rows, int64_t columns) {
  RequireFloat(op, input, desc);
  RequireRank(op, input, desc, 2, 2);
  if (desc.dim(0) != rows || desc.dim(1) != columns)
    FailShape(op, input, "[" + std::to_string(rows) + "," + std::to_string(columns) + "]", desc);
}

/// Fills a list of n numbers up to whole vectors, and returns how many these are: so a kernel treats each number alike,
/// however many are beside it.
inline int64_t FillUp(float* list, int64_t n) {
  const int64_t whole = RoundUp(n, 16);
  std::fill(list + n, list + whole, 0.0f);
  return whole;
}

}  // namespace atb
