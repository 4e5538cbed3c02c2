// Weights of int4 that lie in words, channel by channel: packed word by word, they are the same bytes as packed number
// by number.
#include "weights/word_panels.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "check.h"
#include "kernels/dispatch.h"
#include "kernels/pack_integers.h"
#include "temporary_folder.h"
#include "weights/load.h"

namespace atb {
namespace {

std::atomic<int64_t> meter{0};
const std::atomic<bool> never{false};

std::vector<LoadedWeight> Load(const std::vector<WeightLoad>& loads, uint64_t* read = nullptr) {
  ThreadPool pool(2);
  std::mutex mutex;
  uint64_t most = 0;
  auto loaded = LoadWeights(loads, {pool, kernels::Select(), &meter, never, [&](uint64_t now, uint64_t) {
                                      const std::lock_guard lock(mutex);
                                      most = std::max(most, now);
                                    }});
  if (read != nullptr) *read = most;
  return loaded;
}

/// int4 [n, k] of a part, which come from rows `order` of a stored tensor of `stored` rows.
struct Part {
  int64_t stored;
  std::vector<int32_t> order;  ///< Empty: all rows as they are.
  std::vector<int8_t> numbers{};

  int64_t Rows() const { return order.empty() ? stored : static_cast<int64_t>(order.size()); }
  int64_t Row(int64_t i) const { return order.empty() ? i : order[static_cast<size_t>(i)]; }
};

/// Few rows of many are read in the other way, whose windows hold more than these.
bool HoldsAll(const std::vector<Part>& parts) {
  return std::ranges::all_of(parts, [](const Part& part) { return 4 * part.Rows() >= part.stored; });
}

enum class Method {
  kGptq,
  kSigned,  ///< The same in two's complement.
  kAwq,
  kInOrder,
};

bool AreAlongChannels(Method method) { return method == Method::kGptq || method == Method::kSigned; }

std::vector<uint32_t> WordsOf(const Part& part, int64_t k, Method method) {
  constexpr int kAwq[] = {0, 2, 4, 6, 1, 3, 5, 7};  // As AutoAWQ orders them: place i has column kAwq[i].
  const int64_t n = part.stored, words = AreAlongChannels(method) ? n : (n + 7) / 8;
  std::vector<uint32_t> out(static_cast<size_t>(AreAlongChannels(method) ? k / 8 * n : k * words));
  const int offset = method == Method::kSigned ? 0 : 8;
  const auto number = [&](int64_t row, int64_t i) {
    return row < n ? static_cast<uint32_t>(part.numbers[static_cast<size_t>(row * k + i)] + offset) & 0xFu : 0u;
  };
  for (size_t w = 0; w < out.size(); ++w) {
    const int64_t r = static_cast<int64_t>(w) / words, c = static_cast<int64_t>(w) % words;
    for (int place = 0; place < 8; ++place) {
      const uint32_t x = AreAlongChannels(method) ? number(c, 8 * r + place)
                         : method == Method::kAwq ? number(8 * c + kAwq[place], r)
                                                  : number(8 * c + place, r);
      out[w] |= x << (4 * place);
    }
  }
  return out;
}

std::vector<int32_t> Shuffled(int64_t n, int64_t step) {
  std::vector<int32_t> order(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) order[static_cast<size_t>(i)] = static_cast<int32_t>(i * step % n);
  return order;
}

void CheckParts(std::vector<Part> parts, int64_t k, Method method, WeightLayout layout, int64_t matrices = 1,
                bool act_order = false) {
  const TemporaryFolder folder;
  int64_t rows = 0;
  for (const Part& part : parts) rows += part.Rows();
  const bool stack = matrices > 1;
  const std::vector<int64_t> shape =
      stack ? std::vector<int64_t>{matrices, rows / matrices, k} : std::vector<int64_t>{rows, k};
  std::vector<int64_t> pair_shape = shape;
  pair_shape.back() = k / 2;
  const int64_t groups = kernels::GroupsOf(k, 32);
  std::vector<int64_t> scale_shape = shape;
  scale_shape.back() = groups;
  const WeightQuantize quantize{4, 32, Activations::kFloat, "s"};
  const WeightLoad scales{"s", DType::kF32, scale_shape, WeightLayout::kPlain, {{.value = 1.0f}}, {}};
  WeightLoad in_words{"w", DType::kI8, shape, layout, {}, quantize},
      in_pairs{"w", DType::kI8, pair_shape, layout, {}, quantize};
  uint32_t seed = static_cast<uint32_t>(rows * 131 + k);
  for (size_t p = 0; p < parts.size(); ++p) {
    Part& part = parts[p];
    part.numbers.resize(static_cast<size_t>(part.stored * k));
    for (int8_t& x : part.numbers) x = static_cast<int8_t>((seed = seed * 1664525u + 1013904223u) >> 28) - 8;
    const std::vector<uint32_t> words = WordsOf(part, k, method);
    const int64_t per_row = AreAlongChannels(method) ? k / 8 : k;
    WeightPart of_words{folder.Write("words" + std::to_string(p), words),
                        0,
                        DType::kI32,
                        {per_row, static_cast<int64_t>(words.size()) / per_row}};
    of_words.transposed = true;
    of_words.words = PackedWords{.axis = AreAlongChannels(method) ? 0 : 1,
                                 .count = AreAlongChannels(method) ? k : part.stored,
                                 .minus = 8,
                                 .awq = method == Method::kAwq,
                                 .is_signed = method == Method::kSigned};
    if (!part.order.empty()) of_words.row_order = part.order;
    const std::vector<int32_t> channels = Shuffled(k, act_order ? 29 : 1);
    if (act_order) of_words.column_order = channels;
    in_words.parts.push_back(of_words);

    std::vector<std::byte> pairs(static_cast<size_t>(part.Rows() * k / 2));
    std::vector<int8_t> row_numbers(static_cast<size_t>(k));
    for (int64_t row = 0; row < part.Rows(); ++row) {
      for (int64_t i = 0; i < k; ++i)
        row_numbers[static_cast<size_t>(i)] =
            part.numbers[static_cast<size_t>(part.Row(row) * k + channels[static_cast<size_t>(i)])];
      kernels::CompressInt4(row_numbers.data(), k, &pairs[static_cast<size_t>(row * k / 2)]);
    }
    in_pairs.parts.push_back({folder.Write("pairs" + std::to_string(p), pairs), 0, DType::kI8, {part.Rows(), k / 2}});
  }
  WeightLoad own = scales;
  own.parts = {{.shape = scale_shape, .value = 1.0f}};
  uint64_t read = 0;
  const auto expected = Load({in_pairs, own}), found = Load({in_words, own}, &read);
  const StoredTensor &a = *expected[0].stored, &b = *found[0].stored;
  const bool is_packed_in_words = method != Method::kSigned && !(act_order && method == Method::kAwq);
  if (HoldsAll(parts) && is_packed_in_words) CHECK(read == static_cast<uint64_t>(rows * k / 2));
  CHECK(a.bytes.size() == b.bytes.size() && std::memcmp(a.bytes.data(), b.bytes.data(), a.bytes.size()) == 0);
}

void WordsBecomePanels() {
  constexpr auto kLinear = WeightLayout::kLinear, kInterleaved = WeightLayout::kLinearInterleaved;
  for (Method method : {Method::kGptq, Method::kSigned, Method::kAwq, Method::kInOrder}) {
    for (int64_t k : {8, 64, 72, 200}) {
      // Numbers of columns that fill words, panels and vectors, and that do not.
      for (int64_t n : {8, 16, 40, 48, 4, 21}) CheckParts({{n, {}}}, k, method, kLinear);
      CheckParts({{40, {}}}, k, method, kInterleaved);
      CheckParts({{24, {}}, {8, {}}, {16, {}}}, k, method, kLinear);
      CheckParts({{24, Shuffled(24, 5)}, {24, {}}}, k, method, kInterleaved);
      // Rows may come several times, or not at all.
      CheckParts({{24, {3, 3, 23, 0, 1, 2, 4, 5, 5, 5}}}, k, method, kLinear);
      CheckParts({{64, {63, 1}}}, k, method, kLinear);
      CheckParts({{24, {}}, {24, Shuffled(24, 7)}}, k, method, kLinear, 2);
    }
  }
  for (Method method : {Method::kGptq, Method::kAwq}) {
    for (int64_t k : {8, 72, 200}) {
      CheckParts({{40, {}}, {21, {}}}, k, method, kLinear, 1, true);
      CheckParts({{24, Shuffled(24, 5)}, {24, {}}}, k, method, kInterleaved, 1, true);
    }
  }
  // Several pieces.
  CheckParts({{3000, Shuffled(3000, 7)}}, 4096, Method::kGptq, kLinear, 1, true);
  CheckParts({{2048, {}}}, 2048 + 32, Method::kGptq, kLinear);
  CheckParts({{2048, {}}}, 2048 + 32, Method::kAwq, kInterleaved);
}

}  // namespace
}  // namespace atb

int main() {
  using namespace atb;
  RUN(WordsBecomePanels);
  return 0;
}
