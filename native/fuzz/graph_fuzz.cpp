// Graphs: every operation, with params and tensors made so that it accepts them, and then now and then one thing made
// wrong. What is refused must be refused with an atb::Error; what is accepted runs under the sanitizers.
//
// That each recipe is accepted is checked when the program starts, so that no operation is reached by luck only. At the
// end it prints how often each was accepted.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/error.h"
#include "bytes.h"
#include "cache/kv_cache.h"
#include "engine/engine.h"
#include "kernels/dispatch.h"
#include "op_recipes.h"

using namespace atb;
using namespace atb::fuzz;

namespace {

struct World {
  EngineShared shared;
  std::vector<std::unique_ptr<Engine>> engines;
  Buffer taken;
  std::map<std::string, uint64_t> accepted;
  uint64_t refused = 0;

  World() {
    // Mostly one thread: two wait for each other, which takes long on a busy machine and finds little that one does not.
    for (const int threads : {1, 1, 1, 2}) {
      for (const kernels::KernelTable* table : kernels::Available()) {
        engines.push_back(std::make_unique<Engine>(threads, table->isa, shared));
        LoadTensors(*engines.back());
      }
    }
    CheckRecipes();
    // A spoiled param may ask for a result of any size. The engine gives what the machine has, which would end the fuzzer
    // and takes long to fill. So most of the memory is taken, without touching it, and the engine must refuse the rest.
    constexpr size_t kLeftBytes = size_t{32} << 20;
    taken = Buffer(PhysicalMemoryBytes() - kLeftBytes);
  }
  ~World() {
    for (const auto& [type, count] : accepted)
      std::fprintf(stderr, "accepted %s %llu\n", type.c_str(), static_cast<unsigned long long>(count));
    std::fprintf(stderr, "refused %llu\n", static_cast<unsigned long long>(refused));
  }

  Engine& Choose(Bytes& bytes) {
    return *engines[static_cast<size_t>(bytes.Int(0, static_cast<int64_t>(engines.size()) - 1))];
  }

  /// Every operation the engine has must have a recipe, and every recipe must be accepted with any bytes.
  void CheckRecipes() {
    constexpr int kTries = 40;
    uint64_t state = 1;
    bool all = true;
    for (const std::string& type : SupportedOperations()) {
      if (!Recipes().contains(type)) {
        std::fprintf(stderr, "no recipe for %s\n", type.c_str());
        all = false;
        continue;
      }
      for (int i = 0; i < kTries; ++i) {
        uint8_t data[160];
        for (uint8_t& byte : data) byte = static_cast<uint8_t>((state = state * 6364136223846793005u + 1442695040888963407u) >> 56);
        Bytes bytes(data, i == 0 ? 0 : sizeof data);
        Case made(bytes);
        Recipes().at(type)(made);
        try {
          made.Allocate();
          engines[static_cast<size_t>(i) % engines.size()]->Forward(made.request);
        } catch (const Error& error) {
          std::fprintf(stderr, "the recipe of %s was refused: %s: %s\n", type.c_str(), error.code(), error.what());
          all = false;
        }
      }
    }
    if (!all) std::exit(1);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World world;
  static const std::vector<std::string> types = SupportedOperations();
  Bytes bytes(data, size);
  Engine& engine = world.Choose(bytes);
  Case made(bytes);
  const int64_t nodes = bytes.OneIn(4) ? bytes.Int(2, 4) : 1;
  const int64_t spoils = bytes.Flag() ? bytes.Int(1, 3) : 0;
  for (int64_t i = 0; i < nodes; ++i)
    Recipes().at(types[static_cast<size_t>(bytes.Int(0, static_cast<int64_t>(types.size()) - 1))])(made);
  for (int64_t i = 0; i < spoils; ++i) made.Spoil();
  try {
    made.Allocate();
    engine.Forward(made.request);
    for (const std::string& type : made.types) ++world.accepted[type];
  } catch (const Error&) {
    ++world.refused;
  }
  return 0;
}
