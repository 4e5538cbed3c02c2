#include <algorithm>
#include <random>
#include <vector>

#include "base/align.h"
#include "check.h"
#include "graph/memory_planner.h"

using atb::Align;
using atb::kAlignment;
using atb::Lifetime;
using atb::MemoryPlan;
using atb::PlanMemory;

namespace {

bool Together(const Lifetime& a, const Lifetime& b) { return a.first <= b.last && b.first <= a.last; }

/// The most that is alive at any node: no plan can be smaller.
size_t Floor(const std::vector<Lifetime>& tensors) {
  size_t most = 0;
  for (const Lifetime& at : tensors) {
    size_t alive = 0;
    for (const Lifetime& t : tensors)
      if (t.first <= at.first && at.first <= t.last) alive += Align(t.bytes);
    most = std::max(most, alive);
  }
  return most;
}

void CheckPlan(const std::vector<Lifetime>& tensors, const MemoryPlan& plan) {
  size_t sum = 0;
  CHECK(plan.offsets.size() == tensors.size());
  for (size_t a = 0; a < tensors.size(); ++a) {
    sum += Align(tensors[a].bytes);
    CHECK(plan.offsets[a] % kAlignment == 0);
    CHECK(plan.offsets[a] + tensors[a].bytes <= plan.arena_bytes);
    for (size_t b = a + 1; b < tensors.size(); ++b) {
      const bool overlap =
          plan.offsets[a] < plan.offsets[b] + tensors[b].bytes && plan.offsets[b] < plan.offsets[a] + tensors[a].bytes;
      CHECK(!(Together(tensors[a], tensors[b]) && overlap));
    }
  }
  CHECK(plan.arena_bytes <= sum);
  CHECK(plan.arena_bytes >= Floor(tensors));
}

void PlansNeverOverlap() {
  std::mt19937 rng(1);
  for (int round = 0; round < 2000; ++round) {
    std::vector<Lifetime> tensors(1 + rng() % 24);
    for (Lifetime& t : tensors) {
      const size_t first = rng() % 20;
      t = {rng() % 5000, first, first + rng() % 6};
    }
    CheckPlan(tensors, PlanMemory(tensors));
  }
}

/// What a transformer's layers ask for: a residual alive through the layer, and a chain of short-lived tensors.
void LayersShareTheirMemory() {
  std::vector<Lifetime> tensors;
  constexpr size_t kHidden = 4096, kQkv = 6144, kGateUp = 32768, kMlp = 16384;
  size_t node = 0;
  tensors.push_back({kHidden, node, node + 4});
  for (int layer = 0; layer < 16; ++layer, node += 8) {
    tensors.push_back({kHidden, node + 1, node + 2});      // norm
    tensors.push_back({kQkv, node + 2, node + 3});         // q, k, v
    tensors.push_back({kHidden, node + 3, node + 4});      // attention
    tensors.push_back({kHidden, node + 4, node + 8});      // residual
    tensors.push_back({kHidden, node + 5, node + 6});      // norm
    tensors.push_back({kGateUp, node + 6, node + 7});      // gate, up
    tensors.push_back({kMlp, node + 7, node + 8});         // swiglu
    tensors.push_back({kHidden, node + 8, node + 8 + 4});  // residual of the next
  }
  const MemoryPlan plan = PlanMemory(tensors);
  CheckPlan(tensors, plan);
  CHECK(plan.arena_bytes <= Floor(tensors) * 5 / 4);
}

void NothingAndEmptyTensorsPlan() {
  CHECK(PlanMemory({}).arena_bytes == 0);
  const std::vector<Lifetime> empty = {{0, 0, 3}, {0, 1, 1}};
  CheckPlan(empty, PlanMemory(empty));
  CHECK(PlanMemory(empty).arena_bytes == 0);
}

}  // namespace

int main() {
  RUN(PlansNeverOverlap);
  RUN(LayersShareTheirMemory);
  RUN(NothingAndEmptyTensorsPlan);
}
