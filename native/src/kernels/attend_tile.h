#pragma once
// Which keys a piece of attention touches. For files compiled for one ISA: everything has internal linkage.
#include "kernels/kernel_table.h"

namespace atb::kernels {
namespace {

/// Keys [begin, end), counted from the piece's key_begin; empty when end <= begin.
struct Span {
  int64_t begin;
  int64_t end;
};

inline int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t Max(int64_t a, int64_t b) { return a > b ? a : b; }
inline int64_t RoundUp(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/// Keys that a row of query token `token` may see.
inline Span VisibleKeys(const AttendCall& c, int64_t token, int64_t key_begin, int64_t key_end) {
  const int64_t query = c.q_position + token;
  int64_t end = Min(key_end, c.context_len);
  if (c.causal) end = Min(end, query + 1);
  const int64_t begin = c.window ? Max(key_begin, query - c.window + 1) : key_begin;
  return {begin - key_begin, end - key_begin};
}

/// Keys that some row may see, in whole groups of kValueDepth: what the products of a tile cover.
inline Span TileKeys(const AttendCall& c, int64_t key_begin, int64_t key_end) {
  const Span first = VisibleKeys(c, 0, key_begin, key_end);
  const Span last = VisibleKeys(c, c.q_tokens - 1, key_begin, key_end);
  if (first.begin >= last.end) return {0, 0};
  return {first.begin / kValueDepth * kValueDepth, RoundUp(last.end, kValueDepth)};
}

/// Where the keys and values of a group of kValueDepth positions begin, in elements of the caches.
struct Place {
  int64_t keys;
  int64_t values;
};

/// `position` is a multiple of kValueDepth, and so is a block's size. A padded head_dim is the layout's.
inline Place FindPlace(const AttendCall& c, int64_t position, int64_t key_dim, int64_t value_dim) {
  const int64_t i = position / c.block_size;
  const int64_t block = (c.block_table ? c.block_table[i] : i) * c.kv_heads + c.kv_head;
  const int64_t slot = block * c.block_size + position % c.block_size;
  return {slot * key_dim, slot * value_dim};
}

}  // namespace
}  // namespace atb::kernels
