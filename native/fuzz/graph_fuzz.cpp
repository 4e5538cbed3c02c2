// Graphs: every operation, with params and tensors made so that it accepts them, and then now and then one thing made
// wrong. What is refused must be refused with an atb::Error; what is accepted runs under the sanitizers, and some of it
// again and with other sizes, as an engine runs the graphs that it keeps.
//
// That each recipe is accepted is checked when the program starts, so that no operation is reached by luck only. At the
// end it prints how often each was accepted.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/error.h"
#include "bytes.h"
#include "engines.h"
#include "op_recipes.h"
#include "ops/check.h"
#include "stored_tensors.h"

using namespace atb;
using namespace atb::fuzz;

namespace {

struct World {
  Engines engines;
  Buffer taken;
  std::map<std::string, uint64_t> accepted;
  uint64_t refused = 0;

  World() {
    for (const auto& engine : engines.all()) LoadTensors(*engine);
    CheckRecipes();
    // A spoiled param may ask for a result of any size. The engine gives what the machine has, which takes long to fill
    // and would end the fuzzer. So most of the memory is taken, without touching it, and the engine must refuse.
    constexpr size_t kLeftBytes = size_t{32} << 20;
    taken = Buffer(PhysicalMemoryBytes() - kLeftBytes);
  }
  ~World() {
    for (const auto& [name, count] : accepted)
      std::fprintf(stderr, "accepted %s %llu\n", name.c_str(), static_cast<unsigned long long>(count));
    std::fprintf(stderr, "refused %llu\n", static_cast<unsigned long long>(refused));
  }

  /// Every operation the engine has must have a recipe, and every variant of it must be accepted with any bytes.
  void CheckRecipes() {
    bool all = true;
    for (const std::string& type : SupportedOperations()) {
      if (!Recipes().contains(type)) {
        std::fprintf(stderr, "no recipe for %s\n", type.c_str());
        all = false;
        continue;
      }
      for (const auto& [variant, recipe] : Recipes().at(type)) all &= IsAccepted(type, variant, recipe);
    }
    if (!all) std::exit(1);
  }

  bool IsAccepted(const std::string& type, const std::string& variant, const std::function<void(Case&)>& recipe) {
    constexpr int kTries = 24;
    bool all = true;
    uint64_t state = 1;
    for (int i = 0; i < kTries; ++i) {
      uint8_t data[160];
      for (uint8_t& byte : data)
        byte = static_cast<uint8_t>((state = state * 6364136223846793005u + 1442695040888963407u) >> 56);
      Bytes bytes(data, i == 0 ? 0 : sizeof data);
      Case made(bytes);
      recipe(made);
      try {
        made.Allocate();
        engines.all()[static_cast<size_t>(i) % engines.all().size()]->Forward(made.request);
      } catch (const Error& error) {
        std::fprintf(stderr, "the recipe of %s %s was refused: %s: %s\n", type.c_str(), variant.c_str(), error.code(),
                     error.what());
        all = false;
      }
    }
    return all;
  }
};

bool WritesInputs(const Case& made) {
  return std::ranges::any_of(made.types, [](const std::string& type) {
    return type == "SetValue" || type == "ReshapeAndCache" || type == "QkvRopeCache" || type == "CausalConv1d" ||
           type == "GatedDeltaRule" || type == "RealGatedLru" || type == "SelectiveScan" || type == "WindowPool";
  });
}

[[noreturn]] void Fail(const Case& made, const std::string& problem) {
  for (const std::string& type : made.types) std::fprintf(stderr, "%s ", type.c_str());
  std::fprintf(stderr, "when it runs again: %s\n", problem.c_str());
  std::abort();
}

/// Runs an accepted graph as an engine keeps it: bound once, with the tensors of the case, with resized ones, which it
/// may refuse, and with the first ones again. Where `sure`, these must be accepted both times, with the same result.
void RunKept(Engine& engine, Case& made, const ForwardResult& forward, bool sure) {
  constexpr int kId = 1;
  const auto request = [&] {
    StepRequest step;
    step.graph = kId;
    step.inputs = std::move(made.request.inputs);
    return step;
  };
  StepRequest first = request();
  // Of a step's results, only the first one can be had, and only where it could be logits.
  const TensorDesc* desc = forward.outputs.size() > 0 ? &forward.outputs[0].desc : nullptr;
  first.logits = desc && desc->rank == 2 && IsFloat(desc->dtype) && desc->Elements() > 0;
  engine.AddGraph(kId, std::make_shared<Graph>(made.request.spec));
  try {
    const StepResult once = engine.Run(first);
    try {
      made.Resize();
      made.Allocate();
      engine.Run(request());
    } catch (const Error&) {
    }
    const StepResult again = engine.Run(first);
    if (sure && first.logits && !WritesInputs(made) &&
        std::memcmp(once.logits[0].data, again.logits[0].data, once.logits[0].desc.Bytes()) != 0)
      Fail(made, "another result");
  } catch (const Error& error) {
    if (sure && std::string_view(error.code()) != "NATIVE_OUT_OF_MEMORY") Fail(made, error.what());
  }
  engine.RemoveGraph(kId);
}

World& TheWorld() {
  static World world;
  return world;
}

}  // namespace

/// Trying all recipes takes longer on a busy machine than an execution may.
extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  TheWorld();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  World& world = TheWorld();
  static const std::vector<std::string> types = SupportedOperations();
  Bytes bytes(data, size);
  Engine& engine = world.engines.Choose(bytes);
  Case made(bytes);
  const int64_t nodes = bytes.OneIn(4) ? bytes.Int(2, 4) : 1;
  const int64_t spoils = bytes.Flag() ? bytes.Int(1, 3) : 0;
  std::vector<std::string> names;
  for (int64_t i = 0; i < nodes; ++i) {
    const std::string& type = types[static_cast<size_t>(bytes.Int(0, static_cast<int64_t>(types.size()) - 1))];
    const Variants& variants = Recipes().at(type);
    const auto& [variant, recipe] =
        variants[static_cast<size_t>(bytes.Int(0, static_cast<int64_t>(variants.size()) - 1))];
    recipe(made);
    names.push_back(variant.empty() ? type : type + " " + variant);
  }
  for (int64_t i = 0; i < spoils; ++i) made.Spoil();
  try {
    made.Allocate();
    const ForwardResult result = engine.Forward(made.request);
    for (const std::string& name : names) ++world.accepted[name];
    if (bytes.OneIn(4)) RunKept(engine, made, result, spoils == 0);
  } catch (const Error&) {
    ++world.refused;
  }
  return 0;
}
